"""One request of an HTTP/2 client: the downstream stream of its exchange (RFC 9113 section 8)."""

from __future__ import annotations

from base64 import b64encode
from secrets import token_bytes
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.addresses import fields_of_trusted
from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.exchange import Exchange
from gatewayd.proxy.http2.stream import Stream2
from gatewayd.proxy.http2.transport import ACCEPT, StreamTransport, accept_of
from gatewayd.proxy.replies import text
from gatewayd.proxy.tunnel import Tunnel
from gatewayd.wire import fields2, frames, grpc
from gatewayd.wire.fields import split_block, without
from gatewayd.wire.frames import ErrorCode, StreamFault
from gatewayd.wire.refused import Refused

if TYPE_CHECKING:
    from gatewayd.proxy.http2.downstream import Downstream2
    from gatewayd.wire.head import RequestHead
    from gatewayd.wire.response_head import ResponseHead

_NO_BODY = frozenset({204, 304})


class RequestStream(Stream2):
    """`left` is what Content-Length still promises, -1 without one. `early` are bytes for a tunnel that is not there
    yet, `tunnel` is set when it is. `call`: the response is one of gRPC, which began and may be cut. `deadline` is in
    the worker's list only while `timed`.
    """

    __slots__ = (
        "body_began",
        "call",
        "client",
        "deadline",
        "early",
        "exchange",
        "head",
        "left",
        "patient",
        "received_bytes",
        "sni_listener",
        "timed",
        "tunnel",
    )

    connection: Downstream2

    def __init__(self, connection: Downstream2, identity: int) -> None:
        # All in one: two calls for each stream are worth saving.
        self.connection = connection
        self.id = identity
        self.window = connection.peer_window
        self.credit = 0
        self.ended_in = self.ended_out = self.held = self.full = self.moved = self.timed = self.call = False
        self.queue = b""
        self.queue_end = None
        self.client = connection.client
        self.sni_listener = connection.sni_listener
        self.exchange: Exchange | None = None
        self.head: RequestHead | None = None
        self.tunnel: StreamTransport | None = None
        self.left = -1
        self.deadline = NEVER

    # -- the request -----------------------------------------------------------------------------------------------

    def await_body(self, head: RequestHead) -> None:
        """The head came without the end."""
        if head.upgrade:
            self._ask_for_tunnel(head)
        else:
            self.left = head.length
            self.connection.opened = self

    def _ask_for_tunnel(self, head: RequestHead) -> None:
        """A WebSocket (RFC 8441). HTTP/1.1 wants a key for it; what the client sends meanwhile waits here."""
        head.block = b"%b\r\nsec-websocket-key: %b" % (
            fields2.request_block(head, head.block),
            b64encode(token_bytes(16)),
        )
        head.specials[b"upgrade"] = head.upgrade
        self.early = b""
        self.held = True
        self.start(b"", True)

    def open(self) -> None:
        """Nothing came of the body so far."""
        self.start(b"", False)

    def start(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """Begin the exchange with what came of the body so far."""
        head = self.head
        assert head is not None
        if self.left >= 0:
            self._account(len(data), ended)
        connection = self.connection
        now = monotonic()
        exchange = self.exchange = Exchange(self, connection.port, head, now)
        if now > connection.old or connection.runtime.brief:
            connection.drain()
        exchange.begin(data, ended, trailers)
        if not ended and self.exchange is exchange:
            self.patient = head.call
            self.received_bytes = len(data)
            self.body_began = now
            if exchange.up is None and not exchange.takes_body:
                self.held = True
            elif not self.held:
                self._expect_body(now)

    def _account(self, size: int, ended: bool) -> None:
        """RFC 9113 section 8.1.1: a body that is not as long as Content-Length says is malformed."""
        self.left -= size
        if self.left < 0 or (ended and self.left):
            raise StreamFault(self.id, ErrorCode.PROTOCOL_ERROR, "content_length_differs")

    def take_body(self, data: bytes, ended: bool) -> None:
        """Bytes of the body came."""
        connection = self.connection
        if connection.opened is self:
            connection.opened = None
            self.start(data, ended)
        else:
            self.received(data, ended)

    def received(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of the body came."""
        if self.tunnel is not None:
            self.tunnel.received(data, ended)
        elif self.left >= 0:
            self._account(len(data), ended)
        exchange = self.exchange
        if exchange is not None:
            if exchange.head.upgrade:
                self.early += data
                return
            self.received_bytes += len(data)
            exchange.send_body(data, ended, trailers)
            if self.exchange is not None and not self.queue:
                if ended:
                    self.unwatch()
                elif not self.held:
                    self._expect_body(monotonic())
        if ended and self.ended_out:
            self.connection.forget(self)

    def pause(self) -> None:
        """The backend cannot take more: no credit until it can. The time that passes is not the client's."""
        self.held = True
        if not self.queue:
            self.unwatch()

    def resume(self) -> None:
        """The backend takes more again."""
        self.give_credit()
        if not self.ended_in and self.exchange is not None and not self.queue:
            self.received_bytes = 0
            self.body_began = now = monotonic()
            self._expect_body(now)

    def describe(self, exchange: Exchange) -> bytes:
        """The field lines that tell the backend about the client (block form)."""
        connection = self.connection
        if exchange.head.trusted:
            return fields_of_trusted(exchange)
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
        connection = self.connection
        start = fields2.response_start(head)
        if (ended and not data and not trailers) or self.exchange.head.method == b"HEAD" or head.status in _NO_BODY:
            connection.send_fields(self, start, head.block, True)
            return
        if ended:
            connection.send_whole(self, start, head.block, data, trailers=fields2.trailer_lines(trailers))
            return
        if self.exchange.attempts is not None:
            self.call = grpc.is_grpc(dict(split_block(head.block)).get(b"content-type"))
        connection.send_fields(self, start, head.block, False)
        if data:
            connection.send(self, data, False)
        if not self.ended_in and not self.queue:
            self.unwatch()  # it answers while the request goes on: how long it lasts is for the two to agree on

    def reply_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of a response's body, or its end."""
        if self.ended_out:
            return
        if trailers and ended:
            self.connection.send_last(self, data, fields2.trailer_lines(trailers))
        elif data or ended:
            self.connection.send(self, data, ended)

    def reply_local(self, status: int, block: bytes) -> None:
        """The gateway's own answer; a gRPC client gets it as trailers-only (gRPC over HTTP/2, Responses)."""
        exchange = self.exchange
        assert exchange is not None
        request = exchange.head
        if request.call:
            self.connection.send_fields(self, grpc.trailers_only(status, exchange.reason), b"", True)
        else:
            exchange.bytes_out = self._answer(status, block, head_only=request.method == b"HEAD")

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

    def switch(self, head: ResponseHead, upstream: Any, data: bytes) -> None:
        """The backend opened the tunnel: from now on this stream is one end of it. Refused when the answer does not
        belong to the key.
        """
        exchange = self.exchange
        assert exchange is not None
        key = exchange.head.value(b"sec-websocket-key") or b""
        if dict(split_block(head.block)).get(b"sec-websocket-accept") != accept_of(key):
            exchange.status = 0
            raise Refused(502, "bad_websocket_accept")
        head.status = 200
        self.connection.send_fields(self, fields2.response_start(head), without(head.block, ACCEPT), False)
        exchange.bytes_out = len(data)
        self.exchange = None
        self.tunnel = StreamTransport(self)
        tunnel = Tunnel(exchange, self.tunnel, upstream)
        early, self.early = self.early, b""
        tunnel.start(early)
        if data:
            self.tunnel.write(data)
        self.give_credit()
        if self.ended_in:
            self.tunnel.received(b"", True)

    def abort(self) -> None:
        """The response cannot be completed: the stream is reset, so that it does not look complete."""
        self.exchange = None
        self.unwatch()
        if not (self.ended_in and self.ended_out):
            self.connection.reset_stream(self.id, ErrorCode.INTERNAL_ERROR, "aborted")

    def cut(self, status: int, reason: bytes) -> None:
        """The response takes too long. A call of gRPC whose answer began ends with trailers that say so (gRPC over
        HTTP/2, "Responses"); but not behind bytes that the client does not take, nor where the answer is no call's.
        """
        if self.call and not self.queue and not self.ended_out:
            self.connection.send_last(self, b"", grpc.trailers(status, reason))
        else:
            self.abort()

    def finished(self, now: float) -> None:
        """The exchange is over; what it answered may still wait for a window."""
        self.exchange = None
        if not self.queue:
            if self.timed:
                self.unwatch()
            if not self.ended_in:
                self._stop_request()

    def _stop_request(self) -> None:
        """Answered before the request ended: tell the client to stop sending (RFC 9113 section 8.1)."""
        if not self.ended_in and self.ended_out:
            self.ended_in = True
            self.connection.write(frames.rst_stream(self.id, ErrorCode.NO_ERROR))
            self.connection.ignore(self.id)
            self.connection.forget(self)

    def lost(self, code: int, reason: bytes) -> None:
        """The stream is given up, or its connection is gone."""
        self.unwatch()
        if self.tunnel is not None:
            self.tunnel.lost(None if code == ErrorCode.NO_ERROR else ConnectionResetError())
        exchange = self.exchange
        if exchange is not None:
            self.exchange = None
            exchange.downstream_lost(reason)

    # -- back-pressure and time ------------------------------------------------------------------------------------

    def waits(self) -> None:
        """The client's window is used up: it must open in time."""
        self._watch(monotonic() + self.connection.port.settings.write_timeout)

    def filled(self) -> None:
        """The client cannot take more of the response."""
        if self.tunnel is not None:
            self.tunnel.filled()
        elif self.exchange is not None and self.exchange.up is not None:
            self.exchange.up.pause()

    def drained(self) -> None:
        """The client takes more again."""
        self.unwatch()
        exchange = self.exchange
        if self.tunnel is not None:
            self.tunnel.drained()
        elif exchange is None:
            self._stop_request()
        elif exchange.up is not None:
            exchange.up.resume()

    def _expect_body(self, now: float) -> None:
        """The moment at which a body is too slow: no byte for a while, or too few since it began. Calls of gRPC may be
        silent for as long as a tunnel, and once there is an answer both sides know why they wait.
        """
        exchange = self.exchange
        if exchange is None or exchange.status:
            return
        settings = exchange.settings
        if self.patient:
            self._watch(now + settings.tunnel_idle_timeout)
            return
        deadline = now + settings.body_read_timeout
        if settings.body_min_rate:
            earned = max(settings.body_grace, self.received_bytes / settings.body_min_rate)
            deadline = min(deadline, self.body_began + earned)
        self._watch(deadline)

    def _watch(self, deadline: float) -> None:
        """Be looked at when this moment is there. Most streams never are."""
        self.deadline = deadline
        if not self.timed:
            self.timed = True
            self.connection.runtime.timed.add(self)

    def unwatch(self) -> None:
        """Nothing is due any more."""
        if self.timed:
            self.timed = False
            self.deadline = NEVER
            self.connection.runtime.timed.discard(self)

    def expire(self, now: float) -> None:
        """The body is too slow, or nobody reads the answer."""
        connection, exchange = self.connection, self.exchange
        if self.queue and (self.moved or connection.write_paused):
            self.moved = False
            self.deadline = now + connection.port.settings.write_timeout
        elif self.queue:
            connection.reset_stream(self.id, ErrorCode.CANCEL, "write_timeout")
        else:
            self.unwatch()
            if exchange is not None and not exchange.status:
                exchange.reply(408, b"body_timeout")
