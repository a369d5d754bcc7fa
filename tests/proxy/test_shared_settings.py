"""Connections to backends are shared by all listeners: the limits are those of the one whose request they carry."""

from __future__ import annotations

from msgspec.structs import replace

from gatewayd.proxy.http1.downstream import Downstream1
from gatewayd.routing.change import difference
from gatewayd.routing.snapshot import Settings
from tests.proxy.conversation import ASKED, CLIENT, GET, OK, Client, Conversation, Start
from tests.proxy.peers import Backend2


def other_client(talk: Conversation, **settings: float) -> Client:
    """A client of a second port, whose listener has these settings."""
    old = talk.runtime.snapshot
    port = old.ports["p"]
    listener = replace(port.listeners[0], key="default/other/http", settings="other")
    new = replace(
        old,
        generation=2,
        ports={"p": port, "q": replace(port, key="q", listeners=(listener,))},
        settings={**old.settings, "other": Settings(**settings)},  # type: ignore[arg-type]
    )
    talk.runtime.apply(difference(old, new), {})
    return Client(talk, Downstream1(talk.runtime._ports["q"][0]), CLIENT)


def test_how_long_an_answer_of_http1_is_awaited(talk: Conversation) -> None:
    talk.client().sends(GET)
    backend = talk.backend()
    backend.sends(OK)
    client = other_client(talk, first_byte_timeout=5.0)
    client.sends(GET)
    assert (backend.takes(), talk.asks) == (ASKED + ASKED, 0)
    talk.passes(6)
    assert client.takes().startswith(b"HTTP/1.1 504 ")


def test_how_long_a_connection_may_be_idle(start: Start) -> None:
    talk = start(protocol="h2c", upstream_idle_timeout=50.0)
    talk.client().sends(GET)
    backend = Backend2(talk.backend())
    backend.answers(1)
    other_client(talk, upstream_idle_timeout=5.0).sends(GET)
    backend.settle()
    backend.answers(3)
    talk.passes(4)
    assert backend.peer.state == "open"
    talk.passes(2)
    assert backend.peer.state == "closed"


def test_how_long_a_backend_may_read_nothing(start: Start) -> None:
    talk = start(protocol="h2c", write_timeout=50.0)
    talk.client().sends(GET)
    backend = Backend2(talk.backend())
    backend.answers(1)
    client = other_client(talk, write_timeout=5.0)
    backend.peer.stalls()
    client.sends(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + b"x" * 200000)
    talk.passes(4)
    assert backend.peer.state == "open"
    talk.passes(2)
    assert backend.peer.state == "aborted"
    assert talk.line["reason"] == "upstream_timeout"


def test_how_long_the_settings_of_a_backend_are_awaited(start: Start) -> None:
    """A WebSocket waits until the backend has said whether it takes any."""
    talk = start(protocol="h2c", first_byte_timeout=50.0)
    client = other_client(talk, first_byte_timeout=5.0)
    upgrade = b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    client.sends(b"GET / HTTP/1.1\r\nHost: a\r\n" + upgrade + b"Sec-WebSocket-Version: 13\r\n\r\n")
    talk.backend()
    talk.passes(4)
    assert client.takes() == b""
    talk.passes(2)
    assert client.takes().startswith(b"HTTP/1.1 50")
    assert talk.line["reason"] == "upstream_timeout"
