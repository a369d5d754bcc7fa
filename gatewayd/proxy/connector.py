"""Making connections to endpoints, within the limits of the backend."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.http1.upstream import Upstream1
from gatewayd.proxy.http2.upstream import Upstream2

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.runtime import Runtime
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint


class Connector:
    """Connections for exchanges that found none in the pool. One task for each connection made, none for a request."""

    __slots__ = ("_shared", "attempts", "runtime")

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.attempts: set[Attempt] = set()
        self._shared: dict[Endpoint, Attempt] = {}  # connections being made that will carry many streams

    def connect(self, exchange: Exchange) -> None:
        """Connect to the exchange's endpoint, or let it wait where the backend has all the connections it may have."""
        backend, endpoint = exchange.backend, exchange.endpoint
        assert backend is not None and endpoint is not None
        settings = exchange.settings
        shared = self._shared.get(endpoint)
        if shared is not None and len(shared.followers) < settings.upstream_pending:
            shared.followers.append(exchange)
            return
        if backend.open < settings.upstream_connections:
            attempt = Attempt(self, exchange, backend, endpoint)
            self.attempts.add(attempt)
            if backend.shares_connections:
                self._shared[endpoint] = attempt
        elif endpoint.idle:  # a tunnel would have had a new one
            exchange.reused = True
            exchange.connected(endpoint.idle.popitem()[0])
        elif len(backend.waiting) < settings.upstream_pending:
            backend.waiting.append(exchange)
            backend.make_room(endpoint)
        else:
            exchange.reply(503, b"upstream_overflow")

    def next_waiting(self, backend: Backend) -> None:
        """A place is free: connect for the exchange that waits longest and still wants it."""
        while backend.waiting:
            exchange = backend.waiting.popleft()
            if exchange.down is not None:
                self.connect(exchange)
                return

    def hand_over(self, connection: Upstream1 | Upstream2) -> bool:
        """Give a free connection to an exchange that waits; False when none does. Where all that wait are in sessions
        of other endpoints, the connection gives up its place for theirs.
        """
        waiting = connection.backend.waiting
        passed = []
        while waiting:
            exchange = waiting.popleft()
            if exchange.down is None:
                continue
            if exchange.endpoint is exchange.bound is not connection.endpoint:
                passed.append(exchange)
                continue
            waiting.extendleft(reversed(passed))
            exchange.endpoint.active -= 1
            exchange.endpoint = connection.endpoint
            connection.endpoint.active += 1
            exchange.reused = True
            exchange.connected(connection)
            return True
        waiting.extend(passed)
        if passed:
            connection.close()
        return bool(passed)

    def forget(self, exchange: Exchange) -> None:
        """The exchange does not wait any more; a connection that is being made for it will go to the pool."""
        for attempt in self.attempts:
            if attempt.exchange is exchange:
                attempt.exchange = None
            elif exchange in attempt.followers:
                attempt.followers.remove(exchange)
        waiting = exchange.backend.waiting if exchange.backend is not None else ()
        if exchange in waiting:
            waiting.remove(exchange)  # type: ignore[union-attr]

    def made(self, attempt: Attempt) -> None:
        """An attempt is over, one way or the other."""
        self.attempts.discard(attempt)
        if self._shared.get(attempt.endpoint) is attempt:
            del self._shared[attempt.endpoint]

    def tick(self, now: float, backends: list[Backend]) -> None:
        """Answer those that waited for a connection as long as one may take to be made."""
        for backend in backends:
            waiting = backend.waiting
            while waiting and (
                waiting[0].down is None or waiting[0].began + waiting[0].settings.connect_timeout <= now
            ):
                exchange = waiting.popleft()
                if exchange.down is not None:
                    exchange.reply(503, b"upstream_overflow")


class Attempt:
    """One connection being made. It outlives an exchange whose client left: the connection then goes to the pool.
    `followers` are further exchanges that will share it.
    """

    __slots__ = ("_connection", "_connector", "_task", "backend", "deadline", "endpoint", "exchange", "followers")

    def __init__(self, connector: Connector, exchange: Exchange, backend: Backend, endpoint: Endpoint) -> None:
        self._connector = connector
        self.exchange: Exchange | None = exchange
        self.backend = backend
        self.endpoint = endpoint
        self.followers: list[Exchange] = []
        self.deadline = monotonic() + exchange.settings.connect_timeout
        backend.open += 1
        endpoint.open += 1
        runtime = connector.runtime
        runtime.timed.add(self)
        kind: type[Upstream1 | Upstream2] = Upstream2 if backend.shares_connections else Upstream1
        self._connection = kind(exchange.port, backend, endpoint)
        self._task = runtime.loop.create_task(self._run(self._connection))

    async def _run(self, connection: Upstream1 | Upstream2) -> None:
        runtime = self._connector.runtime
        try:
            await runtime.loop.create_connection(lambda: connection, self.endpoint.host, self.endpoint.port)
        except OSError:
            self._failed(b"upstream_refused")
        except asyncio.CancelledError:
            self._failed(b"connect_timeout")
        else:
            self._done()
            runtime.counts.upstream_connects += 1
            self.backend.worked(self.endpoint)
            self._use(connection)

    def _use(self, connection: Any) -> None:
        runtime = self._connector.runtime
        exchange = self.exchange
        if exchange is not None and exchange.down is not None and exchange.up is None and not exchange.status:
            try:
                exchange.connected(connection)
            except Exception as error:
                runtime.failed(error)
                exchange.reply(502, b"exception")
        else:
            connection.release_new(monotonic())
        for follower in self.followers:
            if follower.down is not None and follower.up is None and not follower.status:
                self._follow(follower, connection)

    def _follow(self, exchange: Exchange, connection: Any) -> None:
        """One more exchange for a connection that many share, or for a further one when it takes no more."""
        if connection in self.endpoint.idle:
            del self.endpoint.idle[connection]
            exchange.connected(connection)
        else:
            self._connector.connect(exchange)

    def _failed(self, reason: bytes) -> None:
        self._done()
        runtime = self._connector.runtime
        runtime.counts.upstream_connect_failures += 1
        self.endpoint.open -= 1
        self.backend.open -= 1
        self.backend.failed(self.endpoint, monotonic())
        exchange = self.exchange
        if exchange is not None and exchange.down is not None:
            exchange.connect_failed(reason)
        for follower in self.followers:
            if follower.down is not None:
                follower.connect_failed(reason)
        if self.backend.waiting:
            self._connector.next_waiting(self.backend)

    def _done(self) -> None:
        self._connector.runtime.timed.discard(self)
        self._connector.made(self)

    def expire(self, now: float) -> None:
        """The connect timeout is over. A connection that is there already, though this task does not know of it yet,
        cannot be taken back: nobody would tell it that it is closed.
        """
        if not hasattr(self._connection, "transport"):
            self._task.cancel()
