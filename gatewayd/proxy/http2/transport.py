"""A stream of HTTP/2 as a transport, for what is no longer HTTP on it (RFC 8441): one end of a tunnel."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from gatewayd.wire.frames import ErrorCode

if TYPE_CHECKING:
    from gatewayd.proxy.http2.request import RequestStream
    from gatewayd.proxy.http2.response import ResponseStream

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
ACCEPT = frozenset({b"sec-websocket-accept"})


def accept_of(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key (RFC 6455 section 4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


class StreamTransport:
    """The stream passes on what happens to it; the protocol is told of the end in a turn of its own, as by any
    transport.
    """

    __slots__ = ("_closing", "_protocol", "_stream")

    def __init__(self, stream: RequestStream | ResponseStream) -> None:
        self._stream = stream
        self._protocol: Any = None
        self._closing = False

    # -- for the protocol ------------------------------------------------------------------------------------------

    def set_protocol(self, protocol: Any) -> None:
        """From now on this protocol is told what comes."""
        self._protocol = protocol

    def write(self, data: bytes) -> None:
        """Send bytes as DATA."""
        stream = self._stream
        if not stream.ended_out and stream.queue_end is None:
            stream.connection.send(stream, data, False)

    def write_eof(self) -> None:
        """End our direction of the stream."""
        stream = self._stream
        if not stream.ended_out and stream.queue_end is None:
            stream.connection.send(stream, b"", True)

    def can_write_eof(self) -> bool:
        """Each direction of a stream ends on its own."""
        return True

    def close(self) -> None:
        """End the stream when what was written has left."""
        if not self._closing:
            self._closing = True
            self.write_eof()
            if not self._stream.queue:
                self._finish()

    def abort(self) -> None:
        """Reset the stream."""
        self._closing = True
        self._reset()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._closing

    def pause_reading(self) -> None:
        """Give no credit."""
        self._stream.held = True

    def resume_reading(self) -> None:
        """Give credit again."""
        self._stream.give_credit()

    def get_write_buffer_size(self) -> int:
        """What waits for a window."""
        return len(self._stream.queue)

    def get_extra_info(self, name: str) -> None:
        """A stream has no socket."""

    # -- for the stream --------------------------------------------------------------------------------------------

    def received(self, data: bytes, ended: bool) -> None:
        """Bytes came, or the end of them."""
        protocol = self._protocol
        if protocol is None or self._closing:
            return
        if data:
            protocol.data_received(data)
        if ended and not protocol.eof_received():
            self.close()

    def filled(self) -> None:
        """The peer takes no more for now."""
        if self._protocol is not None:
            self._protocol.pause_writing()

    def drained(self) -> None:
        """The peer takes more again."""
        if self._closing:
            self._finish()
        elif self._protocol is not None:
            self._protocol.resume_writing()

    def lost(self, error: Exception | None) -> None:
        """The stream is over."""
        self._closing = True
        self._stream.tunnel = None  # nothing comes any more, and nothing is left to the collector
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            self._stream.connection.runtime.loop.call_soon(protocol.connection_lost, error)

    def _finish(self) -> None:
        if self._stream.ended_in:
            self.lost(None)
        else:
            self._reset()

    def _reset(self) -> None:
        stream = self._stream
        if stream.connection.streams.get(stream.id) is stream:
            stream.connection.reset_stream(stream.id, ErrorCode.CANCEL, "closed")
        else:
            self.lost(None)
