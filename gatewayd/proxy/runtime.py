"""The traffic path of one worker: its ports and connections, what they share, and the swap of a snapshot."""

from __future__ import annotations

import resource
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any

from gatewayd.observe.counters import Report, RuleCounters, RuleReport, WorkerCounters, encode_report
from gatewayd.proxy.accept import Acceptor
from gatewayd.proxy.admission import Admission
from gatewayd.proxy.authorization.bodies import Bodies
from gatewayd.proxy.certificates import Contexts
from gatewayd.proxy.connector import Connector
from gatewayd.proxy.lines import exchange_line, refused_line, stream_line
from gatewayd.proxy.mirror import Mirrors
from gatewayd.proxy.pipe import Pipes
from gatewayd.proxy.port import Port
from gatewayd.proxy.pressure import CLOSE_IDLE, EXHAUSTED, SHED, Pressure
from gatewayd.proxy.settings import lift_zeros
from gatewayd.proxy.tunnel import say_goodbye
from gatewayd.routing.change import Change, apply
from gatewayd.routing.pool import Pool
from gatewayd.routing.snapshot import Settings, Snapshot
from gatewayd.routing.table import PortTable, compile_port
from gatewayd.upstream.backend import Backend
from gatewayd.upstream.budget import Budgets
from gatewayd.upstream.reserved import Reserved
from gatewayd.upstream.resolve import Resolver

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Coroutine, Mapping

    from gatewayd.observe.access import AccessLog
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.http1.downstream import Downstream1
    from gatewayd.proxy.http2.downstream import Downstream2
    from gatewayd.proxy.stream import Stream
    from gatewayd.routing.match import Match
    from gatewayd.routing.rule import Rule

_PIPE_SHARE = 0.0125  # of the descriptors, of which a body that the kernel moves takes four
_MOST_PIPES = 128  # each may hold a MiB of the kernel's memory
_TURNS = 4  # sweeps in which every backend is looked at once
_ERRORS = 10  # kept for the log until it is written, four times a second
_DEFAULTS = Settings()


