"""Both ends of WebSockets in either version of HTTP, for the tests of tunnels."""

from __future__ import annotations

import re
from typing import Any

from gatewayd.proxy.http2.transport import accept_of
from tests.proxy.conversation import Backend, Client, Conversation, message
from tests.proxy.http2.octets import ACCEPT, CONNECT, KEY
from tests.proxy.peers import Backend2, Client2

ASK = message(
    "GET /ws HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Protocol: chat", f"Sec-WebSocket-Key: {KEY.decode()}",
)  # fmt: skip


class End1:
    """A peer with HTTP/1.1."""

    def __init__(self, peer: Client | Backend) -> None:
        self.peer = peer

    def says(self, data: bytes) -> None:
        self.peer.sends(data)

    def hears(self) -> bytes:
        return self.peer.takes()

    def leaves(self) -> None:
        self.peer.ends()

    @property
    def over(self) -> bool:
        return self.peer.state != "open"


class End2:
    """A peer with HTTP/2, on stream 1."""

    def __init__(self, speaker: Any) -> None:
        self.speaker = speaker

    def says(self, data: bytes) -> None:
        self.speaker.sends(1, data)

    def hears(self) -> bytes:
        self.speaker.settle()
        message = self.speaker.messages[1]
        body: bytes = message.body
        message.body = b""
        return body

    def leaves(self) -> None:
        self.speaker.h2.end_stream(1)
        self.speaker.flush()

    @property
    def over(self) -> bool:
        self.speaker.settle()
        return bool(self.speaker.messages[1].ended or self.speaker.messages[1].reset is not None)


def client_of(talk: Conversation, version: str) -> Any:
    if version == "h1":
        client = talk.client()
        client.sends(ASK)
        return client
    speaker = Client2(talk)
    pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a")]
    fields = [(":path", "/ws"), ("sec-websocket-version", "13"), ("sec-websocket-protocol", "chat")]
    speaker.h2.send_headers(1, [*pseudo, *fields])
    speaker.flush()
    return speaker


def backend_of(talk: Conversation, version: str) -> Any:
    peer = talk.backend()
    if version == "h2":
        return Backend2(peer, settings={CONNECT: 1})
    return peer


def accepted(talk: Conversation, client: str, backend: str) -> tuple[Any, Any]:
    """Both ends of an open tunnel."""
    one, other = client_of(talk, client), backend_of(talk, backend)
    if backend == "h1":
        asked = other.takes()
        assert asked.startswith(b"GET /ws HTTP/1.1\r\n")
        assert b"\r\nconnection: upgrade\r\nupgrade: websocket\r\n" in asked
        keys = re.findall(rb"\r\nsec-websocket-key: (.*?)\r\n", asked.lower().replace(KEY.lower(), KEY))
        assert len(keys) == 1
        key = re.findall(rb"(?i)\r\nsec-websocket-key: (.*?)\r\n", asked)[0]
        other.sends(message(
            "HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Protocol: chat", f"Sec-WebSocket-Accept: {accept_of(key).decode()}",
        ))  # fmt: skip
    else:
        other.settle()
        asked = other.messages[1]
        assert (asked.start[0], asked.start[1]) == (b"CONNECT", b"/ws")
        assert (b"sec-websocket-key" in asked.fields, asked.ended) == (False, False)
        other.answers(1, 200, ("sec-websocket-protocol", "chat"), end=False)
    if client == "h1":
        answer = one.takes()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-accept: " + ACCEPT in answer.replace(b"Sec-WebSocket-Accept", b"sec-websocket-accept")
    else:
        one.settle()
        assert one.messages[1].status == 200
        assert one.messages[1].fields[b"sec-websocket-protocol"] == b"chat"
        assert b"sec-websocket-accept" not in one.messages[1].fields
    return (End1(one) if client == "h1" else End2(one)), (End1(other) if backend == "h1" else End2(other))
