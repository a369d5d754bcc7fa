"""A WebSocket over HTTP/2 (RFC 8441), as the `websockets` package has none: its frames, on a stream of h2."""

from __future__ import annotations

import socket
import ssl
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
from websockets.frames import CloseCode, Frame, Opcode
from websockets.streams import StreamReader

from tests.processes import PATIENCE


class WebSocket2:
    """One connection with one stream, which is the WebSocket. Methods are named as those of `websockets`."""

    def __init__(self, host: str, port: int, path: str, context: ssl.SSLContext | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._socket = plain if context is None else context.wrap_socket(plain, server_hostname=host)
        self._wire = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
        self._frames = StreamReader()
        self._parsing: Any = None
        self.status = 0
        self.ended = False
        self._wire.initiate_connection()
        self._flush()
        while not self._wire.remote_settings.enable_connect_protocol:
            self._pump()
        self._stream = self._wire.get_next_available_stream_id()
        scheme = "http" if context is None else "https"
        pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", scheme), (":path", path)]
        fields = [(":authority", host), ("sec-websocket-version", "13"), ("origin", f"{scheme}://{host}")]
        self._wire.send_headers(self._stream, [*pseudo, *fields])
        self._flush()
        while not self.status:
            self._pump()

    def send(self, message: str) -> None:
        """A message of text."""
        self._send(Frame(Opcode.TEXT, message.encode()).serialize(mask=True))

    def recv(self) -> str:
        """The next message."""
        return bytes(self._next().data).decode()

    def ping(self) -> bytes:
        """Ping, and what the answer carries."""
        self._send(Frame(Opcode.PING, b"are you there?").serialize(mask=True))
        frame = self._next()
        assert frame.opcode is Opcode.PONG
        return bytes(frame.data)

    def close(self) -> int:
        """Close from this side; the code that comes back."""
        code = CloseCode.NORMAL_CLOSURE
        self._send(Frame(Opcode.CLOSE, code.to_bytes(2, "big")).serialize(mask=True))
        frame = self._next()
        assert frame.opcode is Opcode.CLOSE
        self.drop()
        return int.from_bytes(frame.data[:2], "big")

    def drop(self) -> None:
        """Leave without a word."""
        self._socket.close()

    def _send(self, data: bytes) -> None:
        while data:
            room = min(self._wire.local_flow_control_window(self._stream), self._wire.max_outbound_frame_size)
            if room:
                self._wire.send_data(self._stream, data[:room])
                data = data[room:]
                self._flush()
            else:
                self._pump()

    def _next(self) -> Frame:
        parsing = Frame.parse(self._frames.read_exact, mask=False)
        while True:
            try:
                next(parsing)
            except StopIteration as stop:
                frame: Frame = stop.value
                return frame
            self._pump()

    def _pump(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionResetError("the gateway closed the connection")
        for event in self._wire.receive_data(data):
            if isinstance(event, h2.events.ResponseReceived):
                self.status = int(dict(event.headers or ())[b":status"])
            elif isinstance(event, h2.events.DataReceived):
                self._frames.feed_data(event.data or b"")
                self._wire.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id or 0)
            elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
                self.ended = True
        self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._wire.data_to_send())
