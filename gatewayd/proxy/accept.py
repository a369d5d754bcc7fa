"""Accepting connections, with our own loop: out of descriptors is a pause, not a storm.

An Acceptor takes connections from one listening socket and hands each to what its port speaks: HTTP, HTTPS (after the
ClientHello was read) or raw TCP.
"""

from __future__ import annotations

import socket
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.http1.downstream import Downstream1
from gatewayd.proxy.http2.downstream import Downstream2
from gatewayd.proxy.stream import Stream
from gatewayd.proxy.tls import TlsConnection
from gatewayd.wire.clienthello import MAX_HELLO, parse_client_hello

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.proxy.port import Port
    from gatewayd.routing.hosts import HostTable
    from gatewayd.routing.snapshot import ListenerPlan

_BATCH = 64  # accepted in one turn, so that a flood of connects does not starve those that are served
_QUEUE = 4096  # as many may wait in a socket; closing it resets those that are left
_UNRECOGNIZED_NAME = b"\x15\x03\x01\x00\x02\x02\x70"  # fatal alert 112 (RFC 6066 section 3)


class Acceptor:
    """One listening socket of this worker."""

    __slots__ = ("_paused", "contexts", "port", "runtime", "sock")

    def __init__(self, port: Port, sock: socket.socket) -> None:
        self.port = port
        self.runtime = port.runtime
        self.sock = sock
        self.contexts: HostTable[tuple[ListenerPlan, HostTable[ssl.SSLContext]]] | None = None
        self._paused = True
        sock.setblocking(False)
        if self.runtime.admission.open:
            self.resume()

    def resume(self) -> None:
        """Accept (again)."""
        if self._paused:
            self._paused = False
            self.runtime.loop.add_reader(self.sock.fileno(), self._accept)

    def pause(self) -> None:
        """Leave connections in the queue of the socket."""
        if not self._paused:
            self._paused = True
            self.runtime.loop.remove_reader(self.sock.fileno())

    def drain(self) -> None:
        """Take what waits in the queue, then stop."""
        if not self._paused:
            self._accept(_QUEUE)
        self.close()

    def close(self) -> None:
        """Stop for good."""
        self.pause()
        self.sock.close()

    def _accept(self, most: int = _BATCH) -> None:
        for _ in range(most):
            if self.runtime.admission.full():
                return
            try:
                sock, peer = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # EMFILE, ENFILE, ENOBUFS, ENOMEM: the next sweep tries again
                self.runtime.admission.pause()
                return
            sock.setblocking(False)
            self.runtime.counts.connections_accepted += 1
            self._take(sock, peer)

    def _take(self, sock: socket.socket, peer: Any) -> None:
        transport = self.port.plan.transport
        if transport == "tcp":
            Stream(self.port, sock, peer).start()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if transport == "https":
            Greeting(self, sock)
        else:
            self.runtime.spawn(self._plain(sock))

    async def _plain(self, sock: socket.socket) -> None:
        try:
            await self.runtime.loop.connect_accepted_socket(lambda: Downstream1(self.port), sock)
        except OSError:
            sock.close()

    async def secure(self, sock: socket.socket, context: ssl.SSLContext, listener: str) -> None:
        """The handshake, with the context that the ClientHello chose."""

        def make(alpn: str | None) -> Downstream1 | Downstream2:
            return Downstream2(self.port, listener) if alpn == "h2" else Downstream1(self.port, listener)

        try:
            await self.runtime.loop.connect_accepted_socket(lambda: TlsConnection(self.port, context, make), sock)
        except OSError:
            self.runtime.counts.tls_handshake_failures += 1
            sock.close()


class Greeting:
    """A TLS connection whose ClientHello is awaited. The bytes are looked at (MSG_PEEK), not taken: the handshake reads
    them again. While a hello is incomplete, SO_RCVLOWAT keeps the socket quiet until more has come.
    """

    __slots__ = ("_acceptor", "_seen", "_sock", "deadline", "runtime")

    exchange = None
    idle = True  # nothing is lost with it when room must be made

    def __init__(self, acceptor: Acceptor, sock: socket.socket) -> None:
        self._acceptor = acceptor
        self._sock = sock
        self._seen = 0
        self.runtime = acceptor.runtime
        self.deadline = monotonic() + acceptor.port.settings.tls_handshake_timeout
        self.runtime.opened(self)
        self.runtime.loop.add_reader(sock.fileno(), self._look)

    def _look(self) -> None:
        try:
            data = self._sock.recv(MAX_HELLO + 5, socket.MSG_PEEK)
            hello = parse_client_hello(data) if data else None
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, ValueError):
            self._fail(b"")
            return
        if len(data) <= self._seen:  # no byte more: what woke us is the end of the stream
            self._fail(b"")
        elif hello is None:
            self._seen = len(data)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, len(data) + 1)
        else:
            self._choose(hello.server_name)

    def _choose(self, name: bytes) -> None:
        contexts = self._acceptor.contexts
        found = None if contexts is None else contexts.find(name)
        context = None if found is None else found[1].find(name)
        if found is None or context is None:
            self._fail(_UNRECOGNIZED_NAME)
            return
        self._leave(self.runtime.left)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        self.runtime.spawn(self._acceptor.secure(self._sock, context, found[0].key))

    def _fail(self, alert: bytes) -> None:
        self.runtime.counts.tls_handshake_failures += 1
        if alert:
            try:
                self._sock.recv(MAX_HELLO + 5)  # unread bytes would turn the close into a reset, and lose the alert
                self._sock.send(alert)
            except OSError:
                pass
        self.abort()

    def _leave(self, tell: Callable[[Greeting], None]) -> None:
        self.runtime.loop.remove_reader(self._sock.fileno())
        tell(self)

    def abort(self) -> None:
        """Close without a word."""
        self._leave(self.runtime.closed)
        self._sock.close()

    close = abort

    def expire(self, now: float) -> None:
        """No hello in time."""
        self._fail(b"")

    def drain(self) -> None:
        """A handshake goes on; the connection that it makes is drained like any other."""

    @property
    def transport(self) -> Any:
        """What the worker closes."""
        return self
