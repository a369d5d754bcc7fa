"""Backends in the experiment's own process: a right one, whose answers prove whose they are, and ground for others."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults.stage.client import content

HEAD = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n((?:[^\r\n]+\r\n)*)\r\n")


@dataclass(frozen=True)
class Request:
    """One request as it arrived, with its whole body."""

    method: str
    path: str
    identity: int
    body: bytes
    serial: int  # 1 is the first on its connection


class Peer(asyncio.Protocol):
    """One connection of the gateway. `answer` is what the backend does with each request."""

    def __init__(self, answer: Callable[[Peer, Request], None], backend: Backend | None = None) -> None:
        self._answer = answer
        self._backend = backend
        self._data = b""
        self.requests = 0
        self.lost = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if self._backend is not None:
            self._backend.peers.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (request := self._take()) is not None:
            if self._backend is not None:
                self._backend.seen[request.identity] += 1
            self._answer(self, request)

    def _take(self) -> Request | None:
        found = HEAD.match(self._data)
        if found is None:
            return None
        length = re.search(rb"(?i)^content-length: (\d+)\r", found[3], re.MULTILINE)
        end = found.end() + (int(length[1]) if length else 0)
        if len(self._data) < end:
            return None
        body, self._data = self._data[found.end() : end], self._data[end:]
        identity = re.search(rb"(?i)^x-id: (\d+)\r", found[3], re.MULTILINE)
        self.requests += 1
        return Request(found[1].decode(), found[2].decode(), int(identity[1]) if identity else 0, body, self.requests)

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        if not self.lost:
            self.transport.write(data)

    def reset(self) -> None:
        """Close with RST: unread or unsent bytes are thrown away."""
        if not self.lost:
            linger = b"\x01\0\0\0\0\0\0\0"
            self.transport.get_extra_info("socket").setsockopt(1, 13, linger)  # SOL_SOCKET, SO_LINGER
            self.transport.abort()


class Backend:
    """A listening backend. `peers` are all connections it ever had, `seen` how often each request arrived."""

    def __init__(self, answer: Callable[[Peer, Request], None] | None = None) -> None:
        self.peers: list[Peer] = []
        self.seen: Counter[int] = Counter()
        self.answer = answer or witness
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Peer(self.answer, self), "127.0.0.1", port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._server is not None:
            self._server.close()
        for peer in self.peers:
            if not peer.lost:
                peer.transport.abort()


def right(request: Request, fields: bytes = b"") -> bytes:
    """The answer that proves whose it is: identity and content."""
    body = content(request.identity)
    head = b"HTTP/1.1 200 OK\r\nx-id: %d\r\ncontent-length: %d\r\n%b\r\n" % (request.identity, len(body), fields)
    return head if request.method == "HEAD" else head + body


def witness(peer: Peer, request: Request) -> None:
    """Answer rightly."""
    peer.write(right(request))
