"""How HTTP/2 streams and connections end: resets, GOAWAY, the last word before a close (RFC 9113 sections 5.4, 6.8)."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.gone import GONE
from gatewayd.proxy.http2.sender import Sender2
from gatewayd.proxy.http2.stream import Stream2
from gatewayd.wire import frames
from gatewayd.wire.frames import ErrorCode

if TYPE_CHECKING:
    from gatewayd.proxy.runtime import Runtime

MAX_CUT = 256  # streams that we gave up and may still get frames of, that were on their way
LINGER = 2.0  # seconds in which a peer may still send what will not be read


class Ending2(Sender2):
    """The part of a connection of either role that gives things up. `cut` are the streams that we reset; `going` says
    that no further stream is taken.
    """

    __slots__ = ("cut", "going")

    if TYPE_CHECKING:  # the role's part
        settings: Any

        def lost(self, stream: Any, code: int, reason: str) -> None:
            """The stream is given up, by either side, and out of `streams` already."""

    def __init__(self, runtime: Runtime, patience: int) -> None:
        super().__init__(runtime, patience)
        self.cut: dict[int, None] = {}
        self.going = False

    def reset_stream(self, identity: int, code: int, reason: str) -> None:
        """Give up a stream; what is on its way to us is ignored."""
        self.write(frames.rst_stream(identity, code))
        self.ignore(identity)
        stream = self.streams.pop(identity, None)
        if stream is not None:
            self._give_up(stream, code, reason)
            self.stream_over()

    def ignore(self, identity: int) -> None:
        """Take no notice of what still comes for a stream."""
        self.cut[identity] = None
        if len(self.cut) > MAX_CUT:
            del self.cut[next(iter(self.cut))]

    def _give_up(self, stream: Stream2, code: int, reason: str) -> None:
        self.waiting.pop(stream, None)
        stream.queue = b""
        stream.ended_in = stream.ended_out = True
        self.lost(stream, code, reason)

    def go_away(self, code: int, reason: str) -> None:
        """Say why, give up all streams, close."""
        self.going = True
        if not self.lingering and not self.transport.is_closing():
            self.write(frames.goaway(self.last_taken(), code, reason.encode()))
            self._unread = self._unread_bytes = 0
            self.flush()
            self.close_softly()
        self.drop_streams(code, reason)

    def last_taken(self) -> int:
        """The highest stream of the peer that was or will be served."""
        return 0

    def close_softly(self) -> None:
        """Half-close, and drop what still comes for a while: a close over unread bytes would be a reset, which can
        destroy the GOAWAY on its way (RFC 9113 section 9.1, RFC 9112 section 9.6).
        """
        if self.lingering or self.transport.is_closing():
            return
        self.flush()
        self.lingering = True
        self.unsent = self.transport.get_write_buffer_size()
        self.deadline = monotonic() + (self.settings.write_timeout if self.unsent else LINGER)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def expire_writing(self, now: float) -> None:
        """Nothing was read by the peer for too long, or it has had the time to read the last word."""
        if self.takes_some():
            self.deadline = now + (self.settings.write_timeout if self.unsent else LINGER)
            return
        self.drop_streams(ErrorCode.CANCEL, "write_timeout")
        self.transport.abort()

    def drop_streams(self, code: int, reason: str) -> None:
        """The connection is over for all its streams."""
        streams, self.streams = self.streams, {}
        for stream in streams.values():
            self._give_up(stream, code, reason)

    def connection_gone(self) -> None:
        """The transport is closed: nothing may hold it any more."""
        self.going = True
        self.transport = GONE
        self.drop_streams(ErrorCode.CANCEL, "closed")
