"""HTTP/1.1 to backends (RFC 9112): one protocol object for a connection, itself the upstream stream of its exchange.

A connection goes back to the pool only if the request was sent whole, the response was read whole, nothing came after
it, and both sides may persist. Everything else closes it: that is what keeps responses with their requests.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.http1.response import Response1
from gatewayd.proxy.http1.sips import SIP
from gatewayd.wire.body import ChunkedBody, chunks, last_chunk
from gatewayd.wire.framing import CHUNKED, UNTIL_CLOSE, UNTIL_END
from gatewayd.wire.refused import Refused
from gatewayd.wire.response_head import parse_response

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.port import Port
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint
    from gatewayd.wire.head import RequestHead
    from gatewayd.wire.response_head import ResponseHead

MAX_INTERIMS = 16
_END = b"\r\n\r\n"


class Upstream1(Response1):
    """One connection to an endpoint. `left` is what is still to come of the response's body, None before its head.
    `paused`: the client cannot take more of the response. `blocked`: the backend takes no more of the request.
    `settings` are those of the listener of the present or last exchange: connections are shared by all listeners.
    """

    __slots__ = (
        "backend",
        "blocked",
        "paused",
        "request_chunked",
        "request_ended",
        "unsent",
        "write",
    )

    unsent: int

    def __init__(self, port: Port, backend: Backend, endpoint: Endpoint) -> None:
        self.settings = port.settings
        self.runtime = port.runtime
        self.backend = backend
        self.endpoint = endpoint
        self.exchange: Exchange | None = None
        self.decoder = None
        self.splice = None
        self.sipping = False
        self.request_chunked = False
        self.left = None
        self.tail = b""
        self.keep = True
        self.request_ended = False
        self.blocked = self.paused = self.was_reset = False
        self.deadline = NEVER

    # -- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.write = self.transport.write
        self.transport.set_write_buffer_limits(high=self.settings.buffer_bytes)
        self.runtime.timed.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.runtime.timed.discard(self)
        self.endpoint.idle.pop(self, None)
        exchange = self.exchange
        if exchange is not None:
            self._ended(exchange, clean=error is None)
        self._stop_splice()
        self._give_up_place()

    def eof_received(self) -> bool:
        self.endpoint.idle.pop(self, None)  # at once: the close comes a turn later
        exchange = self.exchange
        if exchange is not None:
            self._ended(exchange, clean=True)
        return False

    def _give_up_place(self) -> None:
        self.endpoint.open -= 1
        self.backend.open -= 1
        if self.backend.waiting:
            self.runtime.connector.next_waiting(self.backend)

    # -- the request -----------------------------------------------------------------------------------------------

    def send_head(self, exchange: Exchange, body: bytes, ended: bool, trailers: bytes) -> None:
        """Send a request: head and what there is of the body in one write."""
        self.exchange = exchange
        self.settings = settings = exchange.settings
        self.left = None
        self.request_ended = ended
        head = exchange.head
        self.deadline = exchange.sent + settings.first_byte_timeout if ended else NEVER
        end = self._frame(head, body, ended, trailers) if head.specials or head.length else _END
        self.write(
            b"%b %b%b HTTP/1.1\r\nhost: %b%b%b"
            % (head.method, exchange.path, head.query, exchange.authority, exchange.block, end)
        )

    def _frame(self, head: RequestHead, body: bytes, ended: bool, trailers: bytes) -> bytes:
        """The framing fields, written anew, the end of the head, and the first of the body."""
        self.request_chunked = head.length in (CHUNKED, UNTIL_END)
        fields = b"\r\nte: trailers\r\nconnection: te" if head.trailers and not head.upgrade else b""
        if self.request_chunked:
            fields += b"\r\ntransfer-encoding: chunked"
            if b"trailer" in head.specials:
                fields += b"\r\ntrailer: " + head.specials[b"trailer"]
            body = b"".join(chunks(body, last_chunk(trailers) if ended else b""))
        elif b"content-length" in head.specials:
            fields += b"\r\ncontent-length: %d" % head.length
        if head.upgrade:
            fields += b"\r\nconnection: upgrade\r\nupgrade: " + head.upgrade
        if head.expect:
            fields += b"\r\nexpect: 100-continue"
        return fields + _END + body

    def send_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of the request's body."""
        if self.request_chunked:
            self.transport.writelines(chunks(data, last_chunk(trailers) if ended else b""))
        elif data:
            self.write(data)
        if ended:
            self.request_ended = True
            if not self.blocked:
                self._await_response()

    @property
    def sink(self) -> Any:
        """The transport, where the bytes of the request's body go as they are; else None."""
        return None if self.request_chunked else self.transport

    def pause_writing(self) -> None:
        self.blocked = True
        self.unsent = self.transport.get_write_buffer_size()
        if self.exchange is not None:
            self.deadline = monotonic() + self.settings.write_timeout
            self.exchange.pause_request()

    def resume_writing(self) -> None:
        self.blocked = False
        if self.exchange is not None:
            self._await_response()
            self.exchange.resume_request()

    def _await_response(self) -> None:
        """The deadline of what comes next from the backend."""
        settings = self.settings
        if self.paused:
            self.deadline = NEVER
        elif self.left is not None:
            self.deadline = monotonic() + settings.stream_idle_timeout
        else:
            self.deadline = monotonic() + settings.first_byte_timeout if self.request_ended else NEVER

    # -- the response ----------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        try:
            exchange = self.exchange
            if exchange is None:
                self._spare()
            elif self.left is None:
                self._read_head(exchange, self.tail + data if self.tail else data)
            else:
                self._read_body(exchange, data)
        except Refused as refused:
            self._refuse(refused)
        except Exception as error:
            self.runtime.failed(error)
            self._refuse(Refused(502, "exception"))

    def _read_head(self, exchange: Exchange, data: bytes) -> None:
        limits = exchange.port.limits
        head = parse_response(data, limits, exchange.head.method)
        while head is not None and head.status < 200:
            if not self._interim(exchange, head, data):
                return
            data = data[head.end :]
            head = parse_response(data, limits, exchange.head.method)
        if head is None:
            self.tail = data
            return
        self.tail = b""
        self.keep = head.keep_alive
        now = monotonic()
        length = head.length
        trailers = b""
        if length >= 0:
            body = data[head.end :]
            self.left = left = length - len(body)
            if left < 0:
                body = body[:left]
                self._spare()
            ended = left <= 0
        elif length == CHUNKED:
            self.left = CHUNKED
            self.decoder = ChunkedBody(self.settings.trailer_bytes)
            body = b"".join(self._decode(data[head.end :]))
            ended, trailers = self.decoder.done, self.decoder.trailers
        else:
            self.left = UNTIL_CLOSE
            self.keep = False
            body, ended = data[head.end :], False
        if not ended:
            self.deadline = now + self.settings.stream_idle_timeout
        elif len(data) >= SIP:
            self._look_behind()
        exchange.respond(head, body, ended, trailers, now)
        if not ended:
            self._move_body(exchange)

    def _interim(self, exchange: Exchange, head: ResponseHead, data: bytes) -> bool:
        """A 1xx response; False when the connection is no longer HTTP."""
        exchange.interims += 1
        if exchange.interims > MAX_INTERIMS:
            raise Refused(502, "too_many_interims")
        if head.status != 101:
            exchange.down.interim(head)
            return True
        if not exchange.head.upgrade or head.specials.get(b"upgrade", b"").lower() != exchange.head.upgrade:
            raise Refused(502, "upgrade_not_asked")
        exchange.switch(head, self, data[head.end :])
        return False

    def _refuse(self, refused: Refused) -> None:
        exchange = self.exchange
        self.abort()
        if exchange is not None:
            exchange.upstream_lost(b"bad_response_" + refused.reason.encode())

    # -- the end ---------------------------------------------------------------------------------------------------

    def release(self, now: float) -> None:
        """The exchange is over: serve one that waits, or go back to the pool, or close."""
        self.exchange = None
        self.decoder = None
        if self.sipping:
            self.sipping = False
            self.transport.set_protocol(self)
        endpoint = self.endpoint
        if not self.keep or not self.request_ended or self.blocked:
            self.abort()
            return
        if self.paused:
            self.paused = False
            self.transport.resume_reading()
        if self.backend.waiting and self.runtime.connector.hand_over(self):
            return
        settings = self.settings
        if not endpoint.kept or self.runtime.draining or len(endpoint.idle) >= settings.upstream_idle_connections:
            self.transport.close()
            return
        self.deadline = now + settings.upstream_idle_timeout
        endpoint.idle[self] = None

    def release_new(self, now: float) -> None:
        """A connection whose exchange did not wait for it any more."""
        self.request_ended = True
        self.release(now)

    def detach(self) -> None:
        """The transport is a tunnel's from now on."""
        self.exchange = None
        self.runtime.timed.discard(self)
        self._give_up_place()

    def abort(self) -> None:
        """Let go of a request in flight."""
        self.exchange = None
        self.keep = False
        self._stop_splice()
        self.transport.abort()

    def pause(self) -> None:
        """The client cannot take more of the response: stop reading. The backend is not to blame for the time."""
        self.paused = True
        self.deadline = NEVER
        self.transport.pause_reading()

    def resume(self) -> None:
        """The client takes more again."""
        self.paused = False
        self._await_response()
        if self.splice is None:
            self.transport.resume_reading()

    def expire(self, now: float) -> None:
        """The deadline is over: of an idle connection, of the first byte, or of the stream."""
        if self.blocked:
            before, self.unsent = self.unsent, self.transport.get_write_buffer_size()
            if self.unsent < before:  # the backend takes some of the request, though slowly
                self.deadline = now + self.settings.write_timeout
                return
        exchange = self.exchange
        self.deadline = NEVER
        self.endpoint.idle.pop(self, None)
        self.abort()
        if exchange is not None:
            exchange.upstream_lost(b"upstream_timeout", 504)
