"""HTTP/1.1 from clients (RFC 9112): one protocol object for a connection, itself the downstream stream of its exchange.

States, by two attributes: `exchange` is the request in flight or None; `left` is what is still to come of its body.

    exchange None, left 0     idle, or a head is coming (`tail`)
    exchange set,  left != 0  the body is coming: bytes left, or CHUNKED
    exchange set,  left 0     the request is complete; what comes now is the next one's (`tail`, bounded)
    exchange None, left != 0  answered early: the rest of the body is read and dropped, or DRAINING before the close
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy import replies
from gatewayd.proxy.addresses import fields_of_trusted, place_of
from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.exchange import Exchange
from gatewayd.proxy.http1.intake import DRAINING, Intake1
from gatewayd.proxy.http2.downstream import Downstream2
from gatewayd.proxy.tunnel import Tunnel
from gatewayd.wire.body import ChunkedBody
from gatewayd.wire.frames import PREFACE
from gatewayd.wire.framing import CHUNKED
from gatewayd.wire.head import parse_request
from gatewayd.wire.refused import Refused

if TYPE_CHECKING:
    from gatewayd.proxy.port import Port
    from gatewayd.wire.response_head import ResponseHead

EMPTY_LINE = b"\r\n"
GRACE = 1.0
LINGER = 5.0  # seconds between two pieces of what a client still sends and nobody reads, before the close
LINGER_IN_ALL = 30.0


class Downstream1(Intake1):
    """One client's connection."""

    __slots__ = (
        "client",
        "forwarded",
        "scanned",
        "serving",
        "sni_listener",
        "trusted",
        "unsent",
        "write_paused",
    )

    unsent: int

    def __init__(self, port: Port, sni_listener: str | None = None) -> None:
        self.port = port
        self.runtime = port.runtime
        self.sni_listener = sni_listener
        self.exchange: Exchange | None = None
        self.decoder: ChunkedBody | None = None
        self.splice = None
        self.sipping = False
        self.tail = b""
        self.scanned = self.left = self.received = 0
        self.body_began = 0.0
        self.keep = True
        self.serving = self.half_closed = self.held = self.write_paused = False
        self.reply_chunked = self.reply_silent = False

    # -- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.write = self.transport.write
        self.born = now = monotonic()
        settings = self.port.settings
        self.deadline = now + settings.head_timeout
        self.transport.set_write_buffer_limits(high=settings.buffer_bytes)
        peer = self.transport.get_extra_info("peername")
        self.client, self.trusted = self.port.describe_client(peer)
        self.forwarded = b"\r\nx-forwarded-for: %b\r\nx-forwarded-proto: %b\r\nx-forwarded-host: " % (
            self.client,
            self.port.scheme,
        )
        self.runtime.opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.runtime.closed(self)
        self.keep = False
        exchange = self.exchange
        if exchange is not None:
            exchange.downstream_lost(b"client_closed")
        self._stop_splice()
        self.write = _drop

    def eof_received(self) -> bool:
        """A client may close its sending half and wait for the answers to what it sent (RFC 9112 section 9.6)."""
        if self.exchange is not None and not self.left:
            self.half_closed = True
            self.keep = bool(self.tail)
            return True
        self.keep = False
        if self.exchange is not None:
            self.transport.abort()
        return False

    def data_received(self, data: bytes) -> None:
        try:
            if self.exchange is None:
                if self.left:
                    self._discard(data)
                else:
                    if self.tail:
                        data = self.tail + data
                        self.tail = b""
                    self._serve(data)
            elif self.left:
                self._receive(data)
            else:
                self._hold(data)
        except Exception as error:
            self.runtime.failed(error)
            self.transport.abort()

    # -- requests --------------------------------------------------------------------------------------------------

    def _serve(self, data: bytes) -> None:
        """Begin an exchange for each request that is complete enough, one after the other."""
        self.serving = True
        while data:
            if self.write_paused:  # answers are not read: no further request is begun
                self._hold(data)
                break
            try:
                head = parse_request(data, self.port.limits, self.scanned)
            except Refused as refused:
                if refused.status != 505 or not self._speaks2(data):
                    self.refuse(refused)
                break
            if head is None:
                self._wait_for_head(data)
                break
            self.scanned = 0
            self._begin(head, data[head.end :])
            if self.exchange is not None or self.left or not self.keep:
                break
            data, self.tail = self.tail, b""
        self.serving = False
        if self.held:
            self._read_on()
        if self.half_closed:
            self._end_half_closed()

    def _speaks2(self, data: bytes) -> bool:
        """HTTP/2 with prior knowledge on a port in clear text (RFC 9113 section 3.3): its preface is no request."""
        if not data.startswith(PREFACE[:16]) or self.port.scheme != b"http":
            return False
        self.runtime.left(self)
        connection = Downstream2(self.port)
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        connection.data_received(data)
        return True

    def _begin(self, head: Any, data: bytes) -> None:
        head.trusted = self.trusted
        if not head.authority:
            head.host, head.authority = place_of(self.transport)
        self.exchange = exchange = Exchange(self, self.port, head, monotonic())
        self.deadline = NEVER
        length = head.length
        if length == 0:
            self.tail = data
            exchange.begin(b"", True)
            return
        self.received = len(data)
        self.body_began = exchange.began
        if length > 0:
            self.left = max(0, length - len(data))
            self.tail = data[length:]
            exchange.begin(data[:length] if self.tail else data, not self.left)
        else:
            self.decoder = ChunkedBody(self.port.settings.trailer_bytes)
            self.left = CHUNKED
            try:
                pieces = self._decode(data)
            except Refused as refused:
                self._refuse_body(refused)
                return
            exchange.begin(b"".join(pieces), not self.left, self.trailers())
        if self.left and self.exchange is exchange:
            if exchange.up is None and not exchange.takes_body:
                self.pause()
            else:
                self._expect_body(exchange.began)

    def _wait_for_head(self, data: bytes) -> None:
        if data == EMPTY_LINE:  # what old clients send after a body begins no request: the connection stays idle
            self.tail = data
            return
        if not self.scanned and self.deadline != NEVER:
            self.deadline = monotonic() + self.port.settings.head_timeout
        self.tail = data
        self.scanned = len(data)

    def _read_on(self) -> None:
        """Reading rests: go on where there is room for what comes."""
        exchange = self.exchange
        if self.left:
            if exchange is not None and exchange.takes_body:
                self.resume()
        elif len(self.tail) <= self.port.settings.buffer_bytes or (exchange is None and not self.write_paused):
            self.held = False
            self.transport.resume_reading()

    def _end_half_closed(self) -> None:
        """What is not complete by now never will be."""
        if self.left and self.exchange is not None:
            self.transport.abort()
        elif self.exchange is None and not self.write_paused:
            self.transport.close()

    def _hold(self, data: bytes) -> None:
        """Keep what belongs to the next request; stop reading when it is more than a buffer's worth."""
        self.tail += data
        if len(self.tail) > self.port.settings.buffer_bytes:
            self.held = True
            self.transport.pause_reading()

    def _discard(self, data: bytes) -> None:
        """The rest of a body that nobody wants any more."""
        if self.left == DRAINING:
            self.deadline = min(monotonic() + LINGER, self.body_began + LINGER_IN_ALL)
            return
        self.left -= len(data)
        if self.left <= 0:
            self.tail = data[len(data) + self.left :] if self.left else b""
            self.left = 0
            self.deadline = monotonic() + self.port.settings.idle_timeout
            self._go_on()

    def describe(self, exchange: Exchange) -> bytes:
        """The field lines that tell the backend about the client (block form)."""
        head = exchange.head
        if head.trusted:
            return fields_of_trusted(exchange)
        exchange.request_id = identity = self.runtime.new_request_id()
        return b"%b%b\r\nx-request-id: %b" % (self.forwarded, head.authority, identity)

    # -- after the response --------------------------------------------------------------------------------------------

    def switch(self, head: ResponseHead, upstream: Any, data: bytes) -> None:
        """101: from now on this is a tunnel for `data` and all that follows."""
        exchange = self.exchange
        assert exchange is not None
        upgrade = exchange.head.upgrade
        exchange.bytes_out = len(data)
        self.write(
            b"HTTP/1.1 101 %b%b\r\nconnection: upgrade\r\nupgrade: %b\r\n\r\n%b"
            % (head.reason, head.block, upgrade, data)
        )
        tail, self.tail = self.tail, b""
        self.exchange = None
        self.runtime.left(self)
        tunnel = Tunnel(exchange, self.transport, upstream)
        tunnel.start(tail)
        self.transport.resume_reading()
        if self.half_closed:
            tunnel.client.eof_received()

    def finished(self, now: float) -> None:
        """The exchange is over: close, or wait for the next request (which may have come already)."""
        exchange, self.exchange = self.exchange, None
        self.decoder = None
        if self.splice is not None:
            self._stop_splice()
        if self.sipping:
            self.sipping = False
            self.transport.set_protocol(self)
        if not self.keep:
            self._close()
            return
        settings = self.port.settings if exchange is None else exchange.settings
        self.deadline = now + (settings.write_timeout if self.write_paused else settings.idle_timeout)
        if self.left:
            self.deadline = now + LINGER
            self.held = False
            self.transport.resume_reading()
        elif self.tail or self.held:
            self._go_on()

    def _go_on(self) -> None:
        if self.serving:
            return
        if self.tail and not self.write_paused:
            data, self.tail = self.tail, b""
            self._serve(data)
        elif self.held:
            self._read_on()

    def _close(self) -> None:
        """Close after the answer. Where a client still sends, a close at once could destroy the answer on its way
        (RFC 9112 section 9.6): half-close, read and drop for a while, then close.
        """
        if not self.left and not self.tail:
            self.deadline = monotonic() + self.port.settings.write_timeout
            self.transport.close()
            return
        self.left = DRAINING
        self.tail = b""
        self.body_began = monotonic()
        self.deadline = self.body_began + LINGER
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def refuse(self, refused: Refused) -> None:
        """Answer a request that is none (400, 408, 414, 431, 501, 505) and close."""
        now = monotonic()
        self.runtime.refused(self, refused.status, refused.reason, now)
        self.write(replies.reply(refused.status, self.runtime.date, replies.CLOSE))
        self.keep = False
        self.left = DRAINING
        self._close()

    def expire(self, now: float) -> None:
        """The deadline is over."""
        exchange = self.exchange
        if exchange is None and self.left == 0 and self.scanned:
            self.deadline = NEVER
            self.refuse(Refused(408, "head_timeout"))
        elif exchange is not None and self.left and not exchange.status and not self.write_paused:
            self.deadline = NEVER
            self.keep = False
            exchange.reply(408, b"body_timeout")
        else:
            if self.write_paused and self._takes_some(now):
                return
            if exchange is not None:
                exchange.reason = b"write_timeout" if self.write_paused else b"body_timeout"
            if exchange is not None or self.write_paused:
                self.abort()
            else:
                self.transport.abort()

    def _takes_some(self, now: float) -> bool:
        """Whether the client took some of what is written, though slowly, since this was asked last."""
        before, self.unsent = self.unsent, self.transport.get_write_buffer_size()
        self.deadline = now + self.port.settings.write_timeout
        return self.unsent < before

    def pause_writing(self) -> None:
        self.write_paused = True
        self.unsent = self.transport.get_write_buffer_size()
        self.deadline = monotonic() + self.port.settings.write_timeout
        if self.exchange is not None and self.exchange.up is not None:
            self.exchange.up.pause()

    def resume_writing(self) -> None:
        self.write_paused = False
        exchange = self.exchange
        if exchange is None:
            if self.left != DRAINING:
                self.deadline = monotonic() + self.port.settings.idle_timeout
                self._go_on()
            return
        if self.left and not self.held:
            self._expect_body(monotonic())
        else:
            self.deadline = NEVER
        if exchange.up is not None:
            exchange.up.resume()

    def drain(self) -> None:
        """Close if nothing is in flight; a connection this young may have its first request on the way."""
        if self.idle:
            now = monotonic()
            if now - self.born < GRACE:
                self.deadline = now + GRACE
            else:
                self.transport.close()

    @property
    def idle(self) -> bool:
        """Nothing in flight and nothing begun."""
        return self.exchange is None and self.tail in (b"", EMPTY_LINE) and not self.left


def _drop(data: bytes) -> None:
    """What is written to a connection that is gone."""
