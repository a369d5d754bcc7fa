"""Clients of HTTP/1.1 and TCP that leave, stall and close halves at random points, and believe no answer unchecked."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.faults.stage.client import Head, LostError, next_identity, read_body, read_head
from tests.faults.stage.tally import Body, Tally, pieces
from tests.faults.stage.ways import CUT, WHOLE
from tests.faults.stage.wish import OVER, Wish, reset

SIZES = (0, 1, 300, 20_000, 120_000, 700_000, 3_000_000)
LEAVING = ("rst", "fin", "half", "stall", "drip")
PATIENCE = 40.0
STALL = 3.5  # seconds; longer than the time-outs of the gateway
_WINDOW = 65536
_chance = random.Random()


@dataclass(frozen=True)
class Place:
    """Where to ask: a port, the prefix of a path, and the ways in which the backend there may answer."""

    port: int
    prefix: str
    ways: Sequence[str] = (*WHOLE, *CUT)
    most: int = SIZES[-1]
    tls: ssl.SSLContext | None = None
    allowed: frozenset[int] = frozenset()
    lines: Sequence[str] = ("",)  # field lines, one of which is sent
    steady: bool = False  # the backend never misbehaves: whoever has manners must get an answer

    def path(self, wish: Wish) -> str:
        """What to ask for. The path is told in the access log."""
        return f"{self.prefix}/{wish.identity}?{wish.query}"


@dataclass
class Manners:
    """What a client does beside asking: `rude` after `sent` bytes of what it sends, or after `read` bytes of answer."""

    rude: str = ""
    sent: int = -1
    read: int = -1
    left: bool = field(default=False, init=False)


class LeftError(Exception):
    """The client left by itself."""


@asynccontextmanager
async def connected(
    port: int, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection, which is over at the end whatever happens."""
    name = None if tls is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name, limit=_WINDOW)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


class Rude:
    """One act of such a client, on one connection; its outcomes go to the tally. `polite` until it misbehaves."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._polite = True
        self._newest = Wish("right", 0)

    def _lost(self, place: Place, why: str) -> None:
        self._tally.note("cut")
        if place.steady and self._polite:
            self._tally.lost.append(f"{place.path(self._newest)}: {why}")

    async def ask(self, place: Place) -> None:
        """Some requests in a row on one connection, with or without manners."""
        try:
            async with asyncio.timeout(PATIENCE), connected(place.port, place.tls) as (reader, writer):
                for _ in range(_chance.randint(1, 3)):
                    if not await self._one(place, reader, writer):
                        return
        except TimeoutError:
            self._tally.never(f"{place.prefix}: no end")
        except (*OVER, LostError) as error:
            self._lost(place, str(error))
        except LeftError:
            self._tally.note("left")

    async def _one(self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; whether another may follow."""
        wish = wish_at(place)
        manners = _manners(wish)
        self._polite = self._polite and not manners.rude
        self._newest = wish
        method = "POST" if wish.m else _chance.choice(("GET", "GET", "HEAD"))
        sending = asyncio.create_task(_send(writer, place, method, wish, manners))
        try:
            head = await read_head(reader)
            return await self._take(place, method, wish, manners, reader, writer, head) and not manners.left
        finally:
            sending.cancel()
            results = await asyncio.gather(sending, return_exceptions=True)
            if isinstance(results[0], LeftError):
                raise results[0]

    async def _take(
        self,
        place: Place,
        method: str,
        wish: Wish,
        manners: Manners,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        head: Head,
    ) -> bool:
        if head.status != 200:
            self._tally.told(head.status, place.allowed, place.prefix)
            if place.steady and self._polite:
                self._tally.lost.append(f"{place.path(wish)}: {head.status}")
            async for _ in read_body(reader, head, method):
                pass
            return "connection" not in head.fields and not wish.m
        if head.fields.get("x-id") != str(wish.identity):
            self._tally.never(f"{place.prefix}: another request's answer")
        body = Body(wish.identity)
        async for data in read_body(reader, head, method):
            body.take(data)
            if 0 <= manners.read <= body.size:
                manners.read = -1
                await _misbehave(writer, manners.rude)
        if not body.right or (method != "HEAD" and body.size != wish.n):
            self._tally.never(f"{place.prefix}: a complete answer of {wish.how} that is not whole, or not right")
        self._tally.note("complete")
        return "connection" not in head.fields and not (wish.m and wish.how.startswith("early"))

    async def pipeline(self, place: Place) -> None:
        """Several requests at once, whose answers must come in their order."""
        wishes = [wish_at(place, upload=False) for _ in range(_chance.randint(2, 6))]
        text = "".join(_head(place, "GET", wish, "") for wish in wishes)
        try:
            async with asyncio.timeout(PATIENCE), connected(place.port, place.tls) as (reader, writer):
                writer.write(text.encode())
                for number, wish in enumerate(wishes):
                    self._newest = wish
                    head = await read_head(reader)
                    if not await self._take(place, "GET", wish, Manners(), reader, writer, head):
                        return
                    if number == len(wishes) // 2 and wish.identity % 3 == 0:
                        self._polite = False
                        await _misbehave(writer, _chance.choice(LEAVING))
        except TimeoutError:
            self._tally.never("pipeline: no end")
        except (*OVER, LostError) as error:
            self._lost(place, f"{error}, pipeline")
        except LeftError:
            self._tally.note("left")

    async def tunnel(self, place: Place) -> None:
        """A tunnel, whose bytes come back; the backend may end it after `n` of them."""
        wish = tunnel_wish()
        text = _head(place, "GET", wish, "connection: upgrade\r\nupgrade: websocket\r\n")
        await self._stream(place, text, wish)

    async def stream(self, port: int) -> None:
        """A TCP stream: `n` bytes come first, then what was sent comes back."""
        wish = Wish(_chance.choice(("whole", "cut")), next_identity(), n=_size(), at=_size())
        await self._stream(Place(port, ""), f"/?{wish.query}\n", wish)

    async def _stream(self, place: Place, text: str, wish: Wish) -> None:
        try:
            async with asyncio.timeout(PATIENCE), connected(place.port, place.tls) as (reader, writer):
                writer.write(text.encode())
                first = wish.n
                if place.prefix:
                    head, first = await read_head(reader), 0
                    if head.status != 101:
                        self._tally.told(head.status, place.allowed, f"tunnel {place.prefix}")
                        return
                await self._echo(reader, writer, wish, first)
        except TimeoutError:
            self._tally.never(f"tunnel {place.prefix}: no end")
        except (*OVER, LostError):
            self._tally.note("cut")
        except LeftError:
            self._tally.note("left")

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wish: Wish, first: int) -> None:
        """The first bytes, and the others."""
        sending = asyncio.create_task(_pour(writer, wish.identity))
        greeting, body = Body(wish.identity), Body(wish.identity)
        try:
            while data := await reader.read(_WINDOW):
                room = max(0, first - greeting.size)
                greeting.take(data[:room])
                body.take(data[room:])
        finally:
            sending.cancel()
            results = await asyncio.gather(sending, return_exceptions=True)
            if not greeting.right or not body.right:
                self._tally.never(f"a stream with wrong bytes: {wish}")
            if isinstance(results[0], LeftError):
                raise results[0]
        self._tally.note("streamed")
        if results[0] is None and wish.how == "whole" and greeting.size != first:
            self._tally.never(f"a stream that ended before its end: {greeting.size} of {wish}")