class Runtime:
    """One worker's traffic. `timed` holds whatever has a `deadline` and an `expire(now)`; one sweep looks at all.
    `brief` says that connections end with their present answer, `shedding` that new requests are answered 503.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        worker: int,
        access: AccessLog,
        workers: int = 1,
        reserved: tuple[str, int] | None = None,
    ) -> None:
        """`worker` is the number of this one among `workers`; the address that is `reserved` is never asked."""
        self.loop = loop
        self.worker = worker
        self.notices: list[str] = []  # lines for the log
        self._reserved = None if reserved is None else Reserved(*reserved, self.notices)
        self.access = access
        self.counts = WorkerCounters()
        self.connector = Connector(self)
        self.mirrors = Mirrors(self)
        self.bodies = Bodies()
        self.snapshot = Snapshot()
        self._settings: dict[str, Settings] = {}
        self.draining = self.brief = self.shedding = False
        self.pressure = Pressure()
        self.connections: dict[Any, None] = {}
        self.reading: Any = None  # the connection of HTTP/2 whose bytes are being taken
        self.timed: set[Any] = set()
        self.backends: dict[str, Backend] = {}
        self._budgets = Budgets(workers)
        self._dropped: list[Backend] = []  # no longer in the snapshot; exchanges may still wait there
        self._contexts = Contexts()
        self._resolver = Resolver(loop, self.notices)
        self._ports: dict[str, tuple[Port, list[Acceptor]]] = {}
        self._rules: dict[tuple[str, str, str], RuleCounters] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = 0
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.admission = Admission(self, descriptors)
        self.pipes = Pipes(min(_MOST_PIPES, max(4, int(descriptors * _PIPE_SHARE))))
        self._request_prefix = secrets.token_hex(8).encode()
        self._requests = 0
        self.errors: list[BaseException] = []
        self._tell_time()

    # -- the snapshot ----------------------------------------------------------------------------------------------

    def apply(self, change: Change, sockets: Mapping[str, list[socket.socket]]) -> None:
        """Serve the snapshot after `change`. `sockets` are the listening sockets of ports that are new here, by the
        port's key. ValueError when the change does not fit; nothing has changed then.
        """
        snapshot = apply(self.snapshot, change)
        changed = {*change.routes, *change.dropped.get("routes", ())}
        served = [port.table for port, _ in self._ports.values()]
        pool = Pool(listener.routes for table in served for listener in table.listeners.values())
        tables = {
            key: compile_port(plan, snapshot.routes, self._table(key), changed, pool)
            for key, plan in snapshot.ports.items()
        }
        self._settings = {key: lift_zeros(settings) for key, settings in snapshot.settings.items()}
        self._contexts.update(snapshot.certificates, snapshot.ports.values())
        self._update_backends(change)
        gone = frozenset(change.dropped.get("backends", ()))
        for table in tables.values():
            self._bind(table, gone)
        self.snapshot = snapshot
        self._forget_counters(change.dropped.get("routes", ()))
        for key in [key for key in self._ports if key not in tables]:
            for acceptor in self._ports.pop(key)[1]:
                acceptor.close()
        for key, table in tables.items():
            self._use(key, table, sockets.get(key, []))
        self._resolver.update(
            {key: plan.dns for key, plan in snapshot.backends.items() if plan.dns is not None}, self.backends
        )

    async def settle(self) -> None:
        """Wait until names of backends are resolved for the first time."""
        await self._resolver.settle()

    def _table(self, key: str) -> PortTable | None:
        known = self._ports.get(key)
        return None if known is None else known[0].table

    def _update_backends(self, change: Change) -> None:
        for key, plan in change.backends.items():
            backend = self.backends.get(key)
            if backend is None:
                backend = self.backends[key] = Backend(key, self._reserved)
            backend.share_connections(plan.protocol == "h2c")
            self._budgets.give(backend, plan.retries)
            if plan.dns is None:
                backend.update(plan.endpoints, plan.draining)
        for key in change.dropped.get("backends", ()):
            gone = self.backends.pop(key, None)
            if gone is not None:
                gone.retire()
                self._dropped.append(gone)

    def _bind(self, table: PortTable, gone: frozenset[str]) -> None:
        """Give the rules their counters and backends, the listeners their settings. Bound rules are looked at again
        only if they use backends that are `gone`: a new one has no rules from before.
        """
        for listener in table.listeners.values():
            listener.settings = self._settings.get(listener.plan.settings, _DEFAULTS)
            for matches in listener.routes.values():
                if matches and (matches[0].rule.counters is None or (gone and _use(matches, gone))):
                    for match in matches:
                        self._bind_rule(listener.key, match.rule)

    def _bind_rule(self, listener: str, rule: Rule) -> None:
        if rule.counters is None:
            rule.counters = self.rule_counters(listener, rule.route, rule.name)
        for share in rule.shares:
            if share.key:
                share.backend = self.backends.get(share.key) or self._backend(share.key)

    def _forget_counters(self, routes: tuple[str, ...]) -> None:
        """Routes come and go for as long as a worker lives; what it keeps and reports must not grow with them."""
        if routes:
            gone = frozenset(routes)
            self._rules = {place: counters for place, counters in self._rules.items() if place[1] not in gone}

    def _backend(self, key: str) -> Backend:
        """A backend that the snapshot does not have: it has no endpoints."""
        backend = self.backends[key] = Backend(key)
        return backend

    def _use(self, key: str, table: PortTable, sockets: list[socket.socket]) -> None:
        if key not in self._ports:
            self._ports[key] = (Port(self), [])
        port, acceptors = self._ports[key]
        listeners = table.plan.listeners
        port.use(table, [self._settings.get(one.settings, _DEFAULTS) for one in listeners] or [_DEFAULTS])
        acceptors += [Acceptor(port, sock) for sock in sockets]
        if table.plan.transport in {"https", "tls"}:
            doors = self._contexts.for_port(table.plan)
            for acceptor in acceptors:
                acceptor.use(doors)

    def acceptors(self) -> list[Acceptor]:
        """Those of all ports."""
        return [acceptor for _, acceptors in self._ports.values() for acceptor in acceptors]

    @property
    def arriving(self) -> int:
        """Connections that were accepted and are not served yet."""
        return len(self._tasks)

    # -- connections -----------------------------------------------------------------------------------------------

    def opened(self, connection: Any) -> None:
        """A connection of a client is there."""
        self.connections[connection] = None
        self.timed.add(connection)

    def closed(self, connection: Any) -> None:
        """It is gone."""
        if connection in self.connections:
            self.counts.connections_closed += 1
            self.left(connection)

    def left(self, connection: Any) -> None:
        """It goes on as something else."""
        self.timed.discard(connection)
        self.connections.pop(connection, None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """One task for a new connection. The set keeps it alive."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def failed(self, error: BaseException) -> None:
        """An exception that should not be: counted, and kept for the log. The stream that met it is closed."""
        self.counts.exceptions += 1
        if len(self.errors) < _ERRORS:
            self.errors.append(error)

    # -- time ------------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> None:
        """Whatever is due; called four times a second. `now` is the monotonic clock."""
        for item in list(self.timed):
            if item.deadline <= now:
                try:
                    item.expire(now)
                except Exception as error:
                    self.failed(error)
        self._tick_backends(now)
        self._feel_pressure()
        self._resolver.tick(self.loop.time(), self.backends)
        self.admission.sweep()
        self._tell_time()

    def _feel_pressure(self) -> None:
        self.pressure.sweep()
        level = self.pressure.level
        self.brief = self.draining or level >= CLOSE_IDLE
        self.shedding = level >= SHED
        if level >= CLOSE_IDLE and self.admission.open:
            self.admission.close_idle()

    @property
    def exhausted(self) -> bool:
        """So little memory is left that the worker should give its place to a new one."""
        return self.pressure.level >= EXHAUSTED

    def _tick_backends(self, now: float) -> None:
        """A share of the backends in each sweep, so that ten thousand of them stop nobody."""
        self._turn = turn = (self._turn + 1) % _TURNS
        backends = list(self.backends.values())[turn::_TURNS]
        for backend in backends:
            backend.tick(now)
            if backend.refused:
                self.counts.upstream_retries_refused += backend.refused
                backend.refused = 0
        self._dropped = [backend for backend in self._dropped if backend.waiting]
        self.connector.tick(now, backends + self._dropped)

    def _tell_time(self) -> None:
        self.date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()).encode()
        self.access.set_clock()

    # -- the end ---------------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Stop accepting (what waits in the queues is taken first), close what is idle, and let the rest finish."""
        if self.draining:
            return
        for acceptor in self.acceptors():
            acceptor.drain()
        self.draining = self.brief = True
        for connection in list(self.connections):
            connection.drain()
        for backend in self.backends.values():
            for endpoint in backend.endpoints:
                endpoint.close_idle()

    @property
    def idle(self) -> bool:
        """Nothing is in flight."""
        return not self.connections and not self._tasks

    def abort(self) -> None:
        """Cut everything; who has a WebSocket is told before."""
        if say_goodbye(self.connections):
            self.loop.call_soon(self._cut)  # frames of HTTP/2 leave at the end of a turn
        else:
            self._cut()

    def _cut(self) -> None:
        for connection in list(self.connections):
            connection.transport.abort()
        self._resolver.close()

    # -- what is told ----------------------------------------------------------------------------------------------

    def new_request_id(self) -> bytes:
        """Unique over all workers and restarts; 32 hexadecimal digits."""
        self._requests += 1
        return b"%b%016x" % (self._request_prefix, self._requests)

    def rule_counters(self, listener: str, route: str, rule: str) -> RuleCounters:
        """The counters of one rule on one listener; they survive reloads, until the route is gone."""
        key = (listener, route, rule)
        found = self._rules.get(key)
        if found is None:
            found = self._rules[key] = RuleCounters()
        return found

    def log_exchange(self, exchange: Exchange, now: float) -> None:
        """The access line of an exchange."""
        self.access.write(exchange_line(exchange, now, self.access.moment(now)))

    def log_stream(self, stream: Stream, now: float) -> None:
        """The access line of a TCP stream."""
        self.access.write(stream_line(stream, now, self.access.moment(now)))

    def refused(self, down: Downstream1 | Downstream2, status: int, reason: str, now: float) -> None:
        """Count and log what was no request."""
        self.counts.requests_refused += 1
        down.port.missed(None).add(status, 0.0, 0, 0)
        if down.port.settings.access_log:
            self.access.write(refused_line(down, status, reason.encode(), self.access.moment(now)))

    def report(self) -> bytes:
        """What was counted, for the supervisor."""
        self.counts.access_lines_dropped = self.access.dropped
        rules = [
            RuleReport(*key, one.classes, one.buckets, one.seconds, one.bytes_in, one.bytes_out)
            for key, one in self._rules.items()
        ]
        return encode_report(
            Report(
                worker=self.worker,
                counts=self.counts.values(),
                connections=len(self.connections),
                requests_in_flight=sum(map(_in_flight, self.connections)),
                idle_upstreams=sum(len(e.idle) for b in self.backends.values() for e in b.endpoints),
                rules=rules,
            )
        )


def _in_flight(connection: Any) -> int:
    """Requests of one connection: its streams with HTTP/2, one or none without."""
    return len(getattr(connection, "streams", ())) + (connection.exchange is not None)


def _use(matches: tuple[Match, ...], gone: frozenset[str]) -> bool:
    """Whether a rule of a route uses one of these backends."""
    for match in matches:  # a generator costs three times as much, for each route there is
        for share in match.rule.shares:
            if share.key in gone:
                return True
    return False
