"""What a request wants of a backend of HTTP/1.1, in its query: `how`, with `n` bytes of answer, cut at `at`.

The query also says `id`, whose pattern both bodies follow, and `m`, the length of the request's body: what arrives
complete and is not that is counted as wrong.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl

from tests.faults.stage.tally import RST, Body, Tally, pieces

STALL = 12.0  # seconds; longer than every time-out of the gateway
OVER = (OSError, asyncio.IncompleteReadError, RuntimeError)  # the last is uvloop's, of a write after the end
LIMIT = 65536


@dataclass(frozen=True)
class Wish:
    """What a request asks for. `how` names one of the ways (`ways`)."""

    how: str
    identity: int
    n: int = 0
    at: int = 0
    m: int = 0

    @property
    def query(self) -> str:
        """As it is written."""
        return f"how={self.how}&id={self.identity}&n={self.n}&at={self.at}&m={self.m}"


def wish_of(target: str) -> Wish:
    """The wish in a request's target."""
    fields = dict(parse_qsl(target.partition("?")[2]))
    numbers = [int(fields.get(name, 0)) for name in ("id", "n", "at", "m")]
    return Wish(fields.get("how", "right"), *numbers)


class GoneError(Exception):
    """The connection ends here."""


class Talk:
    """One connection, with the request that is being answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tally: Tally) -> None:
        self.reader = reader
        self.writer = writer
        self.tally = tally
        self.head = b""
        self.wish = Wish("right", 0)

    def field(self, name: bytes) -> bytes:
        """The value of a request's field, b"" without."""
        found = re.search(rb"(?i)\r\n%b: *([^\r]*)" % name, self.head)
        return found[1] if found else b""

    async def body(self, most: float = float("inf")) -> None:
        """Read the request's body, or some of it, and judge it."""
        body = Body(self.wish.identity)
        async for data in self._incoming():
            body.take(data)
            if body.size >= most:
                return
        if not body.right or body.size != self.wish.m:
            self.tally.never(f"a request's body that looked complete: {body.right} {body.size} of {self.wish}")

    async def _incoming(self) -> AsyncIterator[bytes]:
        left = int(self.field(b"content-length") or 0)
        while left:
            data = await self.reader.read(min(left, LIMIT))
            if not data:
                raise GoneError
            left -= len(data)
            yield data
        if self.field(b"transfer-encoding"):
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            await self.reader.readuntil(b"\r\n")

    async def answer(self, framing: bytes, *, chunked: bool = False, end: int | None = None, pause: float = 0) -> None:
        """The head, and the body up to `end`."""
        identity, size = self.wish.identity, self.wish.n if end is None else end
        self.writer.write(b"HTTP/1.1 200 OK\r\nx-id: %d\r\n%b\r\n" % (identity, framing))
        if self.head.startswith(b"HEAD"):
            return
        for _, data in pieces(identity, size):
            self.writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            await self.writer.drain()
            if pause:
                await asyncio.sleep(pause)
        await self.writer.drain()

    @property
    def length(self) -> bytes:
        """The framing of the whole answer."""
        return b"content-length: %d\r\n" % self.wish.n

    def reset(self) -> None:
        """Close with RST."""
        reset(self.writer)
        raise GoneError

    async def stall(self) -> None:
        """Do nothing, until the other side leaves."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STALL):
                while await self.reader.read(LIMIT):
                    pass
        raise GoneError


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST: what is unread or unsent is thrown away."""
    if not writer.transport.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST)
        writer.transport.abort()


async def sends_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: float = float("inf")) -> None:
    """Every byte, until there are no more."""
    sent = 0
    while sent < most and (data := await reader.read(LIMIT)):
        writer.write(data)
        sent += len(data)
        await writer.drain()
