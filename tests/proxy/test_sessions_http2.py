"""Sessions with HTTP/2 on either side, gRPC, and the tunnels of WebSockets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proxy.conversation import Conversation, Start, message
from tests.proxy.http2.octets import ACCEPT, CONNECT, KEY
from tests.proxy.peers import PROTOCOLS, Backend1, Backend2, Client1, Client2, Message
from tests.proxy.sticky import COOKIE, FIELD, ONE, OTHER, TWO, moves, sticky, token_of

CLIENTS: dict[str, Any] = {"h1": Client1, "h2": Client2}
BACKENDS: dict[str, Any] = {"h1": Backend1, "h2": Backend2}


def token(fields: dict[bytes, bytes]) -> bytes:
    """The token in the fields of an answer."""
    return token_of(b"".join(b"%b: %b\r\n" % pair for pair in fields.items()))


class Table:
    """Backends by address: what the gateway connects to is put there."""

    def __init__(self, talk: Conversation, version: str) -> None:
        self.talk = talk
        self.version = version
        self.backends: dict[str, Any] = {}
        self.answered: list[Message] = []

    def answers(self) -> str:
        """Answer the request that is under way; the address at which it came."""
        while self.talk.asks:
            peer = self.talk.backend()
            self.backends[peer.transport.peer] = BACKENDS[self.version](peer)
        for address, backend in self.backends.items():
            backend.settle()
            for stream, asked in backend.messages.items():
                if asked.ended and asked not in self.answered:
                    self.answered.append(asked)
                    backend.answers(
                        stream, 200, ("x", "y"), *([("connection", "close")] if self.version == "h1" else [])
                    )
                    return address
        raise AssertionError("nobody was asked")


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("backend", PROTOCOLS)
@pytest.mark.parametrize("persistence", [COOKIE, FIELD], ids=["cookie", "header"])
def test_every_pairing(start: Start, client: str, backend: str, persistence: Any) -> None:
    talk = start(sticky(persistence), endpoints=TWO, protocol=PROTOCOLS[backend])
    table = Table(talk, backend)
    one = CLIENTS[client](talk)

    def ask(*fields: tuple[str, str]) -> tuple[str, str]:
        stream = one.asks("GET", "/", *fields)
        address = table.answers()
        one.settle()
        assert one.messages[stream].fields[b"x"] == b"y"
        return address, token(one.messages[stream].fields).decode()

    tokens: dict[str, str] = {}
    while len(tokens) < 2:
        address, made = ask()
        tokens[address] = made
    for _ in range(5):
        for address, made in tokens.items():
            # HTTP/2 clients send a field for each cookie (RFC 9113 section 8.2.3), HTTP/1 clients one for all.
            cookies = (
                [("cookie", "a=b"), ("cookie", f"sid={made}")] if client == "h2" else [("cookie", f"a=b; sid={made}")]
            )
            shown = cookies if persistence is COOKIE else [("x-sid", made)]
            assert ask(*shown) == (address, "")


def test_a_stream_that_was_refused_stays_in_its_session(start: Start) -> None:
    talk = start(sticky(FIELD), endpoints=TWO, protocol="h2c")
    table = Table(talk, "h2")
    client = Client2(talk)
    stream = client.asks()
    address = table.answers()
    client.settle()
    made = token(client.messages[stream].fields).decode()
    stream = client.asks("GET", "/", ("x-sid", made))
    old = table.backends[address]
    old.settle()
    old.resets(max(old.messages), 7)  # REFUSED_STREAM: nothing was done with it
    assert table.answers() == address
    client.settle()
    assert (client.messages[stream].status, token(client.messages[stream].fields)) == (200, b"")


def test_at_the_limit_of_connections_sessions_take_turns(start: Start) -> None:
    talk = start(sticky(FIELD), endpoints=TWO, protocol="h2c", upstream_connections=1)
    table = Table(talk, "h2")
    client = Client2(talk)

    def ask(*fields: tuple[str, str]) -> tuple[str, str]:
        stream = client.asks("GET", "/", *fields)
        address = table.answers()
        client.settle()
        return address, token(client.messages[stream].fields).decode()

    first, made = ask()
    moves(talk, OTHER if first == "10.0.0.1" else ONE)
    second, other = ask()
    assert second != first
    moves(talk, ONE, OTHER)
    for _ in range(3):
        assert ask(("x-sid", made)) == (first, "")
        assert ask(("x-sid", other)) == (second, "")
    busy = client.asks("GET", "/", ("x-sid", other))
    waits = client.asks("GET", "/", ("x-sid", made))
    assert talk.asks == 0
    assert [table.answers(), table.answers()] == [second, first]
    client.settle()
    assert [client.messages[stream].status for stream in (busy, waits)] == [200, 200]
    assert talk.runtime.backends["shop"].open == 1


def test_a_grpc_call_that_ends_with_its_head(start: Start) -> None:
    talk = start(sticky(FIELD), protocol="h2c")
    client = Client2(talk)
    stream = client.asks("POST", "/s/m", ("content-type", "application/grpc"), ("te", "trailers"))
    backend = Backend2(talk.backend())
    backend.answers(1, 200, ("content-type", "application/grpc"), ("grpc-status", "5"))
    client.settle()
    fields = client.messages[stream].fields
    assert (fields[b"grpc-status"], bool(token(fields))) == (b"5", True)


@pytest.mark.parametrize("persistence", [COOKIE, FIELD], ids=["cookie", "header"])
def test_101_carries_the_token(start: Start, persistence: Any) -> None:
    talk = start(sticky(persistence), endpoints=TWO)
    ask = [
        "GET /ws HTTP/1.1",
        "Host: a",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Key: {KEY.decode()}",
    ]
    accept = f"Sec-WebSocket-Accept: {ACCEPT.decode()}"
    switches = message("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", accept)

    def opened(*shown: str) -> tuple[str, bytes]:
        client = talk.client()
        client.sends(message(*ask, *shown))
        backend = talk.backend()
        backend.sends(switches)
        data = client.takes()
        assert data.startswith(b"HTTP/1.1 101 ")
        backend.takes()
        client.sends(b"ping")
        assert backend.takes() == b"ping"
        return backend.transport.peer, token_of(data)

    address, made = opened()
    assert made
    for _ in range(10):
        assert opened(f"Cookie: sid={made.decode()}", f"X-Sid: {made.decode()}") == (address, b"")


def test_a_websocket_over_http2_at_both_ends(start: Start) -> None:
    talk = start(sticky(), protocol="h2c")
    client = Client2(talk)
    pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "a")]
    client.h2.send_headers(1, [*pseudo, (":path", "/ws"), ("sec-websocket-version", "13")])
    client.flush()
    backend = Backend2(talk.backend(), settings={CONNECT: 1})
    backend.settle()
    backend.answers(1, 200, end=False)
    client.settle()
    assert client.messages[1].status == 200
    assert token(client.messages[1].fields)


def test_a_connection_that_gives_up_its_place_takes_no_more_requests(start: Start) -> None:
    """It was full when a request of another session began to wait, and has room now: that is for nobody any more."""
    talk = start(sticky(FIELD), endpoints=TWO, protocol="h2c", upstream_connections=1)
    table = Table(talk, "h2")
    client = Client2(talk)
    tokens: dict[str, str] = {}
    for others in ([ONE], [OTHER], [ONE, OTHER]):
        moves(talk, *others)
        stream = client.asks()
        address = table.answers()
        client.settle()
        tokens.setdefault(address, token(client.messages[stream].fields).decode())
    (open_now,) = [address for address in tokens if table.backends[address].peer.state == "open"]
    (other,) = {*tokens} - {open_now}
    backend = table.backends[open_now]
    backend.h2.update_settings({3: 2})  # SETTINGS_MAX_CONCURRENT_STREAMS
    backend.flush()
    for _ in range(2):
        client.asks("GET", "/", ("x-sid", tokens[open_now]))
    client.asks("GET", "/", ("x-sid", tokens[other]))
    assert table.answers() == open_now
    client.asks("GET", "/", ("x-sid", tokens[open_now]))
    assert [table.answers() for _ in range(2)] == [open_now, other]
