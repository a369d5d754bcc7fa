"""A gateway with one TLS listener between real sockets, in one loop with its clients and the backend of a test."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop

from gatewayd.observe.access import AccessLog
from gatewayd.proxy.runtime import Runtime
from gatewayd.routing.change import difference
from gatewayd.routing.snapshot import (
    BackendPlan,
    CertificatePlan,
    ListenerPlan,
    PortPlan,
    RoutePlan,
    RulePlan,
    Settings,
    SharePlan,
    Snapshot,
)
from tests.certificates import self_signed
from tests.processes import PATIENCE
from tests.proxy.sockets import Site
from tests.wire.test_clienthello import hello

NAME = "a.example"
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Talk = Callable[["TlsSite"], Awaitable[None]]
SHARE = SharePlan(backend="b")


@cache
def certificate() -> CertificatePlan:
    """A certificate for the name."""
    with TemporaryDirectory() as folder:
        chain, key = Path(folder, "crt"), Path(folder, "key")
        self_signed(NAME, chain, key)
        return CertificatePlan("n/c", chain.read_bytes(), key.read_bytes(), (NAME.encode(),))


class TlsSite(Site):
    """What reached the backend is awaited as a connection of its own: `backend()`."""

    arrived: asyncio.Queue[Connection]

    async def secure(self) -> Connection:
        """A client that verifies the certificate."""
        context = ssl.create_default_context(cadata=certificate().chain.decode())
        return await self.connect(ssl=context, server_hostname=NAME)

    async def backend(self) -> Connection:
        """The next connection that came to the backend."""
        return await self.arrived.get()

    async def both(self) -> tuple[Connection, Connection]:
        """A client of TLS, and the connection that it has at the backend."""
        return await self.secure(), await self.backend()

    async def ended(self, reason: str) -> None:
        """Wait for the access line of a stream with this reason."""
        await self.until(lambda: reason in self.reasons)

    async def greet(self) -> Connection:
        """A client whose hello is sent, and whatever else is left to the test."""
        reader, writer = await self.connect()
        writer.write(hello(NAME, ()))
        return reader, writer


def snapshot(share: SharePlan, settings: Settings, endpoints: tuple[tuple[str, int], ...], secret: str) -> Snapshot:
    """One route on one listener, which decrypts where it has a `secret`."""
    keys = (secret,) if secret else ()
    route = RoutePlan(key="r", kind="TLSRoute", namespace="n", name="r", rules=(RulePlan(index=0, shares=(share,)),))
    plan = ListenerPlan(
        key="l", gateway="g", name="l", protocol="TLS", passthrough=not keys, certificates=keys, settings="s",
        hosts={NAME.encode(): ("r",)},
    )  # fmt: skip
    port = PortPlan(key="p", address="", port=1, number=1, transport="tls", listeners=(plan,))
    return Snapshot(
        generation=1,
        ports={"p": port},
        routes={"r": route},
        backends={"b": BackendPlan(key="b", endpoints=endpoints)},
        certificates={secret: certificate()} if secret else {},
        settings={"s": settings},
    )


@asynccontextmanager
async def _gateway(log: Path, share: SharePlan, settings: Settings, secret: str) -> AsyncIterator[TlsSite]:
    arrived: asyncio.Queue[Connection] = asyncio.Queue()
    backend = await asyncio.start_server(lambda *both: arrived.put_nowait(both), "127.0.0.1", 0)
    listening = socket.create_server(("127.0.0.1", 0))
    lines = os.open(log, os.O_RDWR | os.O_CREAT)
    runtime = Runtime(asyncio.get_running_loop(), 0, AccessLog(lines))
    plan = snapshot(share, settings, (backend.sockets[0].getsockname(),), secret)
    runtime.apply(difference(Snapshot(), plan), {"p": [listening]})
    site = TlsSite(listening.getsockname()[1], runtime, lines)
    site.arrived = arrived
    try:
        yield site
        assert not runtime.errors
    finally:
        runtime.drain()
        runtime.abort()
        backend.close()
        os.close(lines)


def run(talk: Talk, scratch: Path, *, ends_here: bool = True, share: SharePlan = SHARE, **settings: Any) -> None:
    """Let a test talk with a gateway that decrypts, or that lets TLS pass through."""
    kept, secret = Settings(**settings), "n/c" if ends_here else ""

    async def main() -> None:
        async with asyncio.timeout(PATIENCE), _gateway(scratch / "log", share, kept, secret) as site:
            await talk(site)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
