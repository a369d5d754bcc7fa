"""HTTP/2 connections (RFC 9113): what both roles share of reading. Frames in; what leaves is `sender`'s."""

from __future__ import annotations

from functools import update_wrapper
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.http2.ending import Ending2
from gatewayd.proxy.http2.sender import CORKED
from gatewayd.wire import frames
from gatewayd.wire.frames import ConnectionFault, ErrorCode, StreamFault
from gatewayd.wire.heads2 import Heads
from gatewayd.wire.hpack import Decoder, FieldLimits, HpackError, TooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.proxy.port import Port

__all__ = ["CONNECTION_WINDOW", "MAX_STREAMS", "NEVER", "STREAM_WINDOW", "Connection2"]

STREAM_WINDOW = 65536
CONNECTION_WINDOW = 1 << 20
MAX_FRAME = 16384
MAX_CONTINUATIONS = 8  # of a field section, beside those that are full
FULL = 8192  # bytes of a continuation that counts by its length alone
MAX_STREAMS = 100
_UNPACK = frames.FRAME_HEADER.unpack_from
_DATA, _HEADERS, _RST_STREAM = frames.DATA, frames.HEADERS, frames.RST_STREAM
_END_STREAM, _END_HEADERS, _PADDED = frames.END_STREAM, frames.END_HEADERS, frames.PADDED
_NOT_PLAIN = frames.PADDED | frames.PRIORITIZED
_OF_ITS_OWN = ("read", "_read", "_section", "_on_data", "write", "flush", "send_fields", "send_whole", "send", "forget")