def tunnel_wish() -> Wish:
    """A tunnel that the backend ends after some bytes, or never."""
    return Wish("upgrade", next_identity(), n=_chance.choice((_size(), 1 << 40)), at=_chance.randint(0, 1))


def wish_at(place: Place, *, upload: bool = True) -> Wish:
    """A request of any kind."""
    n = min(place.most, _size())
    m = min(place.most, _size()) if upload and _chance.random() < 0.4 else 0
    how = _chance.choice(place.ways)
    return Wish(how, next_identity(), n=n, at=_chance.randint(0, (m if how.startswith("deaf") else n) or 1), m=m)


def _size() -> int:
    return _chance.choice(SIZES)


def _manners(wish: Wish) -> Manners:
    turn = _chance.random()
    if turn < 0.5:
        return Manners()
    rude = _chance.choice(LEAVING)
    if turn < 0.75:
        return Manners(rude, read=_chance.randint(0, wish.n))
    return Manners(rude, sent=_chance.randint(-100, wish.m))  # negative: within the head


def _head(place: Place, method: str, wish: Wish, framing: str) -> str:
    line = f"{method} {place.path(wish)} HTTP/1.1\r\nhost: localhost\r\n"
    return f"{line}{_chance.choice(place.lines)}{framing}\r\n"


async def _send(writer: asyncio.StreamWriter, place: Place, method: str, wish: Wish, manners: Manners) -> None:
    """The request, with what is rude about it."""
    chunked = wish.m and wish.identity % 3 == 0
    framing = "transfer-encoding: chunked\r\n" if chunked else f"content-length: {wish.m}\r\n" if wish.m else ""
    expecting = "expect: 100-continue\r\n" if wish.m and wish.identity % 5 == 0 else ""
    text = _head(place, method, wish, framing + expecting).encode()
    if manners.rude and manners.sent < 0 and manners.read < 0:
        writer.write(text[: manners.sent])
        text = text[manners.sent :]
        await _leave(writer, manners)
    writer.write(text)
    for offset, data in pieces(wish.identity, wish.m):
        writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        await writer.drain()
        if 0 <= manners.sent <= offset:
            await _leave(writer, manners)
            manners.sent = -1
    if chunked:
        writer.write(b"0\r\n\r\n")


async def _leave(writer: asyncio.StreamWriter, manners: Manners) -> None:
    manners.left = True
    await _misbehave(writer, manners.rude)
    if manners.rude == "half":
        raise LeftError


async def _pour(writer: asyncio.StreamWriter, identity: int) -> None:
    """All that is to come back, and the end, in one way or the other."""
    size, leaving = _size(), _chance.choice(("", *LEAVING[:3]))
    stop = _chance.randint(0, size) if leaving in {"rst", "fin"} else size
    for offset, data in pieces(identity, size):
        if offset > stop:
            await _misbehave(writer, leaving)
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def _misbehave(writer: asyncio.StreamWriter, rude: str) -> None:
    """Do it; LeftError when nothing can follow."""
    if rude == "rst":
        reset(writer)
        raise LeftError
    if rude == "fin":
        writer.close()
        raise LeftError
    if rude == "half" and writer.can_write_eof():
        with suppress(OSError):
            writer.write_eof()
    elif rude == "stall":
        await asyncio.sleep(STALL)
    elif rude == "drip":
        await asyncio.sleep(0.2)
