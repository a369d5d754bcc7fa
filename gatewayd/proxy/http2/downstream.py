"""HTTP/2 from clients (RFC 9113): one protocol object for a connection, a small one for each stream (`request`)."""

from __future__ import annotations

from functools import cache
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.http2.connection import CONNECTION_WINDOW, MAX_STREAMS, STREAM_WINDOW, Connection2
from gatewayd.proxy.http2.request import RequestStream
from gatewayd.proxy.http2.sender import CORKED
from gatewayd.wire import fields2, frames
from gatewayd.wire.frames import PREFACE, ConnectionFault, ErrorCode, StreamFault
from gatewayd.wire.refused import Refused
from gatewayd.wire.sorter2 import Malformed

if TYPE_CHECKING:
    from gatewayd.proxy.port import Port
    from gatewayd.routing.snapshot import Settings
    from gatewayd.wire.head import RequestHead


@cache
def _greeting(head_bytes: int) -> bytes:
    settings = {
        frames.MAX_CONCURRENT_STREAMS: MAX_STREAMS,
        frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        frames.MAX_HEADER_LIST_SIZE: head_bytes,
        frames.ENABLE_CONNECT_PROTOCOL: 1,
    }
    return frames.settings(settings) + frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)


# A drain has two steps (RFC 9113 section 6.8): streams that are on their way are still taken until the client has seen
# the first GOAWAY, which it shows by answering the PING behind it; or until some time is over.
_LAST_STREAM = (1 << 31) - 1
_SEEN = b"gatewayd"
_DRAIN = frames.goaway(_LAST_STREAM, ErrorCode.NO_ERROR) + frames.ping(_SEEN)
_GRACE = 1.0


class Downstream2(Connection2):
    """One client's connection. `old` is when it has lived long enough."""

    __slots__ = ("_preface", "born", "client", "draining", "forwarded", "old", "sni_listener", "trusted")

    exchange = None
    prompt = True  # a connection to a backend brings all the answers that it has in one read

    def __init__(self, port: Port, sni_listener: str | None = None) -> None:
        super().__init__(port)
        self.sni_listener = sni_listener
        self._preface = b""
        self.draining = False

    @property
    def settings(self) -> Settings:
        """Those of the port, which a reload may change."""
        return self.port.settings

    # -- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        settings = self.settings
        self.born = now = monotonic()
        self.deadline = now + settings.head_timeout
        self.old = now + settings.connection_lifetime
        transport.set_write_buffer_limits(high=settings.buffer_bytes)
        self.client, self.trusted = self.port.describe_client(transport.get_extra_info("peername"))
        self.forwarded = b"\r\nx-forwarded-for: %b\r\nx-forwarded-proto: %b\r\nx-forwarded-host: " % (
            self.client,
            self.port.scheme,
        )
        self.runtime.opened(self)
        transport.write(_greeting(self.limits.size))

    def data_received(self, data: bytes) -> None:
        if self._preface is not None:
            data = self._check_preface(self._preface + data)
            if not data:
                return
        self.read(data)

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
        self.connection_gone()

    def eof_received(self) -> bool:
        return False

    def go_away(self, code: int, reason: str) -> None:
        if code != ErrorCode.NO_ERROR and not self.lingering and not self.transport.is_closing():
            self.runtime.refused(self, 400, reason, monotonic())
        super().go_away(code, reason)

    def last_taken(self) -> int:
        return self.last

    # -- streams ---------------------------------------------------------------------------------------------------

    def headers(self, identity: int, fields: Any, ended: bool) -> None:
        known = self.streams.get(identity)
        if known is not None:
            self._trailers(known, fields, ended)
            return
        if not identity % 2 or identity <= self.last:
            self._old_stream(identity)
            return
        if self.going:  # above the last that was announced: the client will know that it was not served
            self.ignore(identity)
            return
        self.last = identity
        if len(self.streams) >= MAX_STREAMS:
            self.budget.charge("refused")
            self.reset_stream(identity, ErrorCode.REFUSED_STREAM, "refused")
            return
        stream = self.streams[identity] = RequestStream(self, identity)
        stream.ended_in = ended
        if not (self.draining or self.write_paused):
            self.deadline = NEVER
        self._begin(stream, fields, ended)

    def _begin(self, stream: RequestStream, fields: Any, ended: bool) -> None:
        if fields is None:
            stream.refuse(Refused(431, "head_too_large"))
            return
        try:
            head = self._head(fields, ended, self.port.limits.line)
        except Malformed as malformed:
            self.runtime.refused(self, 400, malformed.reason, monotonic())
            raise StreamFault(stream.id, ErrorCode.PROTOCOL_ERROR, malformed.reason) from None
        except Refused as refused:
            stream.refuse(refused)
            return
        head.trusted = self.trusted
        stream.head = head
        if ended:
            stream.start(b"", True)
        else:
            stream.await_body(head)

    def _head(self, fields: Any, ended: bool, longest_line: int) -> RequestHead:
        decoder = self.decoder
        if decoder.again:
            return self.heads.request(fields, ended, longest_line)
        if decoder.stem is not None:
            return self.heads.page(decoder.stem, fields, ended, longest_line)
        return fields2.request_head(fields, ended, longest_line)

    def _old_stream(self, identity: int) -> None:
        if not identity % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "even_stream")
        if identity not in self.cut:
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
        if self.opened is stream:
            self.opened = None
            stream.start(b"", True, trailers)
        else:
            stream.received(b"", True, trailers)

    def lost(self, stream: RequestStream, code: int, reason: str) -> None:
        if self.opened is stream:
            self.opened = None
        stream.lost(code, _REASONS.get(reason) or reason.encode())

    def leaving(self, last: int) -> None:
        """The client opens no further stream; those that are open go on."""

    def stream_over(self) -> None:
        if self.streams:
            return
        self.streams.clear()  # an empty dict keeps the room that it had
        if self.going:
            self.close_softly()
            return
        if not self.draining and not self.write_paused:
            self.deadline = monotonic() + self.settings.idle_timeout
        if self._planned != CORKED:  # nothing else can come for it in this turn
            self.flush()

    # -- the end ---------------------------------------------------------------------------------------------------

    @property
    def idle(self) -> bool:
        """No stream is open."""
        return not self.streams

    def drain(self) -> None:
        """Take no new streams once the client knows of it; close when the last is over."""
        if self.draining or self.going:
            return
        self.draining = True
        self.deadline = monotonic() + _GRACE
        self.write(_DRAIN)

    def answered(self, ping: bytes) -> None:
        if ping == _SEEN and self.draining and not self.going:
            self._refuse_new()

    def _refuse_new(self) -> None:
        self.going = True
        self.deadline = NEVER
        self.write(frames.goaway(self.last, ErrorCode.NO_ERROR))
        if not self.streams:
            self.close_softly()

    def pause_writing(self) -> None:
        super().pause_writing()
        if not self.lingering:
            self.deadline = monotonic() + self.settings.write_timeout

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.lingering:
            self.deadline = NEVER if self.streams else monotonic() + self.settings.idle_timeout

    def expire(self, now: float) -> None:
        """Idle for too long, no settings in time, nothing read for too long, or the last word was said."""
        if self.lingering or self.write_paused:
            self.expire_writing(now)
        elif self.draining and not self.going:
            self._refuse_new()
        elif self.streams:
            self.deadline = NEVER
        else:
            self.go_away(ErrorCode.NO_ERROR, "idle")


# The word for the access line where it is not the one for the peer.
_REASONS = {"reset": b"client_reset", "closed": b"client_closed"}
