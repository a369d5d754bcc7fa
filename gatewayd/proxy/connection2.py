"""HTTP/2 connections (RFC 9113): what both roles share. Frames in, streams and windows, frames out.

Frames that streams write in one turn of the event loop leave in one `write`. Windows are the valve towards the peer;
the transport's own pause counts as a window of zero, so that memory for a connection is bounded either way.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar

from gatewayd.wire import frames
from gatewayd.wire.frames import ConnectionFault, ErrorCode, StreamFault
from gatewayd.wire.hpack import Decoder, FieldLimits, HpackError, TooLarge
from gatewayd.wire.hpack_encode import Encoder

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.proxy.port import Port

NEVER = float("inf")
INITIAL_WINDOW = 65535  # RFC 9113 section 6.9.2
STREAM_WINDOW = 65536
CONNECTION_WINDOW = 1 << 20
MAX_FRAME = 16384
MAX_CONTINUATIONS = 8
MAX_STREAMS = 100
LINGER = 2.0  # seconds in which a peer may still send what will not be read
QUEUE = 65536  # bytes of one stream that wait for a window before its source is paused
_UNPACK = frames.FRAME_HEADER.unpack_from

# What a peer may do in a stretch of ten seconds before it is told to calm down (RFC 9113 section 10.5). Resets count
# in both directions: a peer can make us send them as well as send them itself.
STRETCH = 10.0
BUDGETS = {
    "resets": 100,
    "refused": 100,
    "settings": 100,
    "empty": 100,
    "pings": 1000,
    "priorities": 1000,
    "windows": 20000,
}


class Stream2:
    """One stream. `window` is what may still be sent, `credit` what was received and not yet given back.

    `queue` waits for a window; `held` says that credit is withheld because whoever takes the bytes cannot take more.
    """

    __slots__ = ("connection", "credit", "ended_in", "ended_out", "held", "id", "queue", "queue_end", "window")

    def __init__(self, connection: Connection2, identity: int) -> None:
        self.connection = connection
        self.id = identity
        self.window = connection.peer_window
        self.credit = 0
        self.ended_in = self.ended_out = self.held = False
        self.queue = b""
        self.queue_end: bytes | None = None  # what ends the stream after the queue: an encoded frame

    def give_credit(self) -> None:
        """Let the peer send as much again as was taken."""
        self.held = False
        if self.credit and not self.ended_in:
            self.connection.write(frames.window_update(self.id, self.credit))
            self.credit = 0

    def drained(self) -> None:
        """The queue is empty again."""

    def filled(self) -> None:
        """The queue is longer than it should be."""


class Connection2(asyncio.BaseProtocol):
    """One connection of either role."""

    __slots__ = (
        "_block",
        "_block_flags",
        "_block_frames",
        "_block_stream",
        "_counts",
        "_out",
        "_scheduled",
        "_stretch",
        "_tail",
        "credit",
        "deadline",
        "decoder",
        "encoder",
        "going",
        "last",
        "limits",
        "lingering",
        "peer_streams",
        "peer_window",
        "port",
        "runtime",
        "settled",
        "streams",
        "transport",
        "waiting",
        "window",
        "write_paused",
    )

    of_server = False  # whether the peer is a server

    def __init__(self, port: Port) -> None:
        self.port = port
        self.runtime = port.runtime
        settings = port.settings
        self.limits = FieldLimits(settings.head_bytes or 1 << 30, settings.fields or 1 << 30)
        self.decoder = Decoder()
        self.encoder = Encoder()
        self.streams: dict[int, Any] = {}
        self.waiting: dict[Any, None] = {}  # streams with a queue, in the order of their turn
        self.last = 0
        self.window = INITIAL_WINDOW
        self.peer_window = INITIAL_WINDOW
        self.peer_streams = MAX_STREAMS
        self.credit = 0
        self.settled = self.going = self.lingering = self.write_paused = False
        self._tail = b""
        self._block = b""
        self._block_stream = self._block_flags = self._block_frames = 0
        self._out: list[bytes] = []
        self._scheduled = False
        self._counts: dict[str, int] = {}
        self._stretch = 0.0
        self.deadline = NEVER

    if TYPE_CHECKING:  # the role's part
        transport: Any

        def headers(self, identity: int, fields: Any, ended: bool) -> None:
            """A header section came, complete and decoded."""

        def body(self, stream: Any, data: bytes, ended: bool) -> None:
            """Bytes of a stream's body came."""

        def lost(self, stream: Any, code: int) -> None:
            """The peer gave up a stream, which is out of `streams` already."""

        def leaving(self, last: int) -> None:
            """The peer sent GOAWAY: it takes no stream above `last`."""

    # -- frames in -------------------------------------------------------------------------------------------------

    def read(self, data: bytes) -> None:
        """Take the frames in `data`; answer faults as RFC 9113 section 5.4 says."""
        if self.lingering:
            return
        try:
            self._read(self._tail + data if self._tail else data)
        except ConnectionFault as fault:
            self.go_away(fault.code, fault.reason)
        except HpackError as error:
            self.go_away(ErrorCode.COMPRESSION_ERROR, str(error))
        except Exception as error:
            self.runtime.failed(error)
            self.go_away(ErrorCode.INTERNAL_ERROR, "exception")
        if self._out:
            self.flush()

    def _read(self, data: bytes) -> None:
        at, size = 0, len(data)
        while size - at >= 9:
            word, flags, identity = _UNPACK(data, at)
            length, kind = word >> 8, word & 0xFF
            identity &= 0x7FFFFFFF
            try:
                if kind > frames.HEADERS or not identity or length > MAX_FRAME:
                    frames.check(length, kind, flags, identity)
                end = at + 9 + length
                if end > size:
                    break
                self._take(kind, identity, flags, data, at + 9, length)
            except StreamFault as fault:
                if at + 9 + length > size:
                    break  # the payload is skipped when it is there
                end = at + 9 + length
                self.charge("resets")
                self.reset_stream(fault.stream, fault.code)
            at = end
            if self.lingering:
                return
        self._tail = data[at:] if at < size else b""

    def _take(self, kind: int, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        """One whole frame."""
        if self._block_stream:
            if kind != frames.CONTINUATION:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "field_section_interrupted")
        elif not self.settled and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "no_settings")
        take = self._TAKE.get(kind)
        if take is not None:
            take(self, identity, flags, data, at, length)

    def _on_headers(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        begin, end = frames.fragment(data, at, length, flags, identity)
        if flags & frames.END_HEADERS:
            self._section(identity, flags, data[begin:end])
        else:
            self._block_stream, self._block_flags, self._block = identity, flags, data[begin:end]
            self._block_frames = 0

    def _on_continuation(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        if not self._block_stream or identity != self._block_stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "continuation_of_nothing")
        self._block += data[at : at + length]
        self._block_frames += 1
        if self._block_frames > MAX_CONTINUATIONS or len(self._block) > self.limits.size:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "field_section_too_large")
        if flags & frames.END_HEADERS:
            block, self._block = self._block, b""
            self._block_stream = 0
            self._section(identity, self._block_flags, block)

    def _section(self, identity: int, flags: int, block: bytes) -> None:
        try:
            fields = self.decoder.decode(block, self.limits)
        except TooLarge:
            fields = None
        self.headers(identity, fields, bool(flags & frames.END_STREAM))

    def _on_data(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        begin, end = at, at + length
        if flags & frames.PADDED:
            begin, end = frames.unpad(data, begin, end)
        self.credit += length
        if self.credit > CONNECTION_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection_window")
        if self.credit >= CONNECTION_WINDOW // 2:
            self.write(frames.window_update(0, self.credit))
            self.credit = 0
        ended = bool(flags & frames.END_STREAM)
        if begin == end and not ended:
            self.charge("empty")
        stream = self.streams.get(identity)
        if stream is None or stream.ended_in:
            self._unexpected(identity)
            return
        stream.credit += length
        if stream.credit > STREAM_WINDOW:
            raise StreamFault(identity, ErrorCode.FLOW_CONTROL_ERROR, "stream_window")
        stream.ended_in = ended
        self.body(stream, data[begin:end], ended)
        if not ended and not stream.held and stream.credit >= STREAM_WINDOW // 2:
            stream.give_credit()

    def _unexpected(self, identity: int) -> None:
        """A frame for a stream that takes no more. Streams above `last` were never opened (RFC 9113 section 5.1)."""
        if identity > self.last:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "idle_stream")
        raise StreamFault(identity, ErrorCode.STREAM_CLOSED, "stream_closed")

    def _on_priority(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        frames.check_priority(data, at, identity)
        self.charge("priorities")

    def _on_reset(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        if identity > self.last:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "idle_stream")
        stream = self.streams.pop(identity, None)
        if stream is not None:
            self.waiting.pop(stream, None)
            stream.ended_in = stream.ended_out = True
            self.lost(stream, frames.reset_code(data, at))
            self.stream_over()
        self.charge("resets")

    def _on_settings(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        self.settled = True
        if flags & frames.ACK:
            return
        self.charge("settings")
        for setting, value in frames.parse_settings(data[at : at + length], self.of_server):
            if setting == frames.HEADER_TABLE_SIZE:
                self.encoder.set_table_size(value)
            elif setting == frames.INITIAL_WINDOW_SIZE:
                self._resize(value)
            elif setting == frames.MAX_CONCURRENT_STREAMS:
                self.peer_streams = value
        self.write(frames.SETTINGS_ACK)

    def _resize(self, window: int) -> None:
        """RFC 9113 section 6.9.2: the change applies to all open streams, and may make windows negative."""
        change, self.peer_window = window - self.peer_window, window
        for stream in self.streams.values():
            stream.window += change
            if stream.window > frames.MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "window_too_large")
        if change > 0:
            self.pump()

    def _on_ping(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        if not flags & frames.ACK:
            self.charge("pings")
            self.write(frames.ping_ack(data[at : at + 8]))

    def _on_goaway(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        self.leaving(frames.parse_goaway(data, at)[0])

    def _on_window(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        step = frames.increment(data, at, identity)
        self.charge("windows")
        if not identity:
            self.window += step
            if self.window > frames.MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "window_too_large")
            self.pump()
            return
        stream = self.streams.get(identity)
        if stream is None:
            if identity > self.last:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "idle_stream")
            return
        stream.window += step
        if stream.window > frames.MAX_WINDOW:
            raise StreamFault(identity, ErrorCode.FLOW_CONTROL_ERROR, "window_too_large")
        if stream.queue:
            self.pump()

    def charge(self, kind: str) -> None:
        """Count what a peer makes us do for nothing; too much of it ends the connection."""
        count = self._counts.get(kind, 0) + 1
        self._counts[kind] = count
        if count > BUDGETS[kind]:
            now = monotonic()
            if now - self._stretch < STRETCH:
                raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too_many_" + kind)
            self._stretch = now
            self._counts = {kind: 1}

    # -- frames out ------------------------------------------------------------------------------------------------

    def write(self, frame: bytes) -> None:
        """Send a frame with the others of this turn."""
        self._out.append(frame)
        if not self._scheduled:
            self._scheduled = True
            self.runtime.loop.call_soon(self.flush)

    def flush(self) -> None:
        """Hand everything to the transport in one piece."""
        self._scheduled = False
        out = self._out
        if out:
            self._out = []
            if self.lingering or self.transport.is_closing():
                return
            self.transport.write(out[0] if len(out) == 1 else b"".join(out))

    def send_fields(self, stream: Stream2, fields: Any, lines: bytes, ended: bool) -> None:
        """A field section: pairs, and after them the lines of a block in HTTP/1.1's form."""
        frame = frames.headers(stream.id, self.encoder.encode(fields, lines), ended)
        if stream.queue:  # trailers must not overtake the body; nothing else follows a queue
            stream.queue_end = frame
            return
        self.write(frame)
        if ended:
            self._end_out(stream)

    def send(self, stream: Stream2, data: bytes, ended: bool) -> None:
        """Bytes of a body, as far as the windows allow; the rest waits."""
        room = 0 if self.write_paused else min(self.window, stream.window)
        if stream.queue or len(data) > room:
            stream.queue += data
            if ended:
                stream.queue_end = b""
            self.waiting[stream] = None
            if room > 0:
                self._pump_stream(stream)
            if len(stream.queue) > QUEUE:
                stream.filled()
            return
        self.window -= len(data)
        stream.window -= len(data)
        self.write(frames.data(stream.id, data, ended))
        if ended:
            self._end_out(stream)

    def pump(self) -> None:
        """Send what waits, a frame for each stream in turn, until windows or work are used up."""
        while self.waiting and self.window > 0 and not self.write_paused:
            moved = False
            for stream in list(self.waiting):
                moved = self._pump_stream(stream, MAX_FRAME) or moved
            if not moved:
                return

    def _pump_stream(self, stream: Stream2, most: int = 1 << 31) -> bool:
        room = min(self.window, stream.window, most)
        if room <= 0 or not stream.queue:
            return False
        data, stream.queue = stream.queue[:room], stream.queue[room:]
        self.window -= len(data)
        stream.window -= len(data)
        end = stream.queue_end if not stream.queue else None
        self.write(frames.data(stream.id, data, end == b""))
        if stream.queue:
            return True
        self.waiting.pop(stream, None)
        if end:
            self.write(end)
        if end is not None:
            self._end_out(stream)
        stream.drained()
        return True

    def _end_out(self, stream: Stream2) -> None:
        stream.ended_out = True
        if stream.ended_in:
            self.forget(stream)

    def forget(self, stream: Stream2) -> None:
        """A stream is over in both directions."""
        if self.streams.pop(stream.id, None) is not None:
            self.waiting.pop(stream, None)
            self.stream_over()

    def stream_over(self) -> None:
        """There is room for one more stream."""

    def reset_stream(self, identity: int, code: int) -> None:
        """Give up a stream."""
        self.write(frames.rst_stream(identity, code))
        stream = self.streams.pop(identity, None)
        if stream is not None:
            self.waiting.pop(stream, None)
            stream.ended_in = stream.ended_out = True
            self.lost(stream, code)
            self.stream_over()

    def go_away(self, code: int, reason: str) -> None:
        """Say why, give up all streams, close."""
        self.going = True
        if not self.lingering and not self.transport.is_closing():
            self._out.append(frames.goaway(max(0, self.last), code, reason.encode()))
            self.flush()
            self.close_softly()
        self.drop_streams(code)

    def close_softly(self) -> None:
        """Half-close, and drop what still comes for a while: a close over unread bytes would be a reset, which can
        destroy the GOAWAY on its way (RFC 9113 section 9.1, RFC 9112 section 9.6).
        """
        self.lingering = True
        self._out = []
        self.deadline = monotonic() + LINGER
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def drop_streams(self, code: int) -> None:
        """The connection is over for all its streams."""
        streams, self.streams = self.streams, {}
        self.waiting.clear()
        for stream in streams.values():
            stream.ended_in = stream.ended_out = True
            self.lost(stream, code)

    def pause_writing(self) -> None:
        self.write_paused = True
        for stream in list(self.streams.values()):
            stream.filled()

    def resume_writing(self) -> None:
        self.write_paused = False
        self.pump()
        for stream in list(self.streams.values()):
            if not stream.queue:
                stream.drained()

    _TAKE: ClassVar[dict[int, Callable[..., None]]] = {
        frames.DATA: _on_data,
        frames.HEADERS: _on_headers,
        frames.PRIORITY: _on_priority,
        frames.RST_STREAM: _on_reset,
        frames.SETTINGS: _on_settings,
        frames.PING: _on_ping,
        frames.GOAWAY: _on_goaway,
        frames.WINDOW_UPDATE: _on_window,
        frames.CONTINUATION: _on_continuation,
    }
