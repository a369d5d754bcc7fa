"""HTTP/2 from clients (RFC 9113): one protocol object for a connection, one small object for each stream, which is the
downstream stream of its exchange.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.connection2 import CONNECTION_WINDOW, MAX_STREAMS, NEVER, STREAM_WINDOW, Connection2, Stream2
from gatewayd.proxy.exchange import Exchange
from gatewayd.proxy.gone import GONE
from gatewayd.proxy.replies import text
from gatewayd.wire import fields2, frames, grpc
from gatewayd.wire.frames import PREFACE, ConnectionFault, ErrorCode, StreamFault
from gatewayd.wire.refused import Refused

if TYPE_CHECKING:
    from gatewayd.proxy.port import Port
    from gatewayd.wire.head import RequestHead, ResponseHead

_GREETING = frames.settings(
    {
        frames.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
        frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        frames.MAX_HEADER_LIST_SIZE: 65536,
    }
) + frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
_NO_BODY = frozenset({204, 304})


class Downstream2(Connection2):
    """One client's connection. `opened` is a stream whose head came without its end, in this very read: it begins with
    the next frame, so that a short body goes to the backend in one piece with the head.
    """

    __slots__ = ("_opened", "_preface", "born", "client", "draining", "forwarded", "sni_listener", "trusted")

    exchange = None

    def __init__(self, port: Port, sni_listener: str | None = None) -> None:
        super().__init__(port)
        self.sni_listener = sni_listener
        self._preface = b""
        self._opened: RequestStream | None = None
        self.draining = False

    # -- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        settings = self.port.settings
        self.born = now = monotonic()
        self.deadline = now + settings.head_timeout
        transport.set_write_buffer_limits(high=settings.buffer_bytes)
        self.client, self.trusted = self.port.describe_client(transport.get_extra_info("peername"))
        self.forwarded = b"\r\nx-forwarded-for: %b\r\nx-forwarded-proto: %b\r\nx-forwarded-host: " % (
            self.client,
            self.port.scheme,
        )
        self.runtime.opened(self)
        transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        if self._preface is not None:
            data = self._check_preface(self._preface + data)
            if not data:
                return
        self.read(data)
        if self._opened is not None:
            self._open()

    def _check_preface(self, data: bytes) -> bytes:
        """What follows the preface; b"" while it is incomplete, or wrong (RFC 9113 section 3.4)."""
        if len(data) < len(PREFACE) and PREFACE.startswith(data):
            self._preface = data
            return b""
        if not data.startswith(PREFACE):
            self.go_away(ErrorCode.PROTOCOL_ERROR, "no_preface")
            return b""
        self._preface = None  # type: ignore[assignment]
        return data[len(PREFACE) :]

    def connection_lost(self, error: Exception | None) -> None:
        self.runtime.closed(self)
        self.going = True
        self.transport = GONE
        self.drop_streams(ErrorCode.CANCEL)

    def eof_received(self) -> bool:
        return False

    # -- streams ---------------------------------------------------------------------------------------------------

    def headers(self, identity: int, fields: Any, ended: bool) -> None:
        if self._opened is not None:
            self._open()
        known = self.streams.get(identity)
        if known is not None:
            self._trailers(known, fields, ended)
            return
        if not identity % 2 or identity <= self.last:
            self._old_stream(identity)
        self.last = identity
        if self.going or self.draining:
            return
        if len(self.streams) >= MAX_STREAMS:
            self.charge("refused")
            self.write(frames.rst_stream(identity, ErrorCode.REFUSED_STREAM))
            return
        stream = RequestStream(self, identity)
        self.streams[identity] = stream
        stream.ended_in = ended
        if fields is None:
            stream.refuse(Refused(431, "head_too_large"))
            return
        try:
            head = fields2.request_head(fields, ended, self.port.limits.line)
        except fields2.Malformed as malformed:
            self.runtime.refused(self, 400, malformed.reason, monotonic())
            raise StreamFault(identity, ErrorCode.PROTOCOL_ERROR, malformed.reason) from None
        except Refused as refused:
            stream.refuse(refused)
            return
        stream.begin(head, ended)

    def _old_stream(self, identity: int) -> None:
        if not identity % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "even_stream")
        raise ConnectionFault(ErrorCode.STREAM_CLOSED, "stream_closed")

    def _trailers(self, stream: RequestStream, fields: Any, ended: bool) -> None:
        if stream.ended_in:
            raise StreamFault(stream.id, ErrorCode.STREAM_CLOSED, "stream_closed")
        if not ended or fields is None:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, "second_head")
        try:
            trailers = fields2.trailer_block(fields)
        except Refused as refused:
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, refused.reason) from None
        stream.ended_in = True
        if self._opened is stream:
            self._opened = None
            stream.start(b"", True, trailers)
        else:
            stream.received(b"", True, trailers)

    def body(self, stream: RequestStream, data: bytes, ended: bool) -> None:
        if self._opened is stream:
            self._opened = None
            stream.start(data, ended)
        else:
            stream.received(data, ended)

    def _open(self) -> None:
        stream, self._opened = self._opened, None
        if stream is not None:
            stream.start(b"", False)

    def open_later(self, stream: RequestStream) -> None:
        """Begin the stream's exchange with the next frame, or at the end of this read."""
        self._opened = stream

    def lost(self, stream: RequestStream, code: int) -> None:
        if self._opened is stream:
            self._opened = None
        stream.lost()

    def leaving(self, last: int) -> None:
        """The client opens no further stream; those that are open go on."""

    def stream_over(self) -> None:
        if not self.streams:
            self.deadline = monotonic() + self.port.settings.idle_timeout
            if self.draining or self.going:
                self.flush()
                self.close_softly()

    # -- the end ---------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """No stream is open."""
        return not self.streams

    def drain(self) -> None:
        """Take no new stream; close when the last is over (RFC 9113 section 6.8)."""
        if self.draining:
            return
        self.draining = True
        self.write(frames.goaway(self.last, ErrorCode.NO_ERROR))
        if not self.streams:
            self.flush()
            self.close_softly()

    def expire(self, now: float) -> None:
        """Idle for too long, no settings in time, or the last word was said."""
        if self.lingering:
            self.transport.abort()
        elif self.streams:
            self.deadline = NEVER
        else:
            self.go_away(ErrorCode.NO_ERROR, "idle")


