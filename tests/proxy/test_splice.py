"""Long bodies that the kernel moves, over real sockets: they arrive whole, and end well wherever one side fails."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gatewayd.observe.access import AccessLog
from gatewayd.proxy import splice
from gatewayd.proxy.pipe import Pipes
from gatewayd.proxy.runtime import Runtime
from gatewayd.routing.snapshot import (
    BackendPlan,
    ListenerPlan,
    PortPlan,
    Retry,
    RoutePlan,
    RulePlan,
    Settings,
    SharePlan,
    Snapshot,
    Timeouts,
    difference,
)
from tests.processes import PATIENCE

LONG = random.Random(1).randbytes(3_000_017)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Talk = Callable[["Site"], Awaitable[None]]


class Site:
    """A gateway with one port in clear text, and its one backend, which does what a test wants of it."""

    def __init__(self, port: int, runtime: Runtime, log: int) -> None:
        self.port = port
        self.runtime = runtime
        self._log = log

    async def connect(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, **options)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait, with the sweeps that a worker makes."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.runtime.sweep(asyncio.get_running_loop().time())
                await asyncio.sleep(0.01)

    @property
    def reasons(self) -> list[str]:
        """The reason words of the access lines so far."""
        self.runtime.access.flush()
        return [line.split(b'"reason":"')[1].split(b'"')[0].decode() for line in self._lines() if b'"reason":"' in line]

    def _lines(self) -> list[bytes]:
        return os.pread(self._log, 1 << 20, 0).splitlines()


@asynccontextmanager
async def gateway(serve: Serve, log: Path, settings: Settings, rule: dict[str, Any]) -> AsyncIterator[Site]:
    backend = await asyncio.start_server(serve, "127.0.0.1", 0)
    listening = socket.create_server(("127.0.0.1", 0))
    shares = (SharePlan(backend="b"),)
    route = RoutePlan(key="r", kind="HTTPRoute", namespace="n", name="r", rules=(
        RulePlan(index=0, source="", shares=shares, **rule),
    ))  # fmt: skip
    plan = ListenerPlan(key="l", gateway="g", name="l", protocol="HTTP", hosts={b"": ("r",)}, settings="s")
    port = PortPlan(key="p", address="", port=1, number=1, transport="http", listeners=(plan,))
    endpoint = backend.sockets[0].getsockname()
    snapshot = Snapshot(
        generation=1,
        ports={"p": port},
        routes={"r": route},
        backends={"b": BackendPlan(key="b", endpoints=(endpoint,))},
        settings={"s": settings},
    )
    lines = os.open(log, os.O_RDWR | os.O_CREAT)
    runtime = Runtime(asyncio.get_running_loop(), 0, AccessLog(lines))
    runtime.apply(difference(Snapshot(), snapshot), {"p": [listening]})
    site = Site(listening.getsockname()[1], runtime, lines)
    try:
        yield site
        assert not runtime.errors
    finally:
        runtime.drain()
        runtime.abort()
        backend.close()
        os.close(lines)


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
                before = _descriptors()
                async with asyncio.timeout(PATIENCE):
                    await talk(site)
                    site.runtime.drain()
                    await site.until(lambda: _descriptors() - len(site.runtime.pipes._free) * 2 <= before)

        uvloop.run(whole())
        return asked

    return start


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass


async def _head(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readuntil(b"\r\n\r\n")).lower()


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A backend that answers each request with the long body."""
    try:
        while True:
            await _head(reader)
            writer.write(HEAD % len(LONG) + LONG)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError):
        await _end(writer)


def test_responses_arrive_whole_and_the_next_follows_on_the_same_connections(run: Callable[..., list[int]]):
    connections = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        await answers(reader, writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n" * 3)
        for _ in range(3):
            assert (await _head(reader)).startswith(b"http/1.1 200")
            assert await reader.readexactly(len(LONG)) == LONG
        await _end(writer)
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
                await _head(reader)
                bodies.append(await reader.readexactly(len(LONG)))
                writer.write(HEAD % 2 + b"ok")
        except (OSError, asyncio.IncompleteReadError):
            await _end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write((b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(LONG) + LONG) * 3)
        for _ in range(3):
            assert await reader.readexactly(len(await _head(reader)) and 2) == b"ok"
        await _end(writer)
        await site.until(lambda: not site.runtime.connections)

    assert len(run(serve, talk)) == 3
    assert bodies == [LONG] * 3
    assert len(connections) == 1


def test_both_ways_at_once(run: Callable[..., list[int]]):
    bodies = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(HEAD % len(LONG) + LONG)
        bodies.append(await reader.readexactly(len(LONG)))
        await writer.drain()
        await _end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(LONG) + LONG)
        await _head(reader)
        assert await reader.readexactly(len(LONG)) == LONG
        await site.until(lambda: bodies)
        await _end(writer)

    assert len(run(serve, talk)) == 2
    assert bodies == [LONG]


@pytest.mark.parametrize("size", [0, 1000, 1_000_000])
def test_a_backend_that_ends_early_cuts_the_response(run: Callable[..., list[int]], size: int):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        writer.write(HEAD % len(LONG) + LONG[:size])
        await writer.drain()
        await _end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await _head(reader)
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await reader.readexactly(len(LONG))
        await _end(writer)
        await site.until(lambda: site.reasons == ["upstream_cut_body"])

    assert len(run(serve, talk)) == 1


@pytest.mark.parametrize("way", ["GET", "POST"])
def test_a_client_that_leaves_lets_go_of_the_backend(run: Callable[..., list[int]], way: str):
    gone = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _head(reader)
            if way == "GET":
                while True:
                    writer.write(HEAD % (1 << 40) + LONG)
                    await writer.drain()
            while await reader.read(65536):
                pass
        except OSError:
            pass
        gone.append(True)
        await _end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        if way == "GET":
            writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            await _head(reader)
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
            await _head(reader)
            while True:
                writer.write(HEAD % (1 << 40) + LONG)
                await writer.drain()
        except OSError:
            await _end(writer)

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
        await _end(slow[1])
        await _end(mute[1])

    assert len(run(serve, talk, Settings(write_timeout=3.0))) == 2


def test_a_backend_that_takes_nothing_is_given_up_in_time(run: Callable[..., list[int]]):
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        await _end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % (1 << 40) + LONG * 8)
        await site.until(lambda: site.reasons == ["upstream_timeout"])
        assert (await _head(reader)).startswith(b"http/1.1 504")
        over.set()
        writer.transport.abort()

    assert len(run(serve, talk, Settings(write_timeout=0.5))) == 1


def test_an_early_answer_ends_the_request(run: Callable[..., list[int]]):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _head(reader)
        await reader.readexactly(500_000)
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        await reader.read()
        await _end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(LONG) + LONG[:1_000_000])
        head = await _head(reader)
        assert head.startswith(b"http/1.1 413")
        assert b"connection: close" in head
        assert await reader.read() == b""
        await _end(writer)

    assert len(run(serve, talk)) == 1


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
        await _head(reader)
        bodies.append(await reader.readexactly(len(LONG)))
        writer.write(HEAD % 2 + b"ok")
        await reader.read()
        await _end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(LONG) + LONG)
        assert (await _head(reader)).startswith(b"http/1.1 200")
        await _end(writer)

    assert len(run(serve, talk, **rule)) == moved
    assert bodies == [LONG]


def test_without_a_pipe_bodies_go_the_common_way(run: Callable[..., list[int]]):
    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        await _head(reader)
        assert await reader.readexactly(len(LONG)) == LONG
        await _end(writer)

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
