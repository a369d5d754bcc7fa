"""Long bodies that are read in sips, over real sockets: chunked both ways, or until the close."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import uvloop

from gatewayd.proxy.http1 import sips
from gatewayd.routing.snapshot import Settings
from tests.processes import PATIENCE
from tests.proxy.sockets import LONG, Serve, Site, Talk, end, gateway, read_head

SHORT = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def chunked(data: bytes, size: int) -> bytes:
    """A chunked body of chunks of this size."""
    pieces = (data[at : at + size] for at in range(0, len(data), size))
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


async def read_chunked(reader: asyncio.StreamReader) -> bytes:
    """The whole of a chunked body without trailers."""
    body = bytearray()
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        assert await reader.readexactly(2) == b"\r\n"
    assert await reader.readexactly(2) == b"\r\n"
    return bytes(body)


def run(serve: Serve, talk: Talk, log: Path) -> None:
    async def whole() -> None:
        async with gateway(serve, log, Settings(), {}) as site, asyncio.timeout(PATIENCE):
            await talk(site)

    uvloop.run(whole())


@pytest.fixture
def sipped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How much came with each read of the connections that read in sips."""
    sizes: list[int] = []
    updated = sips.Sips.buffer_updated

    def counted(self: sips.Sips, nbytes: int) -> None:
        sizes.append(nbytes)
        updated(self, nbytes)

    monkeypatch.setattr(sips.Sips, "buffer_updated", counted)
    return sizes


@pytest.mark.parametrize("size", [100, 65536, 1_000_000])
def test_chunked_responses_arrive_whole_one_after_the_other(tmp_path: Path, sipped: list[int], size: int):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await read_head(reader)
                writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(LONG, size))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await read_head(reader)
            assert await read_chunked(reader) == LONG
        await end(writer)

    run(serve, talk, tmp_path / "log")
    assert max(sipped) == sips.SIP


@pytest.mark.parametrize("size", [100, 65536, 1_000_000])
def test_chunked_requests_arrive_whole_one_after_the_other(tmp_path: Path, sipped: list[int], size: int):
    bodies = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await read_head(reader)
                bodies.append(await read_chunked(reader))
                writer.write(SHORT)
        except (OSError, asyncio.IncompleteReadError):
            await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        for _ in range(2):
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + chunked(LONG, size))
            await read_head(reader)
            assert await reader.readexactly(2) == b"ok"
        await end(writer)

    run(serve, talk, tmp_path / "log")
    assert bodies == [LONG] * 2
    assert max(sipped) == sips.SIP


def test_a_response_until_the_close_arrives_whole(tmp_path: Path, sipped: list[int]):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + LONG)
        await writer.drain()
        await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await read_head(reader)
        assert await read_chunked(reader) == LONG
        await end(writer)

    run(serve, talk, tmp_path / "log")
    assert max(sipped) == sips.SIP
