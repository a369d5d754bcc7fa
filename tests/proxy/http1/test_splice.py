"""Long bodies that the kernel moves, over real sockets: they arrive whole, and end well wherever one side fails."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gatewayd.proxy.http1 import splice
from gatewayd.proxy.http1.upstream import Upstream1
from gatewayd.proxy.pipe import Pipes
from gatewayd.routing.snapshot import Retry, Settings, Timeouts
from tests.processes import PATIENCE
from tests.proxy.sockets import HEAD, LONG, Serve, Site, Talk, descriptors, end, gateway, read_head


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Run a conversation; the sizes of the bodies that the kernel was asked to move. No descriptor is left behind."""
    asked: list[int] = []
    begin = splice.Splice.__init__

    def counted(self: splice.Splice, *args: Any) -> None:
        begin(self, *args)
        asked.append(self.left)

    monkeypatch.setattr(splice.Splice, "__init__", counted)

    def start(serve: Serve, talk: Talk, settings: Settings | None = None, pipes: int = 128, **rule: Any) -> list[int]:
        async def whole() -> None:
            async with gateway(serve, tmp_path / "log", settings or Settings(), rule) as site:
                site.runtime.pipes._left = pipes
                before = descriptors()
                async with asyncio.timeout(PATIENCE):
                    await talk(site)
                    site.runtime.drain()
                    await site.until(lambda: descriptors() - len(site.runtime.pipes._free) * 2 <= before)

        uvloop.run(whole())
        return asked

    return start


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A backend that answers each request with the long body."""
    try:
        while True:
            await read_head(reader)
            writer.write(HEAD % len(LONG) + LONG)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        await end(writer)


def test_responses_arrive_whole_and_the_next_follows_on_the_same_connections(run: Callable[..., list[int]]):
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await answers(reader, writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 3)
        for _ in range(3):
            assert (await read_head(reader)).startswith(b"http/1.1 200")
            assert await reader.readexactly(len(LONG)) == LONG
        await end(writer)
        await site.until(lambda: not site.runtime.connections)

    asked = run(serve, talk)
    assert len(asked) == 3
    assert min(asked) > splice.LONG
    assert len(connections) == 1


def test_requests_arrive_whole_and_the_next_follows_on_the_same_connections(run: Callable[..., list[int]]):
    bodies, connections = [], []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        try:
            while True:
                await read_head(reader)
                bodies.append(await reader.readexactly(len(LONG)))
                writer.write(HEAD % 2 + b"ok")
        except (OSError, asyncio.IncompleteReadError):
            await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write((b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(LONG) + LONG) * 3)
        for _ in range(3):
            assert await reader.readexactly(len(await read_head(reader)) and 2) == b"ok"
        await end(writer)
        await site.until(lambda: not site.runtime.connections)

    assert len(run(serve, talk)) == 3
    assert bodies == [LONG] * 3
    assert len(connections) == 1


def test_both_ways_at_once(run: Callable[..., list[int]]):
    bodies = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(HEAD % len(LONG) + LONG)
        bodies.append(await reader.readexactly(len(LONG)))
        await writer.drain()
        await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(LONG) + LONG)
        await read_head(reader)
        assert await reader.readexactly(len(LONG)) == LONG
        await site.until(lambda: bodies)
        await end(writer)

    assert len(run(serve, talk)) == 2
    assert bodies == [LONG]


@pytest.mark.parametrize("size", [0, 1000, 1_000_000])
def test_a_backend_that_ends_early_cuts_the_response(run: Callable[..., list[int]], size: int):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(HEAD % len(LONG) + LONG[:size])
        await writer.drain()
        await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await read_head(reader)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(len(LONG))
        await end(writer)
        await site.until(lambda: site.reasons == ["upstream_cut_body"])

    assert len(run(serve, talk)) == 1


@pytest.mark.parametrize("way", ["GET", "POST"])
def test_a_client_that_leaves_lets_go_of_the_backend(run: Callable[..., list[int]], way: str):
    gone = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await read_head(reader)
            if way == "GET":
                while True:
                    writer.write(HEAD % (1 << 40) + LONG)
                    await writer.drain()
            while await reader.read(65536):
                pass
        except OSError:
            pass
        gone.append(True)
        await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        if way == "GET":
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await read_head(reader)
            await reader.readexactly(1_000_000)
        else:
            writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (1 << 40) + LONG)
            await writer.drain()
        writer.transport.abort()
        await site.until(lambda: gone)
        await site.until(lambda: site.reasons == ["client_closed"])

    assert len(run(serve, talk)) == 1


def test_a_client_that_reads_nothing_is_cut_in_time_and_one_that_reads_slowly_is_not(run: Callable[..., list[int]]):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await read_head(reader)
            while True:
                writer.write(HEAD % (1 << 40) + LONG)
                await writer.drain()
        except OSError:
            await end(writer)

    async def talk(site: Site) -> None:
        slow, mute = await site.connect(limit=65536), await site.connect(limit=65536)
        for _, writer in (slow, mute):
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        while not site.reasons:
            await slow[0].read(65536)
            site.runtime.sweep(asyncio.get_running_loop().time())
            await asyncio.sleep(0.001)
        assert site.reasons == ["write_timeout"]
        assert len(site.runtime.connections) == 1
        await end(slow[1])
        await end(mute[1])

    assert len(run(serve, talk, Settings(write_timeout=3.0))) == 2


def test_a_backend_that_takes_nothing_is_given_up_in_time(run: Callable[..., list[int]]):
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (1 << 40) + LONG * 8)
        await site.until(lambda: site.reasons == ["upstream_timeout"])
        assert (await read_head(reader)).startswith(b"http/1.1 504")
        over.set()
        writer.transport.abort()

    assert len(run(serve, talk, Settings(write_timeout=0.5))) == 1


def test_an_early_answer_ends_the_request(run: Callable[..., list[int]]):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        await reader.readexactly(500_000)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(LONG) + LONG[:1_000_000])
        head = await read_head(reader)
        assert head.startswith(b"http/1.1 413")
        assert b"connection: close" in head
        assert await reader.read() == b""
        await end(writer)

    assert len(run(serve, talk)) == 1


def test_a_backend_that_takes_next_to_nothing_is_given_up_as_such(
    run: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
):
    """What waits for it in the transport is less than a buffer, and nothing can be moved before that is gone."""
    made = Upstream1.connection_made

    def small(self: Upstream1, transport: Any) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made(self, transport)

    monkeypatch.setattr(Upstream1, "connection_made", small)
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        writer.transport.abort()

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (1 << 40) + LONG[:800_000])
        await site.until(lambda: site.reasons)
        over.set()
        assert site.reasons == ["upstream_timeout"]
        assert (await read_head(reader)).startswith(b"http/1.1 504")
        writer.transport.abort()

    settings = Settings(write_timeout=0.5, body_read_timeout=3.0, buffer_bytes=2_000_000)
    assert len(run(serve, talk, settings)) == 1


def test_a_response_without_a_length_that_is_reset_while_the_request_is_moved_does_not_look_complete(
    run: Callable[..., list[int]],
):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nthe beginning")
        await reader.readexactly(1_000_000)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (1 << 40))
        sending = asyncio.create_task(send_on(writer))
        assert b"transfer-encoding: chunked" in await read_head(reader)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readuntil(b"\r\n0\r\n\r\n")
        await sending
        await end(writer)
        await site.until(lambda: site.reasons == ["upstream_cut_body"])

    assert len(run(serve, talk)) == 1


async def send_on(writer: asyncio.StreamWriter) -> None:
    """Send until nobody takes it any more."""
    try:
        while True:
            writer.write(LONG)
            await writer.drain()
    except (OSError, RuntimeError):  # the second is uvloop's, of a write after the end
        pass


@pytest.mark.parametrize(
    ("moved", "rule"),
    [(1, {"timeouts": Timeouts(request=PATIENCE)}), (0, {"retry": Retry(attempts=1)})],
    ids=["timeouts", "retry"],
)
def test_a_request_that_may_be_sent_again_is_not_moved_past_us(
    run: Callable[..., list[int]], moved: int, rule: dict[str, Any]
):
    bodies = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        bodies.append(await reader.readexactly(len(LONG)))
        writer.write(HEAD % 2 + b"ok")
        await reader.read()
        await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(LONG) + LONG)
        assert (await read_head(reader)).startswith(b"http/1.1 200")
        await end(writer)

    assert len(run(serve, talk, **rule)) == moved
    assert bodies == [LONG]


def test_without_a_pipe_bodies_go_the_common_way(run: Callable[..., list[int]]):
    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await read_head(reader)
        assert await reader.readexactly(len(LONG)) == LONG
        await end(writer)

    assert run(answers, talk, pipes=0) == []


def test_the_number_of_pipes_is_bounded():
    pipes = Pipes(2)
    one, other = pipes.take(), pipes.take()
    assert one is not None
    assert other is not None
    assert pipes.take() is None
    one.held = 1  # what it holds is nobody's any more
    pipes.give_back(one)
    pipes.give_back(other)
    assert pipes.take() is other
    fresh = pipes.take()
    assert fresh is not None
    assert fresh is not one
    for pipe in (fresh, other):
        pipe.close()


def _refuse(*_: int) -> int:
    raise PermissionError


@pytest.mark.parametrize("there", [True, False])
def test_there_are_no_pipes_where_splice_is_refused_or_unknown(monkeypatch: pytest.MonkeyPatch, *, there: bool):
    before = descriptors()
    if there:
        monkeypatch.setattr(os, "splice", _refuse)
    else:
        monkeypatch.delattr(os, "splice")
    assert Pipes(2).take() is None
    assert descriptors() == before
