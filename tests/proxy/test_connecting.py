"""Connections to backends that are made at the very moment at which their time is over, over real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gatewayd.proxy.http1.upstream import Upstream1
from gatewayd.routing.snapshot import Settings
from tests.processes import PATIENCE
from tests.proxy.sockets import HEAD, Site, end, gateway, read_head


def test_a_connection_made_when_its_time_is_over_is_used_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = Upstream1.connection_made

    def late(self: Upstream1, transport: Any) -> None:
        made(self, transport)
        for attempt in self.runtime.connector.attempts:  # as a sweep does, before the task learns of its success
            attempt.expire(attempt.deadline)

    monkeypatch.setattr(Upstream1, "connection_made", late)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(HEAD % 2 + b"ok")
        await reader.read()
        await end(writer)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        assert (await read_head(reader)).startswith(b"http/1.1 200")
        await end(writer)
        site.runtime.drain()
        await site.until(lambda: not site.runtime.timed)
        assert site.runtime.backends["b"].open == 0

    async def whole() -> None:
        async with gateway(serve, tmp_path / "log", Settings(), {}) as site, asyncio.timeout(PATIENCE):
            await talk(site)

    uvloop.run(whole())
