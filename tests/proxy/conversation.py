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
from collections.abc import Callable, Mapping
from typing import Any

from gatewayd.proxy.http1.downstream import Downstream1
from gatewayd.proxy.runtime import Runtime
from gatewayd.routing.change import difference
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
    Timeouts,
)
from tests.proxy.fakes import Clock, Lines, Loop, Transport

CLIENT = "192.0.2.1"
# What the gateway tells a backend about the client, as `Backend.takes` leaves it out.
FORWARDED = b"\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: a\r\nx-request-id: id"
STEP = 0.25


def message(*lines: str, body: bytes = b"") -> bytes:
    """The bytes of a message: its lines, an empty one, the body."""
    return "\r\n".join((*lines, "", "")).encode() + body


GET = message("GET / HTTP/1.1", "Host: a")
ASKED = message("GET / HTTP/1.1", "host: a")
OK = message("HTTP/1.1 200 OK", "content-length: 2", body=b"ok")
CHUNKED = "Transfer-Encoding: chunked"


def put(length: int, body: bytes = b"") -> bytes:
    return message("PUT / HTTP/1.1", "Host: a", f"Content-Length: {length}", body=body)


def status(data: bytes) -> int:
    """Of the answer, which must be one."""
    assert data.startswith(b"HTTP/1.1 "), data
    assert data.count(b"HTTP/1.1 ") == 1, data
    return int(data[9:12])


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


def rule(*, backend: Any = "shop", filters: Any = None, share_filters: Any = None, **more: Any) -> RulePlan:
    """A rule to one backend, on every path."""
    shares = (SharePlan(backend=backend, filters=share_filters),) if backend else ()
    return RulePlan(index=more.pop("index", 0), shares=shares, filters=filters, **more)


def limited(**timeouts: float) -> Any:
    """A rule with these time-outs, in seconds."""
    return rule(timeouts=Timeouts(**timeouts))


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


Start = Callable[..., Conversation]
