"""What leaves an HTTP/2 connection (RFC 9113): frames of one turn in one write, bodies as far as the windows allow.

What the windows do not allow waits in the queue of its stream, and the stream's source is paused while the queue is
long. The transport's own pause counts as a window of zero, so that memory for a connection is bounded either way.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.http2.budget import Budget
from gatewayd.wire import frames
from gatewayd.wire.frames import ErrorCode
from gatewayd.wire.hpack_encode import Encoder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.proxy.http2.stream import Stream2
    from gatewayd.proxy.runtime import Runtime
    from gatewayd.wire.fields import Fields
    from gatewayd.wire.hpack_table import Field

INITIAL_WINDOW = 65535  # RFC 9113 section 6.9.2
MAX_FRAME = 16384
QUEUE = 65536  # bytes of one stream that wait for a window before its source is paused
WRITE_NOW = 32768  # so much of a body is not held until the end of the turn
_pack = frames.FRAME_HEADER.pack
# What is planned for frames that were written: a flush at the end of the turn, or of the read that goes on.
LATER, CORKED = 1, 2
# What is written to a peer that does not read: frames that no window holds back.
MAX_UNREAD = 1000
MAX_UNREAD_BYTES = 1 << 20


def _headers(stream: int, block: bytes, ended: bool) -> tuple[bytes, ...]:
    """The pieces of a whole field section. Nearly all are one frame."""
    size = len(block)
    if size > MAX_FRAME:
        return (frames.headers(stream, block, ended),)
    return _pack(size << 8 | frames.HEADERS, frames.END_HEADERS | ended, stream), block


class Sender2(asyncio.BaseProtocol):
    """The sending half of a connection of either role."""

    __slots__ = (
        "_out",
        "_planned",
        "_unread",
        "_unread_bytes",
        "budget",
        "deadline",
        "encoder",
        "followers",
        "lingering",
        "peer_window",
        "runtime",
        "streams",
        "transport",
        "unsent",
        "waiting",
        "window",
        "write_paused",
    )

    if TYPE_CHECKING:
        transport: Any

        @property
        def prompt(self) -> bool:
            """Whether no other read of this turn is likely to add to what is written."""

        def go_away(self, code: int, reason: str) -> None:
            """Say why, give up all streams, close."""

        def stream_over(self) -> None:
            """There is room for one more stream."""

    def __init__(self, runtime: Runtime, patience: int) -> None:
        self.runtime = runtime
        self.encoder = Encoder()
        self.budget = Budget(patience)
        self.streams: dict[int, Any] = {}
        self.waiting: dict[Any, None] = {}  # streams with a queue, in the order of their turn
        self.window = INITIAL_WINDOW
        self.peer_window = INITIAL_WINDOW
        self.lingering = self.write_paused = False
        self.followers: list[Sender2] = []  # connections that are written to when the present read is over
        self._out: list[bytes] = []
        self._planned = 0
        self._unread = self._unread_bytes = self.unsent = 0
        self.deadline = NEVER

    # -- frames ----------------------------------------------------------------------------------------------------

    def write(self, frame: bytes) -> None:
        """Send a frame with the others of this turn."""
        self._out.append(frame)
        if not self._planned:
            self._plan()

    def _plan(self) -> None:
        """Flush when the read that goes on is over, or at the end of the turn, with what other reads add."""
        reading = self.runtime.reading
        if reading is not None and self.prompt:
            self._planned = CORKED
            reading.followers.append(self)
        else:
            self._planned = LATER
            self.runtime.loop.call_soon(self.flush_planned)

    def flush_planned(self) -> None:
        """What was planned is due."""
        self._planned = 0
        self.flush()

    def flush(self) -> None:
        """Hand everything to the transport in one piece."""
        out = self._out
        if not out:
            return
        self._out = []
        if self.lingering or self.transport.is_closing():
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        if self.write_paused:
            self._unread += len(out)
            self._unread_bytes += len(data)
            if self._unread > MAX_UNREAD or self._unread_bytes > MAX_UNREAD_BYTES:
                # Not at once: whoever writes is in the middle of an exchange that this would end.
                self.runtime.loop.call_soon(self.go_away, ErrorCode.ENHANCE_YOUR_CALM, "does_not_read")
                return
        self.transport.write(data)

    def send_fields(
        self,
        stream: Stream2,
        fields: Iterable[Field],
        lines: bytes,
        ended: bool,
        last: bytes = b"",
        start: bytes = b"",
    ) -> None:
        """A field section: pairs, and after them the lines of blocks in HTTP/1.1's form (`Encoder.encode`)."""
        self.budget.useful += 1
        self._out += _headers(stream.id, self.encoder.encode(fields, lines, last, start), ended)
        if ended:
            stream.ended_out = True
            if stream.ended_in:
                self.forget(stream)
        if self._out and not self._planned:
            self._plan()

    def send_whole(
        self,
        stream: Stream2,
        fields: Fields,
        lines: bytes,
        data: bytes,
        last: bytes = b"",
        start: bytes = b"",
        trailers: bytes = b"",
    ) -> None:
        """A field section and all that follows it, with the lines of trailers: what most messages are."""
        size = len(data)
        if size > MAX_FRAME or size > self.window or size > stream.window or self.write_paused:
            self.send_fields(stream, fields, lines, False, last, start)
            self.send_last(stream, data, trailers)
            return
        identity = stream.id
        encode = self.encoder.encode
        out = self._out
        out += _headers(identity, encode(fields, lines, last, start), False)
        if size or not trailers:
            self.window -= size
            stream.window -= size
            out += _pack(size << 8 | frames.DATA, not trailers, identity), data
        if trailers:
            out += _headers(identity, encode((), trailers), True)
        self.budget.useful += 3
        stream.ended_out = True
        if stream.ended_in:
            self.forget(stream)
        if self._out and not self._planned:
            self._plan()

    def send_last(self, stream: Stream2, data: bytes, trailers: bytes) -> None:
        """The last bytes of a body, and trailers. They are coded when their turn comes: codes depend on the order."""
        if not trailers:
            self.send(stream, data, True)
            return
        if data:
            self.send(stream, data, False)
        if stream.queue:
            stream.queue_end = trailers
        else:
            self.send_fields(stream, (), trailers, True)

    def send(self, stream: Stream2, data: bytes, ended: bool) -> None:
        """Bytes of a body, as far as the windows allow; the rest waits."""
        size = len(data)
        if stream.queue or (size and (self.write_paused or size > self.window or size > stream.window)):
            self._queue(stream, data, ended)
            return
        self.window -= size
        stream.window -= size
        self.budget.useful += 1
        self._out.append(frames.data(stream.id, data, ended))
        if size > WRITE_NOW:
            self.flush()
        if ended:
            self._end_out(stream)
        if self._out and not self._planned:
            self._plan()

    def _queue(self, stream: Stream2, data: bytes, ended: bool) -> None:
        waits = not stream.queue
        stream.queue += data
        if ended:
            stream.queue_end = b""
        self.waiting[stream] = None
        if not self.write_paused:
            self._pump_stream(stream, 1 << 31)
        if not stream.queue or stream.ended_out:
            return
        if waits:
            stream.moved = False
            stream.waits()
        if len(stream.queue) > QUEUE:
            stream.full = True
            stream.filled()

    # -- windows ---------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Send what waits, a frame for each stream in turn, until windows or work are used up."""
        moved = True
        while moved:
            moved = False
            most = MAX_FRAME if len(self.waiting) > 1 else QUEUE
            for stream in list(self.waiting):
                if self.window <= 0 or self.write_paused:
                    return
                if stream in self.waiting:  # whoever is told of the end of one may give up another
                    moved = self._pump_stream(stream, most) or moved

    def _pump_stream(self, stream: Stream2, most: int) -> bool:
        """Whether some of the stream's queue could leave."""
        room = min(self.window, stream.window, most)
        if room <= 0:
            return False
        data, stream.queue = stream.queue[:room], stream.queue[room:]
        self.window -= len(data)
        stream.window -= len(data)
        stream.moved = True
        self.budget.useful += 1 + (len(data) >> 14)
        end = None if stream.queue else stream.queue_end
        self.write(frames.data(stream.id, data, end == b""))
        if len(data) > WRITE_NOW // 4:
            self.flush()
        if not stream.queue:
            self._emptied(stream, end)
        return True

    def _emptied(self, stream: Stream2, end: bytes | None) -> None:
        self.waiting.pop(stream, None)
        if end:
            self.send_fields(stream, (), end, True)
        elif end is not None:
            self._end_out(stream)
        if not self.write_paused:
            stream.full = False
            stream.drained()

    def pause_writing(self) -> None:
        self.write_paused = True
        self.unsent = self.transport.get_write_buffer_size()
        for stream in list(self.streams.values()):
            stream.full = True
            stream.filled()

    def resume_writing(self) -> None:
        self.write_paused = False
        self._unread = self._unread_bytes = 0
        self.pump()
        for stream in list(self.streams.values()):
            if stream.full and not stream.queue:
                stream.full = False
                stream.drained()

    def takes_some(self) -> bool:
        """Whether the peer took some of what is written, though slowly, since this was asked last."""
        before, self.unsent = self.unsent, self.transport.get_write_buffer_size()
        return self.unsent < before

    # -- the end of streams ----------------------------------------------------------------------------------------

    def _end_out(self, stream: Stream2) -> None:
        stream.ended_out = True
        if stream.ended_in:
            self.forget(stream)

    def forget(self, stream: Stream2) -> None:
        """A stream is over in both directions."""
        if self.streams.pop(stream.id, None) is not None:
            if self.waiting:
                self.waiting.pop(stream, None)
            self.stream_over()
