"""One exchange on an HTTP/2 connection to a backend: its upstream stream (RFC 9113 section 8)."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.http2.stream import Stream2
from gatewayd.proxy.http2.transport import StreamTransport, accept_of
from gatewayd.wire import fields2
from gatewayd.wire.frames import ErrorCode, StreamFault
from gatewayd.wire.refused import Refused

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.http2.upstream import Upstream2
    from gatewayd.wire.response_head import ResponseHead

MAX_INTERIMS = 16


class ResponseStream(Stream2):
    """`answered` once its final head came, `left` what Content-Length still promises, -1 without one. `first` are the
    first bytes of the body, which wait with the head for the next frame of the same read. `blocked`: the
    backend takes no more of the request; `paused`: the client takes no more of the response. `tunnel` is set when the
    stream is one (RFC 8441). `settings` are those of the exchange's listener: connections are shared by all.
    """

    __slots__ = (
        "answered",
        "blocked",
        "deadline",
        "exchange",
        "first",
        "head",
        "left",
        "patience",
        "paused",
        "settings",
        "tunnel",
    )

    connection: Upstream2

    def __init__(self, connection: Upstream2, identity: int, exchange: Exchange) -> None:
        # All in one: two calls for each stream are worth saving.
        self.connection = connection
        self.id = identity
        self.window = connection.peer_window
        self.credit = 0
        self.ended_in = self.ended_out = self.held = self.full = self.moved = False
        self.answered = self.blocked = self.paused = False
        self.queue = self.first = b""
        self.queue_end = None
        self.exchange: Exchange | None = exchange
        self.head: ResponseHead | None = None
        self.tunnel: StreamTransport | None = None
        self.left = -1
        self.settings = exchange.settings
        self.patience = self.settings.stream_idle_timeout
        self.deadline = NEVER

    # -- the request -----------------------------------------------------------------------------------------------

    def send_head(self, body: bytes, ended: bool, trailers: bytes) -> None:
        """Send the request: head and what there is of the body."""
        exchange = self.exchange
        assert exchange is not None
        connection = self.connection
        head = exchange.head
        block = exchange.block
        # The last line is the request's identity, which differs each time; what is before it may well be known.
        cut = block.rfind(b"\r\n")
        lines, last = block[:cut], block[cut:]
        if ended:
            self.deadline = exchange.sent + self._first_byte(exchange)
            connection.runtime.timed.add(self)
        if head.upgrade:
            fields = fields2.request_start(head, exchange.path, exchange.authority, b"http")
            connection.send_fields(self, fields, fields2.request_block(head, block), False)
            return
        fields = fields2.request_framing(head)
        start = connection.encoder.start(head.method, exchange.authority, exchange.path + head.query)
        if ended and not body and not trailers:
            connection.send_fields(self, fields, lines, True, last, start)
        elif ended and not trailers:
            connection.send_whole(self, fields, lines, body, last, start=start)
        else:
            connection.send_fields(self, fields, lines, False, last, start)
            self._send(body, ended, trailers)

    def _send(self, data: bytes, ended: bool, trailers: bytes) -> None:
        if trailers and ended:
            self.connection.send_last(self, data, fields2.trailer_lines(trailers))
        elif data or ended:
            self.connection.send(self, data, ended)

    def send_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of the request's body."""
        self._send(data, ended, trailers)
        if not self.queue:
            self._await_response(ended)

    def _await_response(self, ended: bool) -> None:
        """The deadline of what comes next from the backend."""
        if self.paused:
            self.unwatch()
        elif self.answered:
            self._watch(monotonic() + self.patience)
        elif ended and self.exchange is not None:
            self._watch(monotonic() + self._first_byte(self.exchange))

    def _first_byte(self, exchange: Exchange) -> float:
        """Seconds that the response may take to begin. A call of gRPC has its own deadline, or wants none."""
        head = exchange.head
        if head.method == b"POST" and b"application/grpc" in head.block:
            return self.settings.tunnel_idle_timeout
        return self.settings.first_byte_timeout

    def waits(self) -> None:
        """The backend's window is used up: it must open in time."""
        self._watch(monotonic() + self.settings.write_timeout)

    def filled(self) -> None:
        """The backend takes no more of the request."""
        self.blocked = True
        if self.tunnel is not None:
            self.tunnel.filled()
        elif self.exchange is not None and not self.exchange.ended:
            self.exchange.pause_request()

    def drained(self) -> None:
        """The backend takes more again."""
        self.blocked = False
        exchange = self.exchange
        if self.tunnel is not None:
            self.unwatch()
            self.tunnel.drained()
        elif exchange is not None:
            self._await_response(exchange.ended)
            if not exchange.ended:
                exchange.resume_request()

    # -- the response ----------------------------------------------------------------------------------------------

    def take_fields(self, fields: Any, ended: bool) -> None:
        """A head (interim or final), or trailers."""
        exchange = self.exchange
        if self.tunnel is not None:
            self.tunnel.received(b"", ended)
        if exchange is None:
            return
        if self.answered:
            self._take_trailers(exchange, fields, ended)
            return
        if fields is None:
            self._refuse(exchange, Refused(502, "head_too_large"))
            return
        try:
            connection = self.connection
            read = connection.heads.response if connection.decoder.again else fields2.response_head
            head = read(fields, ended, exchange.head.method)
            if head.status < 200:
                self._take_interim(exchange, head)
                return
            if exchange.head.upgrade and head.status < 300:
                self._switch(exchange, head, ended)
                return
        except Refused as refused:
            self._refuse(exchange, refused)
            return
        self.answered = True
        self.left = head.length if head.length >= 0 else -1
        if ended:
            self.unwatch()
            exchange.respond(head, b"", True, b"", monotonic())
        else:
            self.head = head
            self.connection.opened = self

    def open(self) -> None:
        """No more came in this read."""
        self._respond(b"", False, b"")

    def _respond(self, data: bytes, ended: bool, trailers: bytes) -> None:
        """Pass on the head that waited, with what came since."""
        head, self.head = self.head, None
        if self.first:
            data, self.first = self.first + data, b""
        exchange = self.exchange
        if exchange is None or head is None:
            return
        now = monotonic()
        if ended:
            self.unwatch()
        else:
            if b"application/grpc" in head.block:  # its streams may be silent for as long as a tunnel
                self.patience = self.settings.tunnel_idle_timeout
            self._watch(now + self.patience)
        exchange.respond(head, data, ended, trailers, now)

    def _take_trailers(self, exchange: Exchange, fields: Any, ended: bool) -> None:
        if not ended or fields is None:
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "bad_response_second_head")
        if self.left > 0:
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "bad_response_content_length_differs")
        try:
            trailers = fields2.trailer_block(fields)
        except Refused as refused:
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "bad_response_" + refused.reason) from None
        if self.head is not None:
            self.connection.opened = None
            self._respond(b"", True, trailers)
            return
        self.unwatch()
        exchange.respond_body(b"", True, trailers)

    def _take_interim(self, exchange: Exchange, head: ResponseHead) -> None:
        exchange.interims += 1
        if exchange.interims > MAX_INTERIMS:
            raise Refused(502, "too_many_interims")
        exchange.down.interim(head)

    def _switch(self, exchange: Exchange, head: ResponseHead, ended: bool) -> None:
        """The stream is a tunnel from now on. To the client's side it answers as HTTP/1.1 would."""
        self.tunnel = StreamTransport(self)
        head = head.copy()
        head.reason = b"Switching Protocols"
        head.block += b"\r\nsec-websocket-accept: " + accept_of(exchange.head.value(b"sec-websocket-key") or b"")
        self.unwatch()
        exchange.switch(head, self, b"")
        if ended:
            self.tunnel.received(b"", True)

    @property
    def transport(self) -> StreamTransport | None:
        """What a tunnel takes over."""
        return self.tunnel

    def detach(self) -> None:
        """The stream is a tunnel's from now on."""
        self.exchange = None

    def take_body(self, data: bytes, ended: bool) -> None:
        """Bytes of the response's body."""
        exchange = self.exchange
        if self.tunnel is not None:
            self.tunnel.received(data, ended)
        if exchange is None:
            return
        if not self.answered:
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "bad_response_no_head")
        if self.left >= 0:
            self.left -= len(data)
            if self.left < 0 or (ended and self.left):
                raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "bad_response_content_length_differs")
        if self.head is not None:
            if not (ended or self.first):
                self.first = data  # what follows at once may be the end, or trailers: calls of gRPC are answered so
                return
            self.connection.opened = None
            self._respond(data, ended, b"")
            return
        if ended:
            self.unwatch()
        elif not self.paused and not self.queue:
            self._watch(monotonic() + self.patience)
        if data or ended:
            exchange.respond_body(data, ended)

    def _refuse(self, exchange: Exchange, refused: Refused) -> None:
        self.exchange = None
        self.tunnel = None
        self.connection.reset_stream(self.id, ErrorCode.PROTOCOL_ERROR, refused.reason)
        exchange.upstream_lost(b"bad_response_" + refused.reason.encode())

    # -- the end ---------------------------------------------------------------------------------------------------

    def release(self, now: float) -> None:
        """The exchange is over."""
        self.exchange = None
        if self.deadline != NEVER:
            self.unwatch()
        connection = self.connection
        if connection.streams.get(self.id) is not self:
            return
        if self.ended_in and self.ended_out:
            connection.forget(self)
        else:
            connection.reset_stream(self.id, ErrorCode.NO_ERROR if self.ended_in else ErrorCode.CANCEL, "released")

    def abort(self) -> None:
        """Let go of a request in flight."""
        self.exchange = None
        self.unwatch()
        if self.connection.streams.get(self.id) is self:
            self.connection.reset_stream(self.id, ErrorCode.CANCEL, "aborted")
        else:
            self.connection.give_up_waiting(self)

    def lost(self, code: int, reason: str) -> None:
        """The stream is given up, or its connection is gone."""
        exchange, self.exchange = self.exchange, None
        self.unwatch()
        if self.tunnel is not None:
            self.tunnel.lost(None if code == ErrorCode.NO_ERROR else ConnectionResetError())
        if exchange is not None:
            exchange.upstream_lost(self.connection.reason_of(code, reason))

    def pause(self) -> None:
        """The client cannot take more of the response: no credit until it can."""
        self.paused = self.held = True
        if not self.queue:
            self.unwatch()

    def resume(self) -> None:
        """The client takes more again."""
        self.paused = False
        self.give_credit()
        if self.exchange is not None and not self.queue:
            self._await_response(self.exchange.ended)

    def _watch(self, deadline: float) -> None:
        self.deadline = deadline
        self.connection.runtime.timed.add(self)

    def unwatch(self) -> None:
        """Nothing is due any more."""
        self.deadline = NEVER
        self.connection.runtime.timed.discard(self)

    def expire(self, now: float) -> None:
        """No first byte, or no further one, in time; or the backend takes nothing of the request."""
        connection = self.connection
        if self.queue and (self.moved or connection.write_paused):
            self.moved = False
            self.deadline = now + self.settings.write_timeout
            return
        exchange, self.exchange = self.exchange, None
        self.unwatch()
        connection.reset_stream(self.id, ErrorCode.CANCEL, "upstream_timeout")
        if exchange is not None:
            exchange.upstream_lost(b"upstream_timeout", 504)
