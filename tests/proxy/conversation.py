"""Conversations through the traffic path without sockets, loop or clock, to be read as transcripts.

    client.sends(GET)                        what arrives from a client
    backend = talk.backend()                 the gateway asked for a connection: here it is
    assert backend.takes() == ...            what left for the backend since the last look
    backend.sends(OK)
    assert client.takes() == ...

The transports behave as uvloop's do: a write that fills the buffer of a peer that does not read calls `pause_writing`
before it returns, bytes that come while reading is paused wait, and `connection_lost` comes a turn after the close.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from gatewayd.proxy.downstream1 import Downstream1
from gatewayd.proxy.runtime import Runtime
from gatewayd.routing.snapshot import (
    BackendPlan,
    ListenerPlan,
    PortPlan,
    RetryBudgetPlan,
    RoutePlan,
    RulePlan,
    Settings,
    SharePlan,
    Snapshot,
    difference,
)

CLIENT = "192.0.2.1"
HERE = "::ffff:198.51.100.1"  # the address that clients connect to, as an IPv6 socket shows it
# What the gateway tells a backend about the client, as `Backend.takes` leaves it out.
FORWARDED = b"\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\nx-request-id: id"
STEP = 0.25
MOMENT = 0.03


def message(*lines: str, body: bytes = b"") -> bytes:
    """The bytes of a message: its lines, an empty one, the body."""
    return "\r\n".join((*lines, "", "")).encode() + body


GET = message("GET / HTTP/1.1", "Host: a")
ASKED = message("GET / HTTP/1.1", "host: a")
OK = message("HTTP/1.1 200 OK", "content-length: 2", body=b"ok")


class Clock:
    """A clock that stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Transport:
    """One end of a connection. `stalled` is a peer that reads nothing; `state` what became of the connection."""

    def __init__(self, protocol: Any, peer: str) -> None:
        self.protocol = protocol
        self.peer = peer
        self.state = "open"
        self.out = bytearray()
        self.kept = 0
        self.high = 65536
        self.stalled = self.full = self.ended = self.lost = False
        self.reading = True
        self.error: Exception | None = None
        self.inbox: deque[bytes] = deque()

    def get_extra_info(self, name: str) -> Any:
        return {"peername": (self.peer, 40000), "sockname": (HERE, 80)}.get(name)

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        if self.ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        assert type(data) is bytes, "uvloop copies whatever is not bytes"
        if self.state != "open":
            return
        self.out += data
        if self.stalled:
            self.kept += len(data)
            if self.kept > self.high and not self.full:
                self.full = True
                self.protocol.pause_writing()

    def deliver(self, data: bytes) -> None:
        if hasattr(self.protocol, "data_received"):
            self.protocol.data_received(data)
            return
        while data:
            buffer = self.protocol.get_buffer(-1)
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self.protocol.buffer_updated(size)
            data = data[size:]

    def writelines(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def get_write_buffer_size(self) -> int:
        return self.kept

    def reads_again(self) -> None:
        self.stalled = False
        self.kept = 0
        if self.full:
            self.full = False
            self.protocol.resume_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self.state == "open":
            self.ended = True

    def is_closing(self) -> bool:
        return self.state != "open"

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        if self.state == "open":
            self.state = "closed"

    def abort(self) -> None:
        if not self.lost:
            self.state = "aborted"


class Peer:
    """Whoever is at the other end: a client or a backend."""

    def __init__(self, talk: Conversation, protocol: Any, peer: str, *, stalled: bool = False) -> None:
        self.talk = talk
        self.transport = Transport(protocol, peer)
        self.transport.stalled = stalled
        talk.peers.append(self)
        protocol.connection_made(self.transport)

    @property
    def state(self) -> str:
        """open, ended (our half is closed by the gateway), closed or aborted."""
        return "ended" if self.transport.state == "open" and self.transport.ended else self.transport.state

    def sends(self, data: bytes) -> None:
        """These bytes arrive, in one read."""
        self.transport.inbox.append(data)
        self.talk.settle()

    def ends(self) -> None:
        """The peer closes its sending half."""
        if self.transport.state == "open" and not self.transport.protocol.eof_received():
            self.transport.close()
        self.talk.settle()

    def leaves(self) -> None:
        """The connection is reset."""
        if not self.transport.lost:
            self.transport.state = "aborted"
            self.transport.error = ConnectionResetError()
        self.talk.settle()

    def stalls(self) -> None:
        """The peer reads no more."""
        self.transport.stalled = True

    def reads_some(self, size: int) -> None:
        """The peer reads a little, too little for the gateway to go on."""
        self.transport.kept -= size

    def reads(self) -> None:
        """The peer reads everything, and goes on reading."""
        self.transport.reads_again()
        self.talk.settle()

    def takes(self) -> bytes:
        """What the gateway has sent since the last look."""
        data = bytes(self.transport.out)
        self.transport.out.clear()
        return data

    def held_back(self) -> bool:
        """Whether the gateway has stopped to read from this peer."""
        return not self.transport.reading


class Client(Peer):
    """A client's connection."""


class Backend(Peer):
    """A connection to a backend."""

    def takes(self) -> bytes:
        """As with any peer, without the fields that tell the backend about the client."""
        return super().takes().replace(FORWARDED, b"")

    def takes_all(self) -> bytes:
        """Really everything."""
        return super().takes()


class Connect:
    """A connection that the gateway wants to have made; also the awaitable that its task waits on."""

    def __init__(self, loop: Loop, make: Any, host: str, port: int) -> None:
        self.make = make
        self.address = (host, port)
        self.task: Task | None = None
        loop.connects.append(self)

    def __await__(self) -> Any:
        return (yield self)


class Task:
    """A task that a test moves on."""

    def __init__(self, loop: Loop, work: Coroutine[Any, Any, None]) -> None:
        self.loop = loop
        self.work = work
        waits_on: Any = work.send(None)
        waits_on.task = self
        self.waits_on: Connect = waits_on

    def cancel(self) -> None:
        if self.waits_on in self.loop.connects:
            self.loop.connects.remove(self.waits_on)
        self.fail(self.loop.cancelled())

    def fail(self, error: BaseException) -> None:
        try:
            self.work.throw(error)
        except StopIteration:
            return
        raise AssertionError("the task goes on after an error")

    def succeed(self, result: Any) -> None:
        try:
            self.work.send(result)
        except StopIteration:
            return
        raise AssertionError("the task waits for something else")


class Timer:
    """What `call_later` returns."""

    def __init__(self, loop: Loop, when: float, callback: Any) -> None:
        self.loop = loop
        self.when = when
        self.callback = callback
        loop.timers.append(self)

    def cancel(self) -> None:
        if self in self.loop.timers:
            self.loop.timers.remove(self)

    def rings(self) -> None:
        self.loop.timers.remove(self)
        self.callback()


class Loop:
    """The part of an event loop that the traffic path uses for HTTP."""

    def __init__(self, clock: Clock) -> None:
        from asyncio import CancelledError  # noqa: PLC0415 - all that is needed of it

        self.cancelled = CancelledError
        self.time = clock
        self.connects: deque[Connect] = deque()
        self.timers: list[Timer] = []
        self.soon: deque[Any] = deque()

    def call_soon(self, callback: Any, *arguments: Any) -> None:
        """For the next turn."""
        self.soon.append((callback, arguments))

    def turn(self) -> bool:
        """Call what was left for this turn; False when that was nothing."""
        due, self.soon = self.soon, deque()
        for callback, arguments in due:
            callback(*arguments)
        return bool(due)

    def create_task(self, work: Coroutine[Any, Any, None]) -> Task:
        return Task(self, work)

    def call_later(self, delay: float, callback: Any, *args: Any) -> Timer:
        """What is due in a moment is due at once."""
        timer = Timer(self, self.time() + delay, lambda: callback(*args))
        if delay <= MOMENT:
            timer.rings()
        return timer

    def create_connection(self, make: Any, host: str, port: int) -> Connect:
        return Connect(self, make, host, port)


class Lines:
    """An access log that keeps its lines."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.dropped = 0

    def write(self, line: bytes) -> None:
        self.raw.append(line)

    def moment(self, now: float) -> bytes:
        return b"2026-01-01T00:00:00.000Z"

    def set_clock(self) -> None:
        pass


def rule(*, backend: Any = "shop", filters: Any = None, share_filters: Any = None, **more: Any) -> RulePlan:
    """A rule to one backend, on every path."""
    shares = (SharePlan(backend=backend, filters=share_filters),) if backend else ()
    return RulePlan(index=more.pop("index", 0), source="routes.yaml:1", shares=shares, filters=filters, **more)


class Conversation:
    """A gateway with one listener, one route and, unless told otherwise, one backend `shop` with one endpoint."""

    def __init__(
        self,
        clock: Clock,
        *rules: RulePlan,
        endpoints: Mapping[str, tuple[tuple[str, int], ...]] | None = None,
        transport: Any = "http",
        number: int = 80,
        hosts: tuple[bytes, ...] = (b"",),
        hostname: bytes = b"",
        protocol: Any = "http1",
        retries: RetryBudgetPlan | None = None,
        protocols: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock
        self.loop = Loop(clock)
        self.log = Lines()
        self.peers: list[Peer] = []
        self.runtime = Runtime(self.loop, 0, self.log)  # type: ignore[arg-type]
        self.runtime.new_request_id = lambda: b"id"  # type: ignore[method-assign]
        key = "HTTPRoute/default/shop"
        spoken = protocols or {}
        route = RoutePlan(key=key, kind="HTTPRoute", namespace="default", name="shop", rules=rules or (rule(),))
        listener = ListenerPlan(
            key="default/web/http", gateway="default/web", name="http", protocol=transport.upper(),
            hostname=hostname, hosts=dict.fromkeys(hosts, (key,)), settings="s",
        )  # fmt: skip
        port = PortPlan(key="p", address="", port=number, number=number, transport=transport, listeners=(listener,))
        backends = {"shop": (("10.0.0.1", 80),)} if endpoints is None else endpoints
        snapshot = Snapshot(
            generation=1,
            ports={"p": port},
            routes={key: route},
            backends={
                name: BackendPlan(name, places, spoken.get(name, protocol), retries=retries)
                for name, places in backends.items()
            },
            settings={"s": Settings(**settings)},
        )
        self.runtime.apply(difference(Snapshot(), snapshot), {})
        self.runtime.date = b"now"
        self.port = self.runtime._ports["p"][0]

    def client(self, address: str = CLIENT, *, sni_listener: str | None = None) -> Client:
        """A client connects."""
        return Client(self, Downstream1(self.port, sni_listener), address)

    def backend(self, *, stalled: bool = False) -> Backend:
        """The connection that the gateway has been waiting for longest is made; `stalled`: but not read from."""
        assert self.loop.connects, "the gateway asks for no connection"
        connect = self.loop.connects.popleft()
        assert connect.task is not None
        protocol = connect.make()
        backend = Backend(self, protocol, connect.address[0], stalled=stalled)
        connect.task.succeed((backend.transport, protocol))
        self.settle()
        return backend

    def refuses(self) -> str:
        """The connection is refused; the address of the endpoint that did."""
        connect = self.loop.connects.popleft()
        assert connect.task is not None
        connect.task.fail(ConnectionRefusedError())
        self.settle()
        return connect.address[0]

    @property
    def asks(self) -> int:
        """How many connections the gateway waits for."""
        return len(self.loop.connects)

    def passes(self, seconds: float) -> None:
        """Time passes, with a sweep at each step; timers ring when it is theirs."""
        end = self.clock.now + seconds
        while self.clock.now < end:
            step = min(end, self.clock.now + STEP)
            timer = min(self.loop.timers, key=lambda timer: timer.when, default=None)
            if timer is not None and timer.when <= step:
                self.clock.now = max(self.clock.now, timer.when)
                timer.rings()
                self.settle()
                continue
            self.clock.now = step
            self.runtime.sweep(self.clock.now)
            self.runtime.date = b"now"
            self.settle()

    def settle(self) -> None:
        """Turns of the loop until nothing happens any more."""
        while sum([self._turn(peer.transport) for peer in list(self.peers)]) + self.loop.turn():  # each has its turn
            pass
        assert not self.runtime.errors, self.runtime.errors

    def _turn(self, transport: Transport) -> bool:
        if transport.state == "open" and transport.reading and transport.inbox:
            transport.deliver(transport.inbox.popleft())
            return True
        if transport.state != "open" and not transport.lost and not (transport.state == "closed" and transport.full):
            transport.lost = True
            transport.protocol.connection_lost(transport.error)
            return True
        return False

    def exchange(self, request: bytes = GET, response: bytes = OK) -> tuple[Client, Backend]:
        """A first exchange, so that there is a client that keeps its connection and a pooled one to the backend."""
        client = self.client()
        client.sends(request)
        backend = self.backend()
        backend.takes()
        backend.sends(response)
        client.takes()
        return client, backend

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The access lines so far."""
        return [json.loads(line) for line in self.log.raw]

    @property
    def line(self) -> dict[str, Any]:
        """The last access line."""
        return self.lines[-1]
