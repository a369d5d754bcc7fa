"""The admin API's server: a few answers over HTTP/1.1, spoken through h11, for GET and HEAD only.

It knows no gateway: what a path answers is a function that it is given.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast

import h11

from gatewayd.observe.log import Log, describe

HEAD_BYTES = 16 * 1024
TIMEOUT = 10.0  # seconds for a head, and for the client to take an answer
IDLE_TIMEOUT = 60.0  # seconds between two requests
CONNECTIONS = 64
SAFE = (
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
)


@dataclass(frozen=True)
class Answer:
    """The answer to one request."""

    body: bytes
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"


Make = Callable[[], Awaitable[Answer]]


class Admin:
    """The answers by path, and the connections that ask for them."""

    def __init__(self, answers: Mapping[str, Make], log: Log) -> None:
        self._answers = answers
        self._log = log
        self._loopback = False
        self._server: asyncio.Server | None = None
        self.connections: set[AdminConnection] = set()

    async def listen(self, loop: asyncio.AbstractEventLoop, host: str, port: int) -> int:
        """Accept from now on; the port in use. OSError when the address cannot be bound."""
        self._loopback = _is_loopback(host)
        self._server = await loop.create_server(lambda: AdminConnection(self, loop), host, port, reuse_address=True)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Stop, and cut what is open."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()

    async def answer(self, request: h11.Request) -> Answer:
        """What a request asks for."""
        if self._loopback and not _names_loopback(request):
            return Answer(b"this address answers to its own name only\n", 403)
        path = request.target.partition(b"?")[0].decode("latin-1")
        make = self._answers.get(path)
        if make is None:
            return Answer(("not found; there are " + " ".join(sorted(self._answers)) + "\n").encode(), 404)
        if request.method not in (b"GET", b"HEAD"):
            return Answer(b"only GET and HEAD\n", 405)
        try:
            return await make()
        except Exception as error:  # noqa: BLE001 - one answer's defect is no reason for the others to be gone
            self._log.error("an admin document failed", path=path, error=describe(error))
            return Answer(b"this document cannot be made; the log says why\n", 500)


class AdminConnection(asyncio.Protocol):
    """One client: one request at a time, h11 keeps the state."""

    def __init__(self, admin: Admin, loop: asyncio.AbstractEventLoop) -> None:
        self._admin = admin
        self._loop = loop
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._request: h11.Request | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the client, unless there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._admin.connections) >= CONNECTIONS:
            self._transport.abort()
            return
        self._admin.connections.add(self)
        self._expect(TIMEOUT)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        del exc
        self._admin.connections.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed h11, and answer what it makes of it."""
        try:
            self._protocol.receive_data(data)
            self._advance()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def eof_received(self) -> bool:
        """A client that has said all may still wait for its answer."""
        self.data_received(b"")
        return self._task is not None

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _expect(self, seconds: float) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(seconds, self.abort)

    def _advance(self) -> None:
        while self._task is None:
            event = self._protocol.next_event()
            if isinstance(event, h11.Request):
                self._request = event
            elif isinstance(event, h11.EndOfMessage) and self._request is not None:
                self._expect(TIMEOUT)
                self._task = self._loop.create_task(self._answer(self._request))
            elif isinstance(event, h11.ConnectionClosed):
                self._close()
                return
            elif event in (h11.NEED_DATA, h11.PAUSED):
                return

    async def _answer(self, request: h11.Request) -> None:
        self._write(await self._admin.answer(request), head=request.method == b"HEAD")
        self._task = None
        if self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
            self._close()
            return
        self._protocol.start_next_cycle()
        self._expect(IDLE_TIMEOUT)
        try:
            self._advance()  # what a client sent ahead waits inside h11
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint)

    def _write(self, answer: Answer, head: bool = False) -> None:
        fields = [("content-type", answer.content_type), ("content-length", str(len(answer.body))), *SAFE]
        if answer.status == 405:
            fields.append(("allow", "GET, HEAD"))
        response = h11.Response(status_code=answer.status, headers=fields, reason=HTTPStatus(answer.status).phrase)
        parts = [self._protocol.send(response)]
        if not head:
            parts.append(self._protocol.send(h11.Data(data=answer.body)))
        parts.append(self._protocol.send(h11.EndOfMessage()))
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(part for part in parts if part))

    def _refuse(self, status: int) -> None:
        if self._task is None and self._protocol.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._write(Answer(b"malformed request\n", status))
        self._close()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _names_loopback(request: h11.Request) -> bool:
    """Whether Host is a name of the loopback address: a web page can make a browser ask here under a name of its own
    (DNS rebinding), but not under one of these.
    """
    hosts = [value for name, value in request.headers if name == b"host"]
    host = hosts[0].decode("latin-1") if hosts else "localhost"
    name = host[1:].partition("]")[0] if host.startswith("[") else host.rpartition(":")[0] or host
    return _is_loopback(name.lower())


def split(address: str) -> tuple[str, int]:
    """(host, port) of HOST:PORT or [HOST]:PORT; ValueError for anything else."""
    host, colon, port = address.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{address!r} is not HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)