class Connection2(Ending2):
    """One connection of either role. `last` is the highest stream that was opened.
    `opened` is a stream whose head came without its end, in this very read: it is passed on with the stream's next
    frame, so that a short body goes the whole way in one piece with its head.
    """

    __slots__ = (
        "_block",
        "_block_flags",
        "_block_frames",
        "_block_stream",
        "_tail",
        "credit",
        "decoder",
        "heads",
        "last",
        "limits",
        "opened",
        "port",
        "settled",
    )

    of_server = False  # whether the peer is a server

    def __init_subclass__(cls) -> None:
        """Give each role its own copy of what is called for each frame: the interpreter adapts code to the class that
        it meets, and looks attributes up the slow way where it meets two (PEP 659).
        """
        for name in _OF_ITS_OWN:
            function = getattr(cls, name)
            copy = FunctionType(function.__code__.replace(), function.__globals__, name, function.__defaults__)
            setattr(cls, name, update_wrapper(copy, function))

    def __init__(self, port: Port, patience: int = 1) -> None:
        super().__init__(port.runtime, patience)
        self.port = port
        settings = port.settings
        self.limits = FieldLimits(settings.head_bytes, settings.fields)
        self.decoder = Decoder()
        self.heads = Heads()
        self.last = 0
        self.credit = 0
        self.settled = False
        self.opened: Any = None
        self._tail = b""
        self._block = b""
        self._block_stream = self._block_flags = self._block_frames = 0

    if TYPE_CHECKING:  # the role's part

        def headers(self, identity: int, fields: Any, ended: bool) -> None:
            """A header section came, complete and decoded; `fields` None when it is over the limits."""

        def leaving(self, last: int) -> None:
            """The peer sent GOAWAY: it takes no stream above `last`."""

    def read_over(self) -> None:
        """All that came is read."""
        if self.opened is not None:
            self._open()

    def setting(self, setting: int, value: int) -> None:
        """A setting of the peer that only one role cares for."""

    def answered(self, ping: bytes) -> None:
        """The peer answered a PING."""

    # -- frames in -------------------------------------------------------------------------------------------------

    def read(self, data: bytes) -> None:
        """Take the frames in `data`; answer faults as RFC 9113 section 5.4 says."""
        if self.lingering:
            return
        runtime = self.runtime
        planned, self._planned = self._planned, CORKED
        outer, runtime.reading = runtime.reading, self
        try:
            self._read(self._tail + data if self._tail else data)
            self.read_over()
        except ConnectionFault as fault:
            self.go_away(fault.code, fault.reason)
        except HpackError:
            self.go_away(ErrorCode.COMPRESSION_ERROR, "compression")
        except Exception as error:
            runtime.failed(error)
            self.go_away(ErrorCode.INTERNAL_ERROR, "exception")
        finally:
            runtime.reading = outer
            self._planned = planned
            if self.followers:
                self._flush_followers()
        if self._out:
            self.flush()

    def _flush_followers(self) -> None:
        followers, self.followers = self.followers, []
        for follower in followers:
            try:
                follower.flush_planned()
            except Exception as error:  # the others must not wait for ever
                self.runtime.failed(error)
                follower.transport.abort()

    def _read(self, data: bytes) -> None:
        at, size = 0, len(data)
        while size - at >= 9:
            word, flags, identity = _UNPACK(data, at)
            length, kind = word >> 8, word & 0xFF
            identity &= 0x7FFFFFFF
            begin = at + 9
            end = begin + length
            try:
                if kind > _HEADERS or not identity or length > MAX_FRAME:
                    frames.check(length, kind, flags, identity)
                if end > size:
                    break
                if self._block_stream or not self.settled:
                    self._check_order(kind, flags)
                if self.opened is not None and (identity != self.opened.id or kind > _RST_STREAM):
                    self._open()
                if kind == _DATA:
                    self._on_data(identity, flags, data, begin, end)
                elif kind == _HEADERS and flags & _END_HEADERS and not flags & _NOT_PLAIN:
                    self._section(identity, flags, data[begin:end])
                elif (take := self._TAKE.get(kind)) is not None:
                    take(self, identity, flags, data, begin, length)
            except StreamFault as fault:
                if end > size:
                    break  # the payload is skipped when it is there
                self.budget.charge("resets")
                self.reset_stream(fault.stream, fault.code, fault.reason)
            at = end
            if self.lingering:
                return
        self._tail = data[at:] if at < size else b""

    def _open(self) -> None:
        stream, self.opened = self.opened, None
        stream.open()

    def _check_order(self, kind: int, flags: int) -> None:
        """Nothing may come between the frames of a field section, and SETTINGS come first."""
        if self._block_stream:
            if kind != frames.CONTINUATION:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "field_section_interrupted")
        elif kind != frames.SETTINGS or flags & frames.ACK:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "no_settings")

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
        length = len(self._block)
        # What is a little too large is read all the same: then its stream alone is refused, and the others go on.
        if length > 2 * self.limits.size or self._block_frames > MAX_CONTINUATIONS + length // FULL:
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
        self.headers(identity, fields, flags & _END_STREAM != 0)

    def _on_data(self, identity: int, flags: int, data: bytes, begin: int, end: int) -> None:
        length = end - begin
        if flags & _PADDED:
            begin, end = frames.unpad(data, begin, end)
        self.credit += length
        if self.credit >= CONNECTION_WINDOW // 2:
            self._give_credit()
        ended = flags & _END_STREAM != 0
        if begin == end and not ended:
            self.budget.charge("empty")
        stream = self.streams.get(identity)
        if stream is None or stream.ended_in:
            self.stray(identity)
            return
        stream.credit += length
        if stream.credit > STREAM_WINDOW:
            raise StreamFault(identity, ErrorCode.FLOW_CONTROL_ERROR, "stream_window")
        stream.ended_in = ended
        stream.take_body(data[begin:end], ended)
        if not ended and not stream.held and stream.credit >= STREAM_WINDOW // 2:
            stream.give_credit()

    def _give_credit(self) -> None:
        if self.credit > CONNECTION_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection_window")
        self.write(frames.window_update(0, self.credit))
        self.credit = 0

    def stray(self, identity: int) -> None:
        """A frame for a stream that takes no more: it was on its way when we gave up the stream, or it should not be
        (RFC 9113 section 5.1). Streams above `last` were never opened.
        """
        if identity in self.cut:
            return
        if identity > self.last:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "idle_stream")
        raise StreamFault(identity, ErrorCode.STREAM_CLOSED, "stream_closed")

    def _on_priority(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        frames.check_priority(data, at, identity)
        self.budget.charge("priorities")

    def _on_reset(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        if identity > self.last and identity not in self.cut:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "idle_stream")
        stream = self.streams.pop(identity, None)
        if stream is not None:
            self._give_up(stream, frames.reset_code(data, at), "reset")
            self.stream_over()
        self.budget.charge("resets")

    def _on_settings(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        self.settled = True
        if flags & frames.ACK:
            return
        self.budget.charge("settings")
        self.write(frames.SETTINGS_ACK)  # first: what is sent next may be what the new values allow
        for setting, value in frames.parse_settings(data[at : at + length], self.of_server):
            if setting == frames.HEADER_TABLE_SIZE:
                self.encoder.set_table_size(value)
            elif setting == frames.INITIAL_WINDOW_SIZE:
                self._resize(value)
            else:
                self.setting(setting, value)

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
        if flags & frames.ACK:
            self.answered(data[at : at + 8])
        else:
            self.budget.charge("pings")
            self.write(frames.ping_ack(data[at : at + 8]))

    def _on_goaway(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        self.leaving(frames.parse_goaway(data, at)[0])

    def _on_window(self, identity: int, flags: int, data: bytes, at: int, length: int) -> None:
        step = frames.increment(data, at, identity)
        self.budget.charge("windows")
        if not identity:
            self.window += step
            if self.window > frames.MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "window_too_large")
            self.pump()
            return
        stream = self.streams.get(identity)
        if stream is None:
            if identity > self.last and identity not in self.cut:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "idle_stream")
            return
        stream.window += step
        if stream.window > frames.MAX_WINDOW:
            raise StreamFault(identity, ErrorCode.FLOW_CONTROL_ERROR, "window_too_large")
        if stream.queue:
            self.pump()

    # By type; `_read` itself takes DATA, and HEADERS that are a whole section and nothing else.
    _TAKE: ClassVar[dict[int, Callable[..., None]]] = {
        frames.HEADERS: _on_headers,
        frames.PRIORITY: _on_priority,
        frames.RST_STREAM: _on_reset,
        frames.SETTINGS: _on_settings,
        frames.PING: _on_ping,
        frames.GOAWAY: _on_goaway,
        frames.WINDOW_UPDATE: _on_window,
        frames.CONTINUATION: _on_continuation,
    }