class RequestStream(Stream2):
    """One request of a client: the downstream stream of its exchange. `left` is what Content-Length still promises."""

    __slots__ = ("client", "deadline", "exchange", "head", "left", "sni_listener", "timed", "trusted")

    connection: Downstream2

    def __init__(self, connection: Downstream2, identity: int) -> None:
        super().__init__(connection, identity)
        self.client = connection.client
        self.sni_listener = connection.sni_listener
        self.exchange: Exchange | None = None
        self.head: RequestHead | None = None
        self.left = -1
        self.deadline = NEVER
        self.timed = False

    # -- the request -----------------------------------------------------------------------------------------------

    def begin(self, head: RequestHead, ended: bool) -> None:
        """The head came."""
        self.head = head
        head.trusted = self.connection.trusted
        self.connection.deadline = NEVER
        if ended:
            self.start(b"", True)
        else:
            self.left = head.length
            self.connection.open_later(self)

    def start(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """Begin the exchange with what came of the body so far."""
        head = self.head
        assert head is not None
        self._account(data, ended)
        exchange = self.exchange = Exchange(self, self.connection.port, head, monotonic())
        exchange.begin(data, ended, trailers)
        if not ended and self.exchange is exchange:
            if exchange.up is None:
                self.held = True
            self._watch(self.connection.port.settings.body_read_timeout)

    def _account(self, data: bytes, ended: bool) -> None:
        """RFC 9113 section 8.1.1: a body that is not as long as Content-Length says is malformed."""
        if self.left >= 0:
            self.left -= len(data)
            if self.left < 0 or (ended and self.left):
                raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "content_length_differs")

    def received(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of the body came."""
        self._account(data, ended)
        exchange = self.exchange
        if exchange is not None:
            exchange.send_body(data, ended, trailers)
            self._watch(0.0 if ended else self.connection.port.settings.body_read_timeout)
        if ended and self.ended_out:
            self.connection.forget(self)

    def pause(self) -> None:
        """The backend cannot take more: no credit until it can."""
        self.held = True
        self._watch(0.0)

    def resume(self) -> None:
        """The backend takes more again."""
        self.give_credit()

    def describe(self, exchange: Exchange) -> bytes:
        """The field lines that tell the backend about the client (block form)."""
        connection = self.connection
        if connection.trusted:
            return connection.port.describe_trusted(connection, exchange)
        exchange.request_id = identity = connection.runtime.new_request_id()
        return b"%b%b\r\nx-request-id: %b" % (connection.forwarded, exchange.head.authority, identity)

    def refuse(self, refused: Refused) -> None:
        """A head that is refused but leaves the stream in order (431 ...): answered on the stream."""
        connection = self.connection
        connection.runtime.refused(connection, refused.status, refused.reason, monotonic())
        self._answer(refused.status, b"", head_only=False)
        self._stop_request()

    # -- the response ----------------------------------------------------------------------------------------------

    def reply_head(self, head: ResponseHead, data: bytes, ended: bool, trailers: bytes) -> None:
        """A backend's response begins."""
        assert self.exchange is not None
        silent = self.exchange.head.method == b"HEAD" or head.status in _NO_BODY
        connection = self.connection
        start = fields2.response_start(head)
        if silent or (ended and not data and not trailers):
            connection.send_fields(self, start, head.block, True)
            return
        connection.send_fields(self, start, head.block, False)
        self.reply_body(data, ended, trailers)

    def reply_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of a response's body, or its end."""
        if self.ended_out:
            return
        connection = self.connection
        if trailers and ended:
            if data:
                connection.send(self, data, False)
            connection.send_fields(self, fields2.trailer_fields(trailers), b"", True)
        elif data or ended:
            connection.send(self, data, ended)

    def reply_local(self, status: int, block: bytes) -> None:
        """The gateway's own answer; a gRPC client gets it as trailers-only (gRPC over HTTP/2, Responses)."""
        assert self.exchange is not None
        request = self.exchange.head
        if grpc.is_grpc(request.value(b"content-type")):
            self.connection.send_fields(self, grpc.trailers_only(status, self.exchange.reason), b"", True)
            return
        self.exchange.bytes_out = self._answer(status, block, head_only=request.method == b"HEAD")

    def _answer(self, status: int, block: bytes, *, head_only: bool) -> int:
        """Send an answer of our own; the bytes of its body."""
        connection = self.connection
        body = text(status)
        start = [(b":status", b"%d" % status), (b"date", connection.runtime.date)]
        if body:
            start += [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
        if head_only:
            body = b""
        connection.send_fields(self, start, block, not body)
        if body:
            connection.send(self, body, True)
        return len(body)

    def interim(self, head: ResponseHead) -> None:
        """A 1xx response."""
        if head.status != 100 or (self.exchange is not None and self.exchange.head.expect):
            self.connection.send_fields(self, fields2.response_start(head), head.block, False)

    def abort(self) -> None:
        """The response cannot be completed."""
        self.connection.reset_stream(self.id, ErrorCode.INTERNAL_ERROR)

    def finished(self, now: float) -> None:
        """The exchange is over; what it answered may still wait for a window."""
        self.exchange = None
        self._watch(self.connection.port.settings.write_timeout if self.queue else 0.0)
        self._stop_request()

    def _stop_request(self) -> None:
        """Answered before the request ended: tell the client to stop sending (RFC 9113 section 8.1)."""
        if not self.ended_in and self.ended_out:
            self.ended_in = True
            self.connection.write(frames.rst_stream(self.id, ErrorCode.NO_ERROR))
            self.connection.forget(self)

    def lost(self) -> None:
        """The client gave up the stream, or its connection is gone."""
        self._watch(0.0)
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            exchange.downstream_lost(b"client_closed")

    # -- back-pressure and time ------------------------------------------------------------------------------------

    def filled(self) -> None:
        exchange = self.exchange
        self._watch(self.connection.port.settings.write_timeout)
        if exchange is not None and exchange.up is not None:
            exchange.up.pause()

    def drained(self) -> None:
        self._watch(0.0)
        exchange = self.exchange
        if exchange is not None and exchange.up is not None:
            exchange.up.resume()
        elif exchange is None:
            self._stop_request()

    def _watch(self, seconds: float) -> None:
        """Be looked at when these seconds are over; 0 for no longer. Most streams never are."""
        if seconds:
            self.deadline = monotonic() + seconds
            if not self.timed:
                self.timed = True
                self.connection.runtime.timed.add(self)
        elif self.timed:
            self.timed = False
            self.deadline = NEVER
            self.connection.runtime.timed.discard(self)

    def expire(self, now: float) -> None:
        """The body is too slow, or nobody reads the answer."""
        exchange = self.exchange
        self._watch(0.0)
        if exchange is not None and not exchange.status and not self.ended_in:
            exchange.reply(408, b"body_timeout")
            return
        if exchange is not None:
            exchange.reason = b"write_timeout"
        self.connection.reset_stream(self.id, ErrorCode.CANCEL)
