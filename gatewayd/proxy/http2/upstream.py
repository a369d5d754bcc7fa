"""HTTP/2 to backends (RFC 9113): one connection carries the exchanges of many clients, each on a stream of its own
(`response`). The pool holds a connection for as long as it takes further streams.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.http2.connection import CONNECTION_WINDOW, MAX_STREAMS, STREAM_WINDOW, Connection2
from gatewayd.proxy.http2.response import ResponseStream
from gatewayd.wire import frames
from gatewayd.wire.frames import PREFACE, ConnectionFault, ErrorCode

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.port import Port
    from gatewayd.routing.snapshot import Settings
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint

LAST_STREAM = (1 << 31) - 1
PATIENCE = 100  # backends answer many clients on one connection, and are known
_GREETING = (
    PREFACE
    + frames.settings({frames.ENABLE_PUSH: 0, frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW})
    + frames.window_update(0, CONNECTION_WINDOW - frames.DEFAULT_WINDOW)
)
# Why an exchange lost its stream, by what became of the stream or of the connection.
_REASONS = {
    "closed": b"upstream_closed",
    "refused": b"upstream_unprocessed",
    "write_timeout": b"upstream_timeout",
}


class Upstream2(Connection2):
    """One connection to an endpoint. `peer_streams` is how many streams it takes at a time. `tunnels` says whether it
    takes WebSockets (RFC 8441), which is known once it is `settled`; `_asking` wait for that. `settings` are those of
    the listener of the last exchange: connections are shared by all listeners.
    """

    __slots__ = ("_asking", "backend", "blocked", "endpoint", "peer_streams", "settings", "tunnels")

    exchange = None
    of_server = True

    def __init__(self, port: Port, backend: Backend, endpoint: Endpoint) -> None:
        super().__init__(port, PATIENCE)
        self.backend = backend
        self.endpoint = endpoint
        self.settings: Settings = port.settings
        self.peer_streams = MAX_STREAMS
        self.blocked = self.tunnels = False
        self.last = -1
        self._asking: list[ResponseStream] = []

    # -- the connection --------------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(high=self.settings.buffer_bytes)
        self.runtime.timed.add(self)
        transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        self.read(data)

    def eof_received(self) -> bool:
        self._take_no_more()  # at once: the close comes a turn later
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self.runtime.timed.discard(self)
        self._take_no_more()
        if error is not None and self.streams:
            self.runtime.counts.upstream_resets += 1
        self.connection_gone()
        self.endpoint.open -= 1
        self.backend.open -= 1
        if self.backend.waiting:
            self.runtime.connector.next_waiting(self.backend)

    def drop_streams(self, code: int, reason: str) -> None:
        asking, self._asking = self._asking, []
        for stream in asking:
            stream.lost(code, reason)
        super().drop_streams(code, reason)

    def go_away(self, code: int, reason: str) -> None:
        self._take_no_more()
        super().go_away(code, reason if code == ErrorCode.NO_ERROR else "bad_response_" + reason)

    def _take_no_more(self) -> None:
        self.going = True
        self.endpoint.idle.pop(self, None)

    @property
    def prompt(self) -> bool:
        """Other clients may ask in this turn, if some did just now."""
        return len(self.streams) < 2

    # -- streams ---------------------------------------------------------------------------------------------------

    @property
    def takes_more(self) -> bool:
        """Whether a further stream may be opened."""
        return len(self.streams) < self.peer_streams and not self.going and not self.write_paused

    def send_head(self, exchange: Exchange, body: bytes, ended: bool, trailers: bytes) -> None:
        """Open a stream for the exchange and send its request."""
        self.deadline = NEVER
        self.settings = exchange.settings
        if exchange.head.upgrade and not self.tunnels:
            self._ask(exchange)
            return
        self.last = identity = self.last + 2
        stream = self.streams[identity] = exchange.up = ResponseStream(self, identity, exchange)
        if identity >= LAST_STREAM - 1:
            self._take_no_more()
        if len(self.streams) < self.peer_streams and not self.going and not self.write_paused:
            self.endpoint.idle[self] = None  # it was taken out of the pool to be used
        stream.send_head(body, ended, trailers)
        self.blocked = stream.blocked

    def _ask(self, exchange: Exchange) -> None:
        """A WebSocket waits until the backend has said whether it takes any."""
        exchange.up = stream = ResponseStream(self, 0, exchange)
        if self.settled:
            exchange.upstream_lost(b"upstream_without_websocket")
            self._rest()
        else:
            self.deadline = monotonic() + stream.settings.first_byte_timeout
            self._asking.append(stream)

    def _open_stream(self, stream: ResponseStream) -> None:
        """The number of a stream that waited."""
        self.last = stream.id = self.last + 2
        self.streams[self.last] = stream
        if self.last >= LAST_STREAM - 1:
            self._take_no_more()

    def give_up_waiting(self, stream: ResponseStream) -> None:
        """Its client left before it was opened."""
        if stream in self._asking:
            self._asking.remove(stream)
            self.stream_over()

    def read_over(self) -> None:
        super().read_over()
        if not self._asking or not self.settled:
            return
        asking, self._asking = self._asking, []
        for stream in asking:
            exchange = stream.exchange
            if exchange is not None and self.tunnels:
                self._open_stream(stream)
                stream.send_head(b"", True, b"")
            elif exchange is not None:
                exchange.upstream_lost(b"upstream_without_websocket")
        self.stream_over()

    def setting(self, setting: int, value: int) -> None:
        if setting == frames.MAX_CONCURRENT_STREAMS:
            self.peer_streams = value
            if self.streams or self in self.endpoint.idle:
                self.stream_over()
        elif setting == frames.ENABLE_CONNECT_PROTOCOL:
            self.tunnels = bool(value)

    def headers(self, identity: int, fields: Any, ended: bool) -> None:
        stream = self.streams.get(identity)
        if stream is None or stream.ended_in:
            self.stray(identity)
            return
        stream.ended_in = ended
        stream.take_fields(fields, ended)

    def stray(self, identity: int) -> None:
        """Frames for streams that were given up may come for a long time: backends are slower to be told than we are
        to forget.
        """
        if identity > self.last or not identity % 2:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "idle_stream")

    def lost(self, stream: ResponseStream, code: int, reason: str) -> None:
        if self.opened is stream:
            self._open()
        stream.lost(code, reason)

    def reason_of(self, code: int, reason: str) -> bytes:
        """The word for the access line of an exchange that lost its stream."""
        if reason == "reset":
            return b"upstream_unprocessed" if code == ErrorCode.REFUSED_STREAM else b"upstream_reset"
        return _REASONS.get(reason) or reason.encode()

    def leaving(self, last: int) -> None:
        self._take_no_more()
        for identity in [identity for identity in self.streams if identity > last]:
            stream = self.streams.pop(identity, None)
            if stream is not None:
                self._give_up(stream, ErrorCode.REFUSED_STREAM, "refused")
        asking, self._asking = self._asking, []
        for stream in asking:
            stream.lost(ErrorCode.REFUSED_STREAM, "refused")
        if not self.streams:
            self.transport.close()

    def stream_over(self) -> None:
        if self.going or not self.endpoint.kept or self.runtime.draining:
            self._take_no_more()
            if not self.streams and not self._asking:
                self.flush()
                self.transport.close()
            return
        while self.backend.waiting and self.takes_more:
            self.endpoint.idle.pop(self, None)
            if not self.runtime.connector.hand_over(self):
                break
        self._rest()

    def _rest(self) -> None:
        """Wait for the next stream, in the pool if one may be opened."""
        if not self.streams:
            self.deadline = monotonic() + self.settings.upstream_idle_timeout
        if self.takes_more:
            self.endpoint.idle[self] = None
        else:
            self.endpoint.idle.pop(self, None)

    def release_new(self, now: float) -> None:
        """A connection that nobody waited for any more goes to the pool."""
        self.stream_over()

    def close(self) -> None:
        """Close when the last stream is over."""
        self.going = True
        if not self.streams:
            self.transport.close()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.endpoint.idle.pop(self, None)
        self.deadline = monotonic() + self.settings.write_timeout

    def resume_writing(self) -> None:
        super().resume_writing()
        self.deadline = NEVER
        if not self.lingering:
            self.stream_over()

    def expire(self, now: float) -> None:
        """Idle for too long, or nothing is read for too long."""
        self.endpoint.idle.pop(self, None)
        if self.lingering or self.write_paused:
            self.expire_writing(now)
        elif not self.streams:
            self.drop_streams(ErrorCode.CANCEL, "upstream_timeout")
            self.close()
        else:
            self.deadline = NEVER
