"""Request mirroring: copies of requests to further backends, whose answers nobody waits for (GEP-3171).

A copy leaves when the request's body is whole, which for most is with its head, right after the request itself. It
never delays or fails the request: long bodies are not copied, a worker has few copies in flight, a copy is sent once,
and its answer is read and thrown away so that the connection can serve again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.proxy.attempts import KEPT_BODY
from gatewayd.proxy.subrequest import Subrequest

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.runtime import Runtime
    from gatewayd.routing.step import Mirror
    from gatewayd.upstream.backend import Backend
    from gatewayd.wire.head import RequestHead

# A backend has at most as much of both in flight as it leaves free: those that hang leave room for the others.
IN_FLIGHT = 64  # copies in flight of one worker
IN_FLIGHT_BYTES = 1 << 20  # bytes of their bodies
ANSWER_BYTES = 1 << 20  # bytes of an answer that are read for the sake of keeping the connection
_NOTHING = (0, 0)


class Mirrors:
    """The copies that one worker has in flight."""

    __slots__ = ("_bytes", "_count", "_runtime", "_to")

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._bytes = self._count = 0
        self._to: dict[str, tuple[int, int]] = {}  # copies and bytes, by the key of the backend

    def send(self, exchange: Exchange, target: Mirror, body: bytes) -> None:
        """Send a copy of the exchange's request as it was modified. Nothing happens beyond the limits."""
        runtime = self._runtime
        backend = runtime.backends.get(target.backend)
        if backend is None or not self._has_room(target.backend, len(body)):
            runtime.counts.mirrors_dropped += 1
            return
        self._count += 1
        self._bytes += len(body)
        copies, held = self._to.get(backend.key, _NOTHING)
        self._to[backend.key] = copies + 1, held + len(body)
        runtime.counts.mirrors_sent += 1
        try:
            Mirrored(exchange, backend, body).send()
        except Exception as error:
            runtime.failed(error)

    def _has_room(self, key: str, size: int) -> bool:
        copies, held = self._to.get(key, _NOTHING)
        return copies < IN_FLIGHT - self._count and held + size <= IN_FLIGHT_BYTES - self._bytes

    def done(self, key: str, size: int) -> None:
        """A copy with a body of `size` bytes, to the backend with that key, is over."""
        self._count -= 1
        self._bytes -= size
        copies, held = self._to.pop(key)
        if copies > 1:
            self._to[key] = copies - 1, held - size


class Copy:
    """What of an exchange is copied, and where to: kept until the request's body is whole."""

    __slots__ = ("_body", "_targets")

    def __init__(self) -> None:
        self._body = b""
        self._targets: list[Mirror] = []

    def add_targets(self, mirrors: tuple[Mirror, ...]) -> None:
        """Those of the mirrors whose turn it is."""
        self._targets += [mirror for mirror in mirrors if mirror.takes()]

    def begin(self, exchange: Exchange) -> None:
        """The request was sent on its way. What became a tunnel, or was answered already, is not copied."""
        head = exchange.head
        if exchange.down is None or head.upgrade or not self._targets:
            exchange.copy = None
        elif head.length > KEPT_BODY:
            self._drop(exchange)
        else:
            self.add_body(exchange, exchange.body, exchange.ended)

    def add_body(self, exchange: Exchange, data: bytes, ended: bool) -> None:
        """More of the body came."""
        if len(self._body) + len(data) > KEPT_BODY:
            self._drop(exchange)
            return
        self._body += data
        if ended:
            exchange.copy = None
            for target in self._targets:
                exchange.port.runtime.mirrors.send(exchange, target, self._body)

    def _drop(self, exchange: Exchange) -> None:
        exchange.copy = None
        exchange.port.runtime.counts.mirrors_dropped += len(self._targets)


class Mirrored(Subrequest):
    """One copy in flight. Its answer is counted, and thrown away."""

    __slots__ = ("_received",)

    def __init__(self, exchange: Exchange, backend: Backend, body: bytes) -> None:
        head = _without_expectation(exchange.head)
        super().__init__(exchange.port, exchange.settings, backend, head, body)
        self.path = exchange.path
        self.authority = exchange.authority
        self.block = exchange.block
        self.trailers = exchange.trailers
        self._received = 0

    def took_body(self, data: bytes, ended: bool, trailers: bytes) -> None:
        """More of the answer came."""
        self._received += len(data)
        if ended:
            self.finish()
        elif self._received > ANSWER_BYTES:
            self.cut()

    def finish(self) -> None:
        """Whatever came of it, that was the only attempt."""
        self.port.runtime.mirrors.done(self.backend.key, len(self.body))
        super().finish()


def _without_expectation(head: RequestHead) -> RequestHead:
    """A copy does not wait for 100 (RFC 9110 section 10.1.1): its body is there."""
    if head.expect:
        head = head.copy()
        head.expect = False
    return head
