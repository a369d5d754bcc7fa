"""Raw TCP (TCPRoute): two sockets and nothing between them.

Messages are moved by `recv` and `send`, which costs least while they are small. Once a direction carries bulk, its
bytes go through a pipe by `splice` and never come to user space. Each direction ends on its own (half-close); the
stream ends with both.
"""

from __future__ import annotations

import errno
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.reset import reset_at_close
from gatewayd.routing.snapshot import Settings

if TYPE_CHECKING:
    from gatewayd.proxy.pipe import Pipe
    from gatewayd.proxy.port import Port
    from gatewayd.routing.rule import Rule
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint

_READ = 65536
_BULK_AFTER = 4  # full reads in a row make a direction one of bulk


class Stream:
    """One client's connection and the connection to the endpoint that was chosen for it."""

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
        "down",
        "endpoint",
        "listener",
        "port",
        "reason",
        "rule",
        "runtime",
        "server",
        "settings",
    )

    exchange = None

    def __init__(self, port: Port, sock: socket.socket, peer: Any) -> None:
        self.client_address = port.describe_client(peer)[0]
        self.port = port
        self.runtime = port.runtime
        self.settings: Settings = port.settings
        self.client = sock
        self.server: socket.socket | None = None
        self.began = monotonic()
        self.connected = 0.0
        self.deadline = NEVER
        self.rule: Rule | None = None
        self.listener = port.table.listeners.default
        self.backend: Backend | None = None
        self.endpoint: Endpoint | None = None
        self.bytes_in = self.bytes_out = 0
        self.reason = b""
        self._ends: tuple[Direction, ...] = ()
        self._tried: Endpoint | None = None

    def start(self) -> None:
        """Choose a backend and connect."""
        self.runtime.opened(self)
        table = None if self.listener is None else self.listener.hosts.default
        bucket = () if table is None else table.prefix.get(b"/", ())
        share = None
        if bucket:
            self.rule = bucket[0].rule  # the oldest route alone is served (Gateway API, TCPRoute)
            share = self.rule.single or self.rule.pick()
        if share is None or share.failure:
            self.end(share.failure.encode() if share is not None else b"no_route")
            return
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
        self.client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        forth = Direction(self, self.client, server)
        back = Direction(self, server, self.client)
        self._ends = (forth, back)
        forth.start()
        back.start()

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

    def moved(self, direction: Direction, size: int) -> None:
        """Bytes went one way."""
        if direction is self._ends[0]:
            self.bytes_in += size
        else:
            self.bytes_out += size

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
        if self.client.fileno() < 0:
            return
        if reason:
            self.reason = reason
            for sock in (self.client, self.server):
                if sock is not None:
                    reset_at_close(sock)
        for direction in self._ends:
            direction.stop()
        if self.server is not None:
            self._let_go()
        self.client.close()
        self.runtime.closed(self)
        now = monotonic()
        status = 0 if self.reason else 200
        counters = self.rule.counters if self.rule is not None else self.port.missed(self.listener)
        counters.add(status, now - self.began, self.bytes_in, self.bytes_out)
        if self.settings.access_log:
            self.runtime.log_stream(self, now)

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


class Direction:
    """Bytes from one socket to the other. `_rest` is what the receiver would not take yet; reading rests meanwhile."""

    __slots__ = (
        "_full",
        "_loop",
        "_pipe",
        "_rest",
        "_seen",
        "_seen_at",
        "done",
        "moved",
        "source",
        "stream",
        "target",
    )

    def __init__(self, stream: Stream, source: socket.socket, target: socket.socket) -> None:
        self.stream = stream
        self.source = source
        self.target = target
        self.done = False
        self.moved = 0
        self._loop = stream.runtime.loop
        self._rest = b""
        self._full = 0
        self._pipe: Pipe | None = None
        self._seen = 0
        self._seen_at = stream.connected

    def start(self) -> None:
        """Read from the source whenever it has something."""
        self._loop.add_reader(self.source.fileno(), self._read)

    def last_sweep(self, now: float) -> float:
        """When this direction was last seen to have moved."""
        if self.moved != self._seen:
            self._seen, self._seen_at = self.moved, now
        return self._seen_at

    def _read(self) -> None:
        try:
            data = self.source.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.stream.end(b"reset")
            return
        if not data:
            self._finish()
            return
        self._count(len(data))
        try:
            sent = self.target.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.stream.end(b"reset")
            return
        if sent < len(data):
            self._rest = data[sent:]
            self._await_target(self._write_rest)
        elif len(data) == _READ:
            self._full += 1
            if self._full >= _BULK_AFTER:
                self._begin_splice()
        else:
            self._full = 0

    def _count(self, size: int) -> None:
        self.moved += size
        self.stream.moved(self, size)

    def _await_target(self, callback: Any) -> None:
        self._loop.remove_reader(self.source.fileno())
        self._loop.add_writer(self.target.fileno(), callback)

    def _await_source(self, callback: Any) -> None:
        self._loop.remove_writer(self.target.fileno())
        self._loop.add_reader(self.source.fileno(), callback)

    def _write_rest(self) -> None:
        try:
            sent = self.target.send(self._rest)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.stream.end(b"reset")
            return
        self._rest = self._rest[sent:]
        if not self._rest:
            self._full += 1
            self._await_source(self._read)

    def _finish(self) -> None:
        """The source will send no more: tell the target."""
        self.done = True
        self._loop.remove_reader(self.source.fileno())
        self._close_pipe()
        try:
            self.target.shutdown(socket.SHUT_WR)
        except OSError:
            self.stream.end(b"reset")
            return
        self.stream.half_closed()

    # -- bulk ------------------------------------------------------------------------------------------------------

    def _begin_splice(self) -> None:
        self._pipe = self.stream.runtime.pipes.take()
        if self._pipe is None:
            self._full = -1000  # none to be had: go on as before for a while
        else:
            self._loop.add_reader(self.source.fileno(), self._splice)

    def _splice(self) -> None:
        """Fill the pipe from the source, empty it into the target."""
        pipe = self._pipe
        assert pipe is not None
        try:
            if not pipe.held:
                size = pipe.fill(self.source.fileno())
                if not size:
                    self._finish()
                    return
                self._count(size)
            pipe.drain(self.target.fileno())
        except (BlockingIOError, InterruptedError):
            if pipe.held:
                self._await_target(self._drain_pipe)
        except OSError:
            self.stream.end(b"reset")

    def _drain_pipe(self) -> None:
        self._loop.remove_writer(self.target.fileno())
        self._loop.add_reader(self.source.fileno(), self._splice)
        self._splice()

    def _close_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            self.stream.runtime.pipes.give_back(pipe)

    def stop(self) -> None:
        """Leave the loop; the sockets are about to be closed."""
        self._loop.remove_reader(self.source.fileno())
        self._loop.remove_writer(self.target.fileno())
        self._close_pipe()
