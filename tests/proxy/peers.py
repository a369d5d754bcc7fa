"""Clients and backends that speak through h11 and h2: the same words for both versions, and oracles of what we send.

A `Message` is what arrived of one request or response; `ended` once it is complete, `reset` the code of what cut it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.settings
import h11

from tests.proxy.conversation import Backend, Conversation, Peer

Fields = Iterable[tuple[bytes, bytes]]


class Message:
    """One request or response as it arrived."""

    def __init__(self) -> None:
        self.start: tuple[bytes, ...] = ()
        self.fields: dict[bytes, bytes] = {}
        self.interim: list[int] = []
        self.body = b""
        self.trailers: dict[bytes, bytes] = {}
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.start[0])


class Speaker2:
    """One end of a connection of HTTP/2, whose other end is the gateway. `credit`: give back what was received."""

    def __init__(
        self, peer: Peer, *, client: bool, credit: bool = True, settings: dict[Any, int] | None = None
    ) -> None:
        self.peer = peer
        self.talk = peer.talk
        self.credit = credit
        self.messages: dict[int, Message] = {}
        self.events: list[Any] = []
        self.goaway: int | None = None
        self.last_taken: int | None = None
        config = h2.config.H2Configuration(client_side=client, header_encoding=None, validate_outbound_headers=False)
        self.h2 = h2.connection.H2Connection(config)
        known: Any = self.h2.local_settings
        values = {**known, **(settings or {})}
        self.h2.local_settings = h2.settings.Settings(client=client, initial_values=values)
        self.h2.initiate_connection()
        self.flush()

    def flush(self) -> None:
        """Send what h2 has to send, and take what comes for it, until both are quiet."""
        while data := self.h2.data_to_send():
            self.peer.sends(data)
            self.pull()

    def pull(self) -> None:
        """Take what the gateway sent."""
        data = Peer.takes(self.peer)
        if data:
            for event in self.h2.receive_data(data):
                self.events.append(event)
                self._take(event)

    def settle(self) -> None:
        """Take, and answer what h2 answers by itself."""
        self.pull()
        self.flush()

    def _take(self, event: Any) -> None:
        stream = getattr(event, "stream_id", None)
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway, self.last_taken = int(event.error_code or 0), event.last_stream_id
            return
        if not stream:
            return
        message = self.messages.setdefault(stream, Message())
        match event:
            case h2.events.RequestReceived() | h2.events.ResponseReceived():
                self._take_head(message, event.headers)
            case h2.events.InformationalResponseReceived():
                message.interim.append(int(dict(event.headers)[b":status"]))
            case h2.events.DataReceived():
                message.body += event.data
                if self.credit and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            case h2.events.TrailersReceived():
                message.trailers = dict(event.headers)
            case h2.events.StreamEnded():
                message.ended = True
            case h2.events.StreamReset():
                message.reset = int(event.error_code)

    def _take_head(self, message: Message, fields: Any) -> None:
        found = dict(fields)
        names = (b":status",) if b":status" in found else (b":method", b":path", b":authority")
        message.start = tuple(found[name] for name in names)
        message.fields = {name: value for name, value in found.items() if not name.startswith(b":")}

    def sends(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Bytes of a body, as far as the gateway's window allows in each step."""
        while True:
            size = min(len(data), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if data and size <= 0:
                raise AssertionError("the gateway's window is closed")
            piece, data = data[:size], data[size:]
            self.h2.send_data(stream, piece, end_stream=end and not data)
            self.flush()
            if not data:
                return

    def trails(self, stream: int, trailers: Fields) -> None:
        """The trailers."""
        self.h2.send_headers(stream, list(trailers), end_stream=True)
        self.flush()

    def resets(self, stream: int, code: int = 8) -> None:
        """Give up a stream."""
        self.h2.reset_stream(stream, code)
        self.flush()

    def sends_raw(self, data: bytes) -> None:
        """These bytes, of which h2 knows nothing."""
        self.peer.sends(data)
        self.pull()


class Client2(Speaker2):
    """A client with HTTP/2, with prior knowledge or after ALPN."""

    def __init__(self, talk: Conversation, **options: Any) -> None:
        super().__init__(talk.client(), client=True, **options)

    def asks(self, method: str = "GET", path: str = "/", *fields: tuple[str, str], end: bool = True) -> int:
        """A request; its stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
        self.h2.send_headers(stream, [*pseudo, *fields], end_stream=end)
        self.flush()
        return stream


class Backend2(Speaker2):
    """A backend with HTTP/2."""

    def __init__(self, peer: Backend, **options: Any) -> None:
        super().__init__(peer, client=False, **options)
        self.pull()
        self.flush()

    def answers(self, stream: int, status: int = 200, *fields: tuple[str, str], end: bool = True) -> None:
        """A response's head."""
        self.h2.send_headers(stream, [(":status", str(status)), *fields], end_stream=end)
        self.flush()


class Speaker1:
    """Either end of a connection with HTTP/1.1."""

    def __init__(self, peer: Peer, role: Any) -> None:
        self.peer = peer
        self.h11 = h11.Connection(role)
        self.messages: dict[int, Message] = {}

    def _send(self, event: Any) -> None:
        if data := self.h11.send(event):
            self.peer.sends(data)

    def sends(self, stream: int, data: bytes, *, end: bool = False) -> None:
        if data:
            self._send(h11.Data(data=data))
        if end:
            self._send(h11.EndOfMessage())

    def trails(self, stream: int, trailers: Fields) -> None:
        self._send(h11.EndOfMessage(headers=list(trailers)))


class Client1(Speaker1):
    """A client with HTTP/1.1: one request at a time. Streams are numbered like those of HTTP/2."""

    def __init__(self, talk: Conversation) -> None:
        super().__init__(talk.client(), h11.CLIENT)
        self.stream = -1

    def asks(self, method: str = "GET", path: str = "/", *fields: tuple[str, str], end: bool = True) -> int:
        if self.stream > 0:
            self.h11.start_next_cycle()
        self.stream += 2
        self.messages[self.stream] = Message()
        framing = (
            [] if end or any(name == "content-length" for name, _ in fields) else [("transfer-encoding", "chunked")]
        )
        names = ", ".join(value for name, value in fields if name == "te")
        more = [("connection", "te")] if names else []
        self._send(h11.Request(method=method, target=path, headers=[("host", "a"), *fields, *framing, *more]))
        if end:
            self._send(h11.EndOfMessage())
        return self.stream

    def settle(self) -> None:
        if data := self.peer.takes():
            self.h11.receive_data(data)
        if self.peer.state in ("closed", "aborted"):
            self.h11.receive_data(b"")
        take(self.h11, self.messages[self.stream])


class Backend1(Speaker1):
    """A backend with HTTP/1.1."""

    def __init__(self, peer: Backend) -> None:
        super().__init__(peer, h11.SERVER)
        self.messages[1] = Message()

    def settle(self) -> None:
        if data := Peer.takes(self.peer):
            self.h11.receive_data(data)
        take(self.h11, self.messages[1])

    def answers(self, stream: int, status: int = 200, *fields: tuple[str, str], end: bool = True) -> None:
        self._send(h11.Response(status_code=status, headers=list(fields)))
        if end:
            self._send(h11.EndOfMessage())


def take(connection: h11.Connection, message: Message) -> None:
    """What h11 makes of what came."""
    try:
        while True:
            event = connection.next_event()
            if event in (h11.NEED_DATA, h11.PAUSED) or isinstance(event, h11.ConnectionClosed):
                return
            match event:
                case h11.Request():
                    message.fields = dict(event.headers)
                    message.start = (bytes(event.method), bytes(event.target), message.fields.pop(b"host"))
                case h11.Response():
                    message.start = (b"%d" % event.status_code,)
                    message.fields = dict(event.headers)
                case h11.InformationalResponse():
                    message.interim.append(event.status_code)
                case h11.Data():
                    message.body += bytes(event.data)
                case h11.EndOfMessage():
                    message.trailers = dict(event.headers)
                    message.ended = True
                    return
    except h11.RemoteProtocolError:
        message.reset = -1


CLIENTS: dict[str, Any] = {"h1": Client1, "h2": Client2}
BACKENDS: dict[str, Any] = {"h1": Backend1, "h2": Backend2}
PROTOCOLS = {"h1": "http1", "h2": "h2c"}
