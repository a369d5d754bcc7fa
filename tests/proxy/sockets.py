"""A gateway between real sockets, in one loop with the clients and the backend of a test."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gatewayd.observe.access import AccessLog
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
        RulePlan(index=0, shares=shares, **rule),
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


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def end(writer: asyncio.StreamWriter) -> None:
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        pass


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readuntil(b"\r\n\r\n")).lower()
