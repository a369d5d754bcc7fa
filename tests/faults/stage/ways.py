"""The ways in which a backend of HTTP/1.1 answers: those that end with all of it, and those that do not."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable
from hashlib import sha1

from tests.faults.stage.tally import pieces
from tests.faults.stage.wish import STALL, GoneError, Talk, sends_back

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
CHUNKED = b"transfer-encoding: chunked\r\n"


async def right(talk: Talk) -> None:
    await talk.body()
    await talk.answer(talk.length)


async def chunked(talk: Talk) -> None:
    await talk.body()
    await talk.answer(CHUNKED, chunked=True)
    if not talk.head.startswith(b"HEAD"):
        talk.writer.write(b"0\r\n\r\n")


async def until_close(talk: Talk) -> None:
    await talk.body()
    await talk.answer(b"connection: close\r\n")
    raise GoneError


async def slow(talk: Talk) -> None:
    await talk.body()
    await talk.answer(talk.length, pause=0.02)


async def interim(talk: Talk) -> None:
    await talk.body()
    talk.writer.write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    await talk.answer(talk.length)


async def spare(talk: Talk) -> None:
    """More than was asked for, at once, which could be taken for the next one's. (What came a moment later would be:
    nothing in HTTP/1.1 says whose it is.)
    """
    await talk.body()
    more = b"HTTP/1.1 200 OK\r\nx-id: 0\r\ncontent-length: 5\r\n\r\nwrong"
    if talk.wish.n > 1000 or talk.head.startswith(b"HEAD"):
        await talk.answer(talk.length)
        return
    body = b"".join(data for _, data in pieces(talk.wish.identity, talk.wish.n))
    talk.writer.write(b"HTTP/1.1 200 OK\r\nx-id: %d\r\n%b\r\n%b%b" % (talk.wish.identity, talk.length, body, more))


async def early(talk: Talk) -> None:
    """Before the body, which is read afterwards."""
    await talk.answer(talk.length)
    await talk.body()


async def early_reset(talk: Talk) -> None:
    await talk.answer(talk.length)
    await asyncio.sleep(0.02)
    talk.reset()


async def early_until_close_reset(talk: Talk) -> None:
    await talk.answer(b"connection: close\r\n", end=talk.wish.at)
    await asyncio.sleep(0.02)
    talk.reset()


async def busy(talk: Talk) -> None:
    await talk.body()
    talk.writer.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n")


async def deaf(talk: Talk) -> None:
    await talk.body(talk.wish.at)
    await asyncio.sleep(STALL / 4)
    talk.reset()


async def deaf_reset(talk: Talk) -> None:
    await talk.body(talk.wish.at)
    talk.reset()


async def mute(talk: Talk) -> None:
    await talk.stall()


async def closes(talk: Talk) -> None:
    raise GoneError


async def head_cut(talk: Talk) -> None:
    talk.writer.write(b"HTTP/1.1 200 OK\r\ncontent-le")
    raise GoneError


async def allowed(talk: Talk) -> None:
    """As a service that authorizes, which may be shown a body."""
    await talk.reader.readexactly(int(talk.field(b"content-length") or 0))
    talk.writer.write(b"HTTP/1.1 200 OK\r\nx-user: somebody\r\ncontent-length: 0\r\n\r\n")


async def denied(talk: Talk) -> None:
    await talk.reader.readexactly(int(talk.field(b"content-length") or 0))
    talk.writer.write(b"HTTP/1.1 401 Who\r\ncontent-length: 4\r\n\r\nwho?")


async def vague(talk: Talk) -> None:
    """An answer without end."""
    talk.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + bytes(300_000))
    await talk.stall()


async def resets(talk: Talk) -> None:
    talk.reset()


async def upgraded(talk: Talk) -> None:
    """A tunnel that sends everything back, `n` bytes at most; then it ends in one way or the other."""
    key = b64encode(sha1(talk.field(b"sec-websocket-key") + GUID, usedforsecurity=False).digest())
    fields = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: " + key
    talk.writer.write(b"HTTP/1.1 101 Switching\r\n%b\r\n\r\n" % fields)
    await sends_back(talk.reader, talk.writer, talk.wish.n)
    if talk.wish.at % 2:
        talk.reset()
    raise GoneError


def _cut(framing: Callable[[Talk], bytes], *, pieces_of: bool, end: Callable[[Talk], Awaitable[None] | None]) -> Way:
    async def way(talk: Talk) -> None:
        await talk.body()
        await talk.answer(framing(talk), chunked=pieces_of, end=talk.wish.at)
        await asyncio.sleep(0.02 * (talk.wish.identity % 3))
        if (waiting := end(talk)) is not None:
            await waiting
        raise GoneError

    return way


Way = Callable[[Talk], Awaitable[None]]
WHOLE: dict[str, Way] = {
    "right": right, "chunked": chunked, "close": until_close, "slow": slow, "interim": interim, "spare": spare,
    "early": early,
}  # fmt: skip
CUT: dict[str, Way] = {
    "length-fin": _cut(lambda talk: talk.length, pieces_of=False, end=lambda talk: None),
    "length-rst": _cut(lambda talk: talk.length, pieces_of=False, end=Talk.reset),
    "length-stall": _cut(lambda talk: talk.length, pieces_of=False, end=Talk.stall),
    "chunked-fin": _cut(lambda talk: CHUNKED, pieces_of=True, end=lambda talk: None),
    "chunked-rst": _cut(lambda talk: CHUNKED, pieces_of=True, end=Talk.reset),
    "chunked-stall": _cut(lambda talk: CHUNKED, pieces_of=True, end=Talk.stall),
    "close-rst": _cut(lambda talk: b"", pieces_of=False, end=Talk.reset),
    "early-reset": early_reset, "early-close-rst": early_until_close_reset, "busy": busy, "deaf": deaf,
    "deaf-reset": deaf_reset, "mute": mute, "closes": closes, "head-cut": head_cut,
}  # fmt: skip
JUDGING: dict[str, Way] = {
    "allow": allowed, "deny": denied, "vague": vague, "resets": resets, "mute": mute, "head-cut": head_cut,
}  # fmt: skip
WAYS: dict[str, Way] = {**JUDGING, **WHOLE, **CUT, "upgrade": upgraded}
