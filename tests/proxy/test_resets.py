"""A tunnel or a stream that was cut at one end is cut at the other, and one that ended ends: over real sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gatewayd.observe.access import AccessLog
from gatewayd.proxy.reset import reset_at_close
from gatewayd.proxy.runtime import Runtime
from gatewayd.routing.change import difference
from gatewayd.routing.snapshot import (
    BackendPlan,
    ListenerPlan,
    PortPlan,
    RoutePlan,
    RulePlan,
    Settings,
    SharePlan,
    Snapshot,
)
from tests.processes import PATIENCE
from tests.proxy.sockets import HEAD, end, gateway, read_head

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Pair = Callable[[Stream, Stream, Runtime], Awaitable[None]]
ASK = b"GET /ws HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
BULK = os.urandom(1 << 20)
MID_FRAME = b"\x82\x7e\xff\xff begun and not complete"


def cut(stream: Stream) -> None:
    """Leave with RST."""
    reset_at_close(stream[1].get_extra_info("socket"))
    stream[1].transport.abort()


async def ending(stream: Stream) -> type[BaseException] | None:
    """How the stream ends for who reads it."""
    try:
        while await stream[0].read(1 << 16):
            pass
    except ConnectionResetError as error:
        return type(error)
    return None


async def tunnel(log: Path, body: Pair) -> None:
    came: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert b"get /ws" in await read_head(reader)
        writer.write(SWITCH)
        came.set_result((reader, writer))

    async with gateway(serve, log, Settings(), {}) as site:
        client = await site.connect()
        client[1].write(ASK)
        assert b" 101 " in await read_head(client[0])
        await body(client, await came, site.runtime)
        await site.until(lambda: not site.runtime.connections)


async def tcp(log: Path, body: Pair) -> None:
    came: asyncio.Future[Stream] = asyncio.get_running_loop().create_future()
    backend = await asyncio.start_server(lambda *stream: came.set_result(stream), "127.0.0.1", 0)
    listening = socket.create_server(("127.0.0.1", 0))
    rule = RulePlan(index=0, shares=(SharePlan(backend="b"),))
    route = RoutePlan(key="r", kind="TCPRoute", namespace="n", name="r", rules=(rule,))
    plan = ListenerPlan(key="l", gateway="g", name="l", protocol="TCP", hosts={b"": ("r",)})
    port = PortPlan(key="p", address="", port=1, number=1, transport="tcp", listeners=(plan,))
    to = BackendPlan(key="b", endpoints=(backend.sockets[0].getsockname(),))
    snapshot = Snapshot(generation=1, ports={"p": port}, routes={"r": route}, backends={"b": to})
    lines = os.open(log, os.O_RDWR | os.O_CREAT)
    runtime = Runtime(asyncio.get_running_loop(), 0, AccessLog(lines))
    runtime.apply(difference(Snapshot(), snapshot), {"p": [listening]})
    try:
        client = await asyncio.open_connection(*listening.getsockname())
        await body(client, await came, runtime)
        while runtime.connections:
            await asyncio.sleep(0.01)
    finally:
        runtime.drain()
        runtime.abort()
        backend.close()
        os.close(lines)


WAYS: dict[str, Callable[[Path, Pair], Awaitable[None]]] = {"tunnel": tunnel, "tcp": tcp}


def run(way: str, log: Path, body: Pair) -> None:
    async def whole() -> None:
        async with asyncio.timeout(PATIENCE):
            await WAYS[way](log, body)

    uvloop.run(whole())


async def some(near: Stream, far: Stream) -> None:
    near[1].write(b"some")
    assert await far[0].readexactly(4) == b"some"


async def much(near: Stream, far: Stream) -> None:
    near[1].write(BULK)
    assert await far[0].readexactly(len(BULK)) == BULK


async def unread(near: Stream, far: Stream) -> None:
    """The gateway holds bytes that the other end does not take: it looks at nothing that comes after them."""
    near[1].write(BULK * 8)


@pytest.mark.parametrize("before", [some, much, unread])
@pytest.mark.parametrize("leaver", [0, 1], ids=["client", "backend"])
@pytest.mark.parametrize("way", WAYS)
def test_a_reset_arrives_as_a_reset(tmp_path: Path, way: str, leaver: int, before: Any):
    async def body(client: Stream, backend: Stream, runtime: Runtime) -> None:
        near, far = (client, backend) if leaver == 0 else (backend, client)
        await before(near, far)
        cut(near)
        assert await ending(far) is ConnectionResetError
        await end(far[1])

    run(way, tmp_path / "log", body)


@pytest.mark.parametrize("leaver", [0, 1], ids=["client", "backend"])
@pytest.mark.parametrize("way", WAYS)
def test_an_end_arrives_as_an_end_and_a_reset_after_it_as_a_reset(tmp_path: Path, way: str, leaver: int):
    """Half-closed by the one, then cut by the other."""

    async def body(client: Stream, backend: Stream, runtime: Runtime) -> None:
        near, far = (client, backend) if leaver == 0 else (backend, client)
        near[1].write_eof()
        assert await ending(far) is None
        await some(far, near)
        cut(far)
        assert await ending(near) is ConnectionResetError
        await end(near[1])

    run(way, tmp_path / "log", body)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_silent_for_too_long_is_cut_at_both_ends(tmp_path: Path, way: str):
    async def body(client: Stream, backend: Stream, runtime: Runtime) -> None:
        (connection,) = runtime.connections
        connection.expire(connection.deadline + 1)
        assert [await ending(stream) for stream in (client, backend)] == [ConnectionResetError] * 2
        for stream in (client, backend):
            await end(stream[1])

    run(way, tmp_path / "log", body)


@pytest.mark.parametrize("sent", [b"\x82\x01x", MID_FRAME], ids=["between frames", "in a frame"])
def test_a_tunnel_that_is_cut_when_the_gateway_ends_is_told_or_reset(tmp_path: Path, sent: bytes):
    """A WebSocket between two frames is told by one (1001); in the midst of a frame only a reset can say it."""

    async def body(client: Stream, backend: Stream, runtime: Runtime) -> None:
        backend[1].write(sent)
        assert await client[0].readexactly(len(sent)) == sent
        runtime.abort()
        if sent == MID_FRAME:
            assert await ending(client) is ConnectionResetError
        else:
            assert await client[0].read() == b"\x88\x02\x03\xe9"
        await end(client[1])
        await end(backend[1])

    run("tunnel", tmp_path / "log", body)


def test_a_long_body_that_is_reset_is_told_at_once(tmp_path: Path):
    """Behind more bytes than one read takes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(HEAD % (1 << 30) + BULK * 8)
        cut((reader, writer))

    async def whole() -> None:
        async with gateway(serve, tmp_path / "log", Settings(), {}) as site, asyncio.timeout(PATIENCE):
            client = await site.connect()
            client[1].write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            assert await ending(client) is ConnectionResetError
            await end(client[1])
            assert site.reasons == ["upstream_cut_body"]

    uvloop.run(whole())
