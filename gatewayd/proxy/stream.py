"""Raw TCP (TCPRoute, and TLSRoute where TLS passes through): two sockets and nothing between them.

Each direction is moved, and ends, on its own (`direction`); the stream ends with both.
"""

from __future__ import annotations

import errno
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.direction import Direction, Flow
from gatewayd.proxy.reset import reset_at_close
from gatewayd.routing.snapshot import Settings

if TYPE_CHECKING:
    from gatewayd.proxy.port import Port
    from gatewayd.routing.rule import Rule, Share
    from gatewayd.routing.table import ListenerTable
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint


class Stream:
    """One client's connection and the connection to the endpoint that was chosen for it. `name` is the server name
    that a client of TLS asks for, None for plain TCP. `bytes_in` and `bytes_out` are known at its end.
    """

    __slots__ = (
        "_ends",
        "_tried",
        "backend",
        "began",
        "bytes_in",
        "bytes_out",
        "client",
        "client_address",
        "connected",
        "deadline",
        "endpoint",
        "listener",
        "name",
        "over",
        "port",
        "reason",
        "rule",
        "runtime",
        "server",
        "settings",
    )

    exchange = None

    def __init__(
        self,
        port: Port,
        client: Any,
        peer: Any,
        listener: ListenerTable | None,
        name: bytes | None = None,
    ) -> None:
        self.client_address = port.describe_client(peer)[0]
        self.port = port
        self.runtime = port.runtime
        self.settings: Settings = port.settings if listener is None else listener.settings
        self.client = client
        self.name = name
        self.server: socket.socket | None = None
        self.began = monotonic()
        self.connected = 0.0
        self.deadline = NEVER
        self.rule: Rule | None = None
        self.listener = listener
        self.backend: Backend | None = None
        self.endpoint: Endpoint | None = None
        self.bytes_in = self.bytes_out = 0
        self.reason = b""
        self.over = False
        self._ends: tuple[Flow, ...] = ()
        self._tried: Endpoint | None = None

    def start(self) -> None:
        """Choose a backend and connect."""
        self.runtime.opened(self)
        share = self.choose()
        if share is None or share.failure:
            self.end(share.failure.encode() if share is not None else self._missed())
            return
        self.use(share)

    def choose(self) -> Share | None:
        """Who serves this connection; None where no route does, or its weights are all 0."""
        match = None if self.listener is None else self.listener.connection(self.name or b"")
        if match is None:
            return None
        self.rule = rule = match.rule
        return rule.single or rule.pick()

    def _missed(self) -> bytes:
        return b"no_listener" if self.listener is None else b"no_route"

    def use(self, share: Share) -> None:
        """Connect to one of its endpoints."""
        self.backend = share.backend
        self.backend.requests += 1
        self._connect(None)

    def _connect(self, tried: Endpoint | None) -> None:
        assert self.backend is not None
        endpoint = self.backend.pick(tried)
        if endpoint is None:
            self.end(b"no_endpoints" if tried is None else b"upstream_refused")
            return
        family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        try:
            server = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError:
            self.end(b"no_descriptors")
            return
        self.server = server
        self.endpoint = endpoint
        self._tried = tried
        endpoint.active += 1
        endpoint.open += 1
        self.backend.open += 1
        self.deadline = monotonic() + self.settings.connect_timeout
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        error = server.connect_ex(endpoint.address)
        if error in (0, errno.EINPROGRESS):
            self.runtime.loop.add_writer(server.fileno(), self._on_connected)
        else:
            self._not_connected()

    def _on_connected(self) -> None:
        server = self.server
        assert server is not None and self.backend is not None and self.endpoint is not None
        self.runtime.loop.remove_writer(server.fileno())
        if server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._not_connected()
            return
        self.runtime.counts.upstream_connects += 1
        self.backend.worked(self.endpoint)
        self.connected = monotonic()
        self.deadline = self.connected + self.settings.tunnel_idle_timeout
        self._ends = forth, back = self._flows(server)
        forth.start()
        back.start()

    def _flows(self, server: socket.socket) -> tuple[Flow, Flow]:
        """From the client, and to it."""
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Direction(self, self.client, server), Direction(self, server, self.client)

    def _not_connected(self) -> None:
        """Try another endpoint, once and within the budget."""
        failed = self.endpoint
        assert failed is not None and self.backend is not None
        self.runtime.counts.upstream_connect_failures += 1
        self.backend.failed(failed, monotonic())
        self._let_go()
        if self._tried is None and len(self.backend.endpoints) > 1 and self.backend.may_retry(monotonic()):
            self.runtime.counts.upstream_retries += 1
            self._connect(failed)
        else:
            self.end(b"upstream_refused")

    def half_closed(self) -> None:
        """One way is over; with the other, the stream is."""
        if all(direction.done for direction in self._ends):
            self.end(b"")
        else:
            self.deadline = monotonic() + self.settings.half_closed_timeout

    def end(self, reason: bytes) -> None:
        """Close both sides, count and log; a second call does nothing. What ends for a `reason` ends with a reset on
        both sides: a close would look like the end of a complete stream, and a connection without a backend asks for
        an active rejection (Gateway API, TCPRoute).
        """
        if self.over:
            return
        self.over = True
        if reason:
            self.reason = reason
            if self.server is not None:
                reset_at_close(self.server)
        for direction in self._ends:
            direction.stop()
        if self._ends:
            self.bytes_in, self.bytes_out = (direction.moved for direction in self._ends)
        self._ends = ()  # they know this stream: the collector would have to find out that all of it is over
        self.deadline = NEVER  # a sweep that goes on has it in its list
        if self.server is not None:
            self._let_go()
        self._hang_up(reset=bool(reason))
        self.runtime.closed(self)
        now = monotonic()
        status = 0 if self.reason else 200
        counters = self.rule.counters if self.rule is not None else self.port.missed(self.listener)
        counters.add(status, now - self.began, self.bytes_in, self.bytes_out)
        if self.settings.access_log:
            self.runtime.log_stream(self, now)

    def _hang_up(self, *, reset: bool) -> None:
        if reset:
            reset_at_close(self.client)
        self.client.close()

    def _let_go(self) -> None:
        server, self.server = self.server, None
        assert server is not None and self.endpoint is not None and self.backend is not None
        self.runtime.loop.remove_writer(server.fileno())
        server.close()
        self.endpoint.active -= 1
        self.endpoint.open -= 1
        self.backend.open -= 1

    def expire(self, now: float) -> None:
        """The deadline is over: of the connect, or idle."""
        if self.connected:
            # A stream in use moves its deadline only here: bytes are free of clock calls.
            half_closed = any(direction.done for direction in self._ends)
            settings = self.settings
            limit = settings.half_closed_timeout if half_closed else settings.tunnel_idle_timeout
            self.deadline = limit + max(direction.last_sweep(now) for direction in self._ends)
            if self.deadline <= now:
                self.end(b"stream_timeout")
        else:
            self._not_connected()

    def abort(self) -> None:
        """Cut both sides."""
        self.end(b"aborted")

    def drain(self) -> None:
        """Streams go on until the drain is over."""

    @property
    def idle(self) -> bool:
        """A stream is always in use."""
        return False

    @property
    def transport(self) -> Any:
        """What the worker closes."""
        return self
