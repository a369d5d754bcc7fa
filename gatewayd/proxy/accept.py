"""Accepting connections, with our own loop: out of descriptors is a pause, not a storm.

An Acceptor takes connections from one listening socket and hands each to what its port speaks: HTTP, TLS or raw TCP.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.greeting import Greeting
from gatewayd.proxy.http1.downstream import Downstream1
from gatewayd.proxy.http2.downstream import Downstream2
from gatewayd.proxy.secure import SecureStream
from gatewayd.proxy.stream import Stream
from gatewayd.proxy.tls import TlsConnection
from gatewayd.wire.clienthello import parse_client_hello

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from gatewayd.proxy.certificates import Door
    from gatewayd.proxy.port import Port
    from gatewayd.routing.hosts import HostTable

_BATCH = 64  # accepted in one turn, so that a flood of connects does not starve those that are served
_QUEUE = 4096  # as many may wait in a socket; closing it resets those that are left


class Accepted:
    """A connection's descriptor, which is all that the event loop needs: it sets it non-blocking, and closes it. A
    socket object would cost more than the accept itself: an enumeration's member for each look at its kind.
    """

    __slots__ = ("_fd", "family")

    type = socket.SOCK_STREAM.value

    def __init__(self, family: int, fd: int) -> None:
        self.family = family
        self._fd = fd

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def close(self) -> None:
        """The loop has closed it already."""


class Acceptor:
    """One listening socket of this worker."""

    __slots__ = ("_doors", "_family", "_next", "_paused", "_peeks", "port", "runtime", "sock")

    def __init__(self, port: Port, sock: socket.socket) -> None:
        self.port = port
        self.runtime = port.runtime
        self.sock = sock
        self._family = int(sock.family)
        self._next: Callable[[], tuple[int, Any]] = sock._accept  # type: ignore[attr-defined] # noqa: SLF001 - see Accepted
        self._doors: HostTable[Door] | None = None
        self._peeks = False
        self._paused = True
        sock.setblocking(False)
        if self.runtime.admission.open:
            self.resume()

    def use(self, doors: HostTable[Door]) -> None:
        """The listeners of TLS from now on. Only where TLS passes through some of them is a hello looked at and left
        in its socket.
        """
        self._doors = doors
        self._peeks = any(one.passthrough for one in self.port.plan.listeners)

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
                fd, peer = self._next()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:  # EMFILE, ENFILE, ENOBUFS, ENOMEM: the next sweep tries again
                self.runtime.admission.pause()
                return
            self.runtime.counts.connections_accepted += 1
            self._take(fd, peer)

    def _take(self, fd: int, peer: Any) -> None:
        transport = self.port.plan.transport
        if transport == "tcp":
            Stream(self.port, self._socket(fd), peer, self.port.table.listeners.default).start()
        elif transport == "http":
            self.runtime.spawn(self._serve(Accepted(self._family, fd), self._plain))
        elif self._peeks:
            Greeting(self, self._socket(fd), peer)
        else:
            self.welcome(fd)

    def _socket(self, fd: int) -> socket.socket:
        sock = socket.socket(self._family, socket.SOCK_STREAM, 0, fd)
        sock.setblocking(False)
        return sock

    def welcome(self, fd: int) -> None:
        """TLS that ends here."""
        self.runtime.spawn(self._serve(Accepted(self._family, fd), self._secure))

    async def _serve(self, sock: Accepted, make: Callable[[], Any]) -> None:
        try:
            await self.runtime.loop.connect_accepted_socket(make, sock)  # type: ignore[arg-type]
        except OSError:
            self.runtime.counts.tls_handshake_failures += self.port.plan.transport != "http"
            os.close(sock.fileno())

    def _plain(self) -> Downstream1:
        return Downstream1(self.port)

    def _secure(self) -> TlsConnection:
        return TlsConnection(self)

    def door(self, name: bytes) -> Door | None:
        """The listener of TLS that takes a server name."""
        return None if self._doors is None else self._doors.find(name)

    def context(self, hello: bytes, connection: TlsConnection) -> tuple[ssl.SSLContext, str | SecureStream] | None:
        """See `tls.Welcome`."""
        read = parse_client_hello(hello)
        if read is None:
            return None
        name = read.server_name
        door = None if self._doors is None else self._doors.find(name)
        context = None if door is None else door.contexts.find(name)
        if door is None or context is None:
            raise LookupError(name)
        if door.listener.protocol == "TLS":
            stream = SecureStream(self.port, connection, self.port.table.listeners.find(name), name)
            stream.admit()
            return context, stream
        return context, door.listener.key

    def protocol(self, alpn: str | None, chosen: str | SecureStream) -> Downstream1 | Downstream2 | SecureStream:
        """See `tls.Welcome`."""
        if isinstance(chosen, str):
            return Downstream2(self.port, chosen) if alpn == "h2" else Downstream1(self.port, chosen)
        return chosen
