"""HTTP/2 to backends (RFC 9113): one connection carries the exchanges of many clients, each on a stream that is the
upstream stream of its exchange. The pool holds a connection for as long as it takes further streams.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.connection2 import CONNECTION_WINDOW, NEVER, STREAM_WINDOW, Connection2, Stream2
from gatewayd.wire import fields2, frames
from gatewayd.wire.frames import PREFACE, ErrorCode, StreamFault
from gatewayd.wire.refused import Refused

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.port import Port
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint

MAX_INTERIMS = 16
LAST_STREAM = (1 << 31) - 1
_GREETING = (
    PREFACE
    + frames.settings({frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW})
    + frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
)


class Upstream2(Connection2):
    """One connection to an endpoint."""

    __slots__ = ("backend", "blocked", "endpoint")

    exchange = None
    of_server = True

    def __init__(self, port: Port, backend: Backend, endpoint: Endpoint) -> None:
        super().__init__(port)
        self.backend = backend
        self.endpoint = endpoint
        self.blocked = False
        self.last = -1

    # -- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=self.port.settings.buffer_bytes)
        self.runtime.timed.add(self)
        transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        self.read(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.runtime.timed.discard(self)
        self.going = True
        self.endpoint.idle.pop(self, None)
        self.drop_streams(ErrorCode.CANCEL)
        self.endpoint.open -= 1
        self.backend.open -= 1
        if self.backend.waiting:
            self.runtime.connector.next_waiting(self.backend)

    # -- streams ---------------------------------------------------------------------------------------------------

    @property
    def takes_more(self) -> bool:
        """Whether a further stream may be opened."""
        return not self.going and len(self.streams) < self.peer_streams and self.last < LAST_STREAM - 2

    def send_head(self, exchange: Exchange, body: bytes, ended: bool, trailers: bytes) -> None:
        """Open a stream for the exchange and send its request."""
        self.last += 2
        stream = ResponseStream(self, self.last, exchange)
        self.streams[self.last] = stream
        exchange.up = stream
        self.deadline = NEVER
        if self.takes_more:
            self.endpoint.idle[self] = None  # it was taken out of the pool to be used
        stream.send_head(body, ended, trailers)

    def headers(self, identity: int, fields: Any, ended: bool) -> None:
        stream = self.streams.get(identity)
        if stream is None or stream.ended_in:
            self._unexpected(identity)
            return
        stream.ended_in = ended
        stream.take_fields(fields, ended)

    def body(self, stream: ResponseStream, data: bytes, ended: bool) -> None:
        stream.take_body(data, ended)

    def lost(self, stream: ResponseStream, code: int) -> None:
        exchange, stream.exchange = stream.exchange, None
        stream.unwatch()
        if exchange is not None:
            refused = code == ErrorCode.REFUSED_STREAM and not exchange.status
            exchange.upstream_lost(b"upstream_closed" if refused or self.going else b"upstream_reset")

    def leaving(self, last: int) -> None:
        self.going = True
        self.endpoint.idle.pop(self, None)
        for identity in [identity for identity in self.streams if identity > last]:
            stream = self.streams.pop(identity)
            self.waiting.pop(stream, None)
            stream.ended_in = stream.ended_out = True
            self.lost(stream, ErrorCode.REFUSED_STREAM)
        if not self.streams:
            self.transport.close()

    def stream_over(self) -> None:
        if self.going or self.endpoint.gone or self.runtime.draining:
            self.endpoint.idle.pop(self, None)
            if not self.streams:
                self.transport.close()
            return
        if not self.streams:
            self.deadline = monotonic() + self.port.settings.upstream_idle_timeout
        self.endpoint.idle[self] = None
        if self.backend.waiting:
            self.endpoint.idle.pop(self, None)
            if not self.runtime.connector.hand_over(self):
                self.endpoint.idle[self] = None

    def release_new(self, now: float) -> None:
        """A connection that nobody waited for any more goes to the pool."""
        self.deadline = now + self.port.settings.upstream_idle_timeout
        self.endpoint.idle[self] = None

    def close(self) -> None:
        """Close when the last stream is over."""
        self.going = True
        if not self.streams:
            self.transport.close()

    def expire(self, now: float) -> None:
        """Idle for too long."""
        self.deadline = NEVER
        self.endpoint.idle.pop(self, None)
        if self.lingering:
            self.transport.abort()
        elif not self.streams:
            self.go_away(ErrorCode.NO_ERROR, "idle")


class ResponseStream(Stream2):
    """One exchange on a connection to a backend. `answered` once its final head came."""

    __slots__ = ("answered", "blocked", "deadline", "exchange", "left", "paused")

    connection: Upstream2

    def __init__(self, connection: Upstream2, identity: int, exchange: Exchange) -> None:
        super().__init__(connection, identity)
        self.exchange: Exchange | None = exchange
        self.answered = self.blocked = self.paused = False
        self.left = -1
        self.deadline = NEVER

    # -- the request -----------------------------------------------------------------------------------------------

    def send_head(self, body: bytes, ended: bool, trailers: bytes) -> None:
        """Send the request: head and what there is of the body."""
        exchange = self.exchange
        assert exchange is not None
        connection = self.connection
        head = exchange.head
        start = fields2.request_start(head, exchange.path, exchange.authority, b"http")
        whole = ended and not body and not trailers
        connection.send_fields(self, start, exchange.block, whole)
        if not whole:
            self.send_body(body, ended, trailers)
        if ended:
            self._watch(exchange.sent + connection.port.settings.first_byte_timeout)

    def send_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of the request's body."""
        connection = self.connection
        if trailers and ended:
            if data:
                connection.send(self, data, False)
            connection.send_fields(self, fields2.trailer_fields(trailers), b"", True)
        elif data or ended:
            connection.send(self, data, ended)
        if ended and not self.answered:
            self._watch(monotonic() + connection.port.settings.first_byte_timeout)

    def filled(self) -> None:
        self.blocked = True
        if self.exchange is not None:
            self.exchange.pause_request()

    def drained(self) -> None:
        self.blocked = False
        if self.exchange is not None and not self.exchange.ended:
            self.exchange.resume_request()

    # -- the response ----------------------------------------------------------------------------------------------

    def take_fields(self, fields: Any, ended: bool) -> None:
        """A head (interim or final), or trailers."""
        exchange = self.exchange
        if exchange is None:
            return
        if self.answered:
            if not ended or fields is None:
                raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "second_head")
            self._end(b"", fields2.trailer_block(fields))
            return
        if fields is None:
            self._refuse(exchange, Refused(502, "head_too_large"))
            return
        try:
            head = fields2.response_head(fields, ended, exchange.head.method)
        except Refused as refused:
            self._refuse(exchange, refused)
            return
        if head.status < 200:
            exchange.interims += 1
            if exchange.interims > MAX_INTERIMS:
                self._refuse(exchange, Refused(502, "too_many_interims"))
            else:
                exchange.down.interim(head)
            return
        self.answered = True
        self.left = head.length
        now = monotonic()
        self._watch(now + self.connection.port.settings.stream_idle_timeout if not ended else NEVER)
        exchange.respond(head, b"", ended, b"", now)

    def take_body(self, data: bytes, ended: bool) -> None:
        """Bytes of the response's body."""
        exchange = self.exchange
        if exchange is None:
            return
        if not self.answered:
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "body_before_head")
        if self.left >= 0:
            self.left -= len(data)
            if self.left < 0 or (ended and self.left):
                raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "content_length_differs")
        if ended:
            self._end(data, b"")
        else:
            self._watch(monotonic() + self.connection.port.settings.stream_idle_timeout)
            exchange.respond_body(data, False)

    def _end(self, data: bytes, trailers: bytes) -> None:
        exchange = self.exchange
        if exchange is not None:
            self.unwatch()
            exchange.respond_body(data, True, trailers)

    def _refuse(self, exchange: Exchange, refused: Refused) -> None:
        self.exchange = None
        self.connection.reset_stream(self.id, ErrorCode.PROTOCOL_ERROR)
        exchange.upstream_lost(b"bad_response_" + refused.reason.encode())

    # -- the end ---------------------------------------------------------------------------------------------------

    def release(self, now: float) -> None:
        """The exchange is over."""
        self.exchange = None
        self.unwatch()
        if not self.ended_out or not self.ended_in:
            self.connection.reset_stream(self.id, ErrorCode.CANCEL if not self.ended_in else ErrorCode.NO_ERROR)
        else:
            self.connection.forget(self)

    def abort(self) -> None:
        """Let go of a request in flight."""
        self.exchange = None
        self.unwatch()
        if self.connection.streams.get(self.id) is self:
            self.connection.reset_stream(self.id, ErrorCode.CANCEL)

    def pause(self) -> None:
        """The client cannot take more of the response: no credit until it can."""
        self.paused = self.held = True
        self._watch(NEVER)

    def resume(self) -> None:
        """The client takes more again."""
        if self.paused:
            self.paused = False
            self.give_credit()
            self._watch(monotonic() + self.connection.port.settings.stream_idle_timeout)

    def _watch(self, deadline: float) -> None:
        self.deadline = deadline
        self.connection.runtime.timed.add(self)

    def unwatch(self) -> None:
        """Deadlines are over."""
        self.deadline = NEVER
        self.connection.runtime.timed.discard(self)

    def expire(self, now: float) -> None:
        """No first byte, or no further one, in time."""
        exchange, self.exchange = self.exchange, None
        self.unwatch()
        self.connection.reset_stream(self.id, ErrorCode.CANCEL)
        if exchange is not None:
            exchange.upstream_lost(b"upstream_timeout", 504)

