"""The first bytes of a TLS connection on a port where TLS passes through some listener.

The server name chooses the listener. Where TLS passes through it, a `Stream` carries the very same bytes to the
backend; all other connections go on as on any port of TLS.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.stream import Stream
from gatewayd.wire.clienthello import MAX_HELLO, least_missing, parse_client_hello

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.proxy.accept import Acceptor


_MOST = MAX_HELLO + 2560  # bytes that are looked at: the longest hello, and the heads of its records


class Greeting:
    """A connection whose ClientHello is awaited. The bytes are looked at (MSG_PEEK), not taken. While a hello is
    incomplete, SO_RCVLOWAT keeps the socket quiet until more has come.
    """

    __slots__ = ("_acceptor", "_peer", "_seen", "_sock", "deadline", "runtime")

    exchange = None
    idle = True  # nothing is lost with it when room must be made

    def __init__(self, acceptor: Acceptor, sock: socket.socket, peer: Any) -> None:
        self._acceptor = acceptor
        self._sock = sock
        self._peer = peer
        self._seen = 0
        self.runtime = acceptor.runtime
        self.deadline = monotonic() + acceptor.port.settings.tls_handshake_timeout
        self.runtime.opened(self)
        self.runtime.loop.add_reader(sock.fileno(), self._look)

    def _look(self) -> None:
        try:
            data = self._sock.recv(_MOST, socket.MSG_PEEK)
            hello = parse_client_hello(data) if data else None
        except (BlockingIOError, InterruptedError):
            return
        except (OSError, ValueError):
            self._fail()
            return
        if len(data) <= self._seen:  # no byte more: what woke us is the end of the stream
            self._fail()
        elif hello is None:
            self._await(data)
        else:
            self._choose(hello.server_name)

    def _await(self, data: bytes) -> None:
        """Look again when the hello can be whole, as far as the bytes that are here tell."""
        self._seen = len(data)
        least = len(data) + least_missing(data)
        # Of a reset the loop tells once, and this may have been it: the bytes before are there all the same.
        if least > _MOST or self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._fail()
        else:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, least)

    def _choose(self, name: bytes) -> None:
        """Where nothing of a port is decrypted, there is nobody to tell a client that its name is not known: the
        connection is closed (Gateway API, TLSRoute).
        """
        door, port = self._acceptor.door(name), self._acceptor.port
        self._leave(self.runtime.left)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        if door is not None and door.listener.passthrough:
            Stream(port, self._sock, self._peer, port.table.listeners.find(name), name).start()
        elif door is None and all(one.passthrough for one in port.plan.listeners):
            Stream(port, self._sock, self._peer, None, name).start()
        else:
            self._acceptor.welcome(self._sock.detach())

    def _fail(self) -> None:
        self.runtime.counts.tls_handshake_failures += 1
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
        self._fail()

    def drain(self) -> None:
        """What is greeted goes on; the connection that it becomes is drained like any other."""

    @property
    def transport(self) -> Any:
        """What the worker closes."""
        return self
