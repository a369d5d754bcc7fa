"""Bytes that a backend sends behind a response, maybe because a client made it (CL.0), are the answer to no other
request, though a read, or the kernel that moves a long body, stopped where the response ends and left them unread.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
import uvloop

from gatewayd.proxy.http1 import response as response1
from gatewayd.proxy.http1.sips import SIP, unread
from gatewayd.routing.snapshot import Settings
from tests.processes import PATIENCE
from tests.proxy.conversation import GET, Conversation, message
from tests.proxy.sockets import HEAD, LONG, Site, end, gateway, read_head

SPARE = HEAD % 6 + b"POISON"


class Poisoner:
    """A backend that answers its first request with the long body and one response more, all others with `ok`."""

    def __init__(self) -> None:
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.transport.set_write_buffer_limits(0)
        body, spare = (LONG, SPARE) if self.connections == 1 else (b"ok", b"")
        try:
            while True:
                await read_head(reader)
                writer.write(HEAD % len(body) + body[:-1])
                await writer.drain()
                writer.write(body[-1:] + spare)  # one segment: who has the end of the body has these
        except (OSError, asyncio.IncompleteReadError):
            await end(writer)


@pytest.mark.parametrize("pipes", [128, 0])
def test_spare_bytes_behind_a_long_body_reach_nobody(tmp_path: Path, pipes: int) -> None:
    backend = Poisoner()

    async def whole() -> None:
        async with gateway(backend.serve, tmp_path / "log", Settings(), {}) as site, asyncio.timeout(PATIENCE):
            site.runtime.pipes._left = pipes
            await talk(site)

    async def talk(site: Site) -> None:
        reader, writer = await site.connect()
        writer.write(GET * 3)
        await read_head(reader)
        assert await reader.readexactly(len(LONG)) == LONG
        for _ in range(2):
            await read_head(reader)
            assert await reader.readexactly(2) == b"ok"
        assert site.runtime.counts.upstream_spare_bytes == 1
        await end(writer)

    uvloop.run(whole())
    assert backend.connections == 2


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What the sockets hold behind what was read; the last is for all further looks."""
    left = [0]
    monkeypatch.setattr(response1, "unread", lambda _transport: left.pop(0) if len(left) > 1 else left[0])
    return left


def chunked(size: int) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (size, b"x" * size)


SIZED = message("HTTP/1.1 200 OK", f"content-length: {SIP}", body=b"x" * SIP)
CODED = message("HTTP/1.1 200 OK", "transfer-encoding: chunked", body=chunked(SIP))


@pytest.mark.parametrize("response", [SIZED, CODED])
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("spare", [0, 6])
def test_a_read_that_ends_with_the_response_is_looked_behind(
    talk: Conversation, behind: list[int], response: bytes, whole: bool, spare: int
) -> None:
    behind[:] = [spare]
    talk.client().sends(GET)
    backend = talk.backend()
    head = response.index(b"\r\n\r\n") + 4
    for part in (response,) if whole else (response[:head], response[head:]):
        backend.sends(part)
    assert talk.runtime.counts.upstream_spare_bytes == bool(spare)
    talk.client().sends(GET)
    assert talk.asks == bool(spare)  # a connection of its own, or the one that is kept


def test_short_reads_are_worth_no_look(talk: Conversation, behind: list[int]) -> None:
    """They left nothing in the socket; what comes later is seen when it comes."""
    behind[:] = [6]
    talk.client().sends(GET)
    talk.backend().sends(message("HTTP/1.1 200 OK", "content-length: 2", body=b"ok"))
    assert talk.runtime.counts.upstream_spare_bytes == 0


def test_what_a_socket_holds() -> None:
    class Transport:
        def __init__(self, sock: Any) -> None:
            self.get_extra_info = {"socket": sock}.get

    one, other = socket.socketpair()
    with one, other:
        assert unread(Transport(one)) == 0
        other.sendall(b"spare!")
        assert unread(Transport(one)) == 6
        assert one.recv(9) == b"spare!"
    assert unread(Transport(one)) == unread(Transport(None)) == 0
