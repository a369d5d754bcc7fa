"""HTTP/2 of the echo backend, on h2: the same answers as over HTTP/1, within the windows of the peer, and WebSocket."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

from gatewayd.cli.backend.answer import Answer, Received, answer, delay
from gatewayd.cli.backend.websocket import PATH, EchoSession


class Http2(asyncio.Protocol):
    """One connection. `_left` holds, for each stream that answers, what is still to be sent: bytes or a number; for a
    WebSocket (`_sessions`) bytes.
    """

    def __init__(self, name: str, peer: dict[str, Any]) -> None:
        self._name = name
        self._peer = peer
        self._wire = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._wire.local_settings = Settings(client=False, initial_values={SettingCodes.ENABLE_CONNECT_PROTOCOL: 1})
        self._requests: dict[int, Received] = {}
        self._sessions: dict[int, EchoSession] = {}
        self._left: dict[int, bytes | int] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._paused = False
        self._transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send our preface: SETTINGS."""
        self._transport = cast("asyncio.Transport", transport)
        self._wire.initiate_connection()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the delayed answers."""
        del exc
        for timer in self._timers.values():
            timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed h2 and follow its events; what it finds wrong ends the connection with its GOAWAY."""
        try:
            events = self._wire.receive_data(data)
        except ProtocolError:
            self._flush()
            self._transport.close()
            return
        for event in events:
            self._take(event)
        self._flush()

    def pause_writing(self) -> None:
        """Stop filling the transport's buffer."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on with every stream that has something left."""
        self._paused = False
        self._send_all()
        self._flush()

    def _take(self, event: Event) -> None:
        stream = getattr(event, "stream_id", None) or 0
        if isinstance(event, RequestReceived):
            self._begin(stream, event)
        elif isinstance(event, DataReceived):
            self._receive(stream, event)
        elif isinstance(event, StreamEnded) and stream in self._requests:
            self._answer_after(stream, delay(self._requests[stream].target))
        elif isinstance(event, StreamEnded) and stream in self._sessions:
            self._sessions[stream].closed = True
            self._send(stream)
        elif isinstance(event, WindowUpdated):
            self._send_all()
        elif isinstance(event, StreamReset):
            self._forget(stream)
        elif isinstance(event, ConnectionTerminated):
            self._transport.close()

    def _begin(self, stream: int, event: RequestReceived) -> None:
        """A request, or a WebSocket that is asked for (RFC 8441 section 4)."""
        received = _received(event)
        if received.method != "CONNECT":
            self._requests[stream] = received
        elif received.target.split("?")[0] == PATH:
            self._wire.send_headers(stream, [(b":status", b"200")])
            self._sessions[stream] = EchoSession()
            self._left[stream] = b""
        else:
            self._wire.send_headers(stream, [(b":status", b"404")], end_stream=True)

    def _receive(self, stream: int, event: DataReceived) -> None:
        data = event.data or b""
        if stream in self._requests:
            self._requests[stream].take(data)
        elif stream in self._sessions:
            self._left[stream] = cast("bytes", self._left[stream]) + self._sessions[stream].receive(data)
            self._send(stream)
        else:
            return
        self._wire.acknowledge_received_data(event.flow_controlled_length or 0, stream)

    def _answer_after(self, stream: int, seconds: float) -> None:
        if seconds:
            self._timers[stream] = asyncio.get_running_loop().call_later(seconds, self._answer, stream)
        else:
            self._answer(stream)

    def _answer(self, stream: int) -> None:
        self._timers.pop(stream, None)
        received = self._requests.pop(stream, None)
        if received is not None and not self._transport.is_closing():
            self._respond(stream, answer(received, self._name, self._peer), received.method)
            self._flush()

    def _respond(self, stream: int, answered: Answer, method: str) -> None:
        left: bytes | int = 0 if method == "HEAD" else answered.body or answered.size
        fields = [(b":status", b"%d" % answered.status), *answered.fields]
        self._wire.send_headers(stream, fields, end_stream=not left)
        if left:
            self._left[stream] = left
            self._send(stream)

    def _send_all(self) -> None:
        for stream in list(self._left):
            self._send(stream)

    def _send(self, stream: int) -> None:
        """Send as much of a body as the windows and the transport take (RFC 9113 5.2)."""
        left = self._left[stream]
        lasts = stream in self._sessions and not self._sessions[stream].closed
        while left and not self._paused:
            room = min(self._wire.local_flow_control_window(stream), self._wire.max_outbound_frame_size)
            if room <= 0:
                break
            if isinstance(left, bytes):
                piece, left = left[:room], left[room:]
            else:
                piece = bytes(min(room, left))
                left -= len(piece)
            self._wire.send_data(stream, piece, end_stream=not left and not lasts)
            self._flush()
        if left or lasts:
            self._left[stream] = left
        else:
            self._end(stream)

    def _end(self, stream: int) -> None:
        """All was sent; a WebSocket may end without a last piece."""
        if self._sessions.pop(stream, None) is not None and self._left[stream] == b"":
            self._wire.end_stream(stream)
        del self._left[stream]

    def _forget(self, stream: int) -> None:
        self._requests.pop(stream, None)
        self._sessions.pop(stream, None)
        self._left.pop(stream, None)
        if (timer := self._timers.pop(stream, None)) is not None:
            timer.cancel()

    def _flush(self) -> None:
        data = self._wire.data_to_send()
        if data and not self._transport.is_closing():
            self._transport.write(data)


def _received(event: RequestReceived) -> Received:
    fields = [(bytes(name), bytes(value)) for name, value in event.headers or ()]
    pseudo = {name: value.decode("latin-1") for name, value in fields if name.startswith(b":")}
    return Received(
        method=pseudo.get(b":method", ""),
        target=pseudo.get(b":path", ""),
        host=pseudo.get(b":authority", ""),
        fields=[(name, value) for name, value in fields if not name.startswith(b":")],
        protocol="HTTP/2",
    )
