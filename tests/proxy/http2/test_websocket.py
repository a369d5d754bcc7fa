"""WebSockets through every pairing: upgrades of HTTP/1.1 (RFC 6455) and extended CONNECT of HTTP/2 (RFC 8441)."""

from __future__ import annotations

import gc
import re
from typing import Any

import pytest

from gatewayd.proxy.exchange import Exchange
from gatewayd.proxy.http2.request import RequestStream
from gatewayd.proxy.http2.response import ResponseStream
from gatewayd.proxy.http2.transport import StreamTransport, accept_of
from gatewayd.proxy.tunnel import Tunnel
from gatewayd.routing.snapshot import Edit, Filters
from tests.proxy.conversation import Conversation, Start, message, rule
from tests.proxy.http2.octets import ACCEPT, CONNECT
from tests.proxy.http2.tunnels import accepted, backend_of, client_of
from tests.proxy.pairs import nothing_is_left
from tests.proxy.peers import PROTOCOLS, Backend2


@pytest.fixture(params=[(one, other) for one in PROTOCOLS for other in PROTOCOLS], ids="-".join)
def ends(request: pytest.FixtureRequest, start: Start) -> tuple[Conversation, Any, Any]:
    client, backend = request.param
    talk = start(protocol=PROTOCOLS[backend])
    return talk, *accepted(talk, client, backend)


def test_bytes_pass_in_both_directions(ends: tuple[Conversation, Any, Any]) -> None:
    talk, client, backend = ends
    for turn in range(3):
        client.says(b"ping %d" % turn)
        assert backend.hears() == b"ping %d" % turn
        backend.says(b"pong %d" % turn)
        assert client.hears() == b"pong %d" % turn
    client.leaves()
    assert backend.over
    backend.leaves()
    assert client.over
    line = talk.line
    assert (line["status"], line["bytes_in"], line["bytes_out"], line["reason"]) == (101, 18, 18, "")
    nothing_is_left(talk)


@pytest.mark.parametrize("client", PROTOCOLS)
@pytest.mark.parametrize("backend", PROTOCOLS)
def test_the_answer_that_opens_it_is_edited(start: Start, client: str, backend: str) -> None:
    """As any other answer is (ResponseHeaderModifier)."""
    edit = Edit(set=((b"sec-websocket-protocol", b"chat"),), add=((b"x-seen", b"yes"),))
    talk = start(rule(filters=Filters(response=edit)), protocol=PROTOCOLS[backend])
    one, other = client_of(talk, client), backend_of(talk, backend)
    if backend == "h1":
        key = re.findall(rb"(?i)\r\nsec-websocket-key: (.*?)\r\n", other.takes())[0]
        upgrade = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Protocol: talk")
        accept = f"Sec-WebSocket-Accept: {accept_of(key).decode()}"
        other.sends(message("HTTP/1.1 101 Switching Protocols", *upgrade, accept))
    else:
        other.answers(1, 200, ("sec-websocket-protocol", "talk"), end=False)
    if client == "h1":
        head = one.takes()
        assert head.count(b"\r\nsec-websocket-protocol: chat\r\nx-seen: yes\r\n") == 1
        assert b"talk" not in head
    else:
        one.settle()
        assert one.messages[1].fields[b"sec-websocket-protocol"] == b"chat"
        assert one.messages[1].fields[b"x-seen"] == b"yes"


def test_many_bytes_pass(ends: tuple[Conversation, Any, Any]) -> None:
    talk, client, backend = ends
    total = 0
    for _ in range(100):
        client.says(b"x" * 10_000)
        total += len(backend.hears())
    assert total == 1_000_000
    total = 0
    for _ in range(100):
        backend.says(b"x" * 10_000)
        total += len(client.hears())
    assert total == 1_000_000
    nothing_is_left(talk)


def test_the_collector_has_nothing_to_do(start: Start) -> None:
    kinds = (Exchange, Tunnel, StreamTransport, RequestStream, ResponseStream)
    gc.collect()
    gc.disable()
    try:
        for client in PROTOCOLS:
            for backend in PROTOCOLS:
                for silent in (True, False):
                    talk = start(protocol=PROTOCOLS[backend], tunnel_idle_timeout=5.0)
                    one, other = accepted(talk, client, backend)
                    if silent:
                        talk.passes(6)
                    one.leaves()
                    other.leaves()
                    assert (one.over, other.over) == (True, True)
                    nothing_is_left(talk)
                    left = [type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds)]
                    assert left == []
    finally:
        gc.enable()


def test_an_idle_tunnel_is_cut(start: Start) -> None:
    for client in PROTOCOLS:
        for backend in PROTOCOLS:
            talk = start(protocol=PROTOCOLS[backend], tunnel_idle_timeout=5.0)
            one, other = accepted(talk, client, backend)
            talk.passes(6)
            assert (one.over, other.over) == (True, True)
            assert talk.line["reason"] == "tunnel_timeout"
            nothing_is_left(talk)


def test_what_the_client_sends_before_the_answer_waits_for_it(start: Start) -> None:
    talk = start()
    client = client_of(talk, "h2")
    client.sends(1, b"early")
    backend = talk.backend()
    asked = backend.takes()
    assert asked.endswith(b"\r\n\r\n")
    key = re.findall(rb"(?i)\r\nsec-websocket-key: (.*?)\r\n", asked)[0]
    backend.sends(message(
        "HTTP/1.1 101 X", "Connection: Upgrade", "Upgrade: websocket",
        f"Sec-WebSocket-Accept: {accept_of(key).decode()}", body=b"late",
    ))  # fmt: skip
    assert backend.takes() == b"early"
    client.settle()
    assert client.messages[1].body == b"late"
    nothing_is_left(talk)


def test_an_answer_for_another_key_is_502(start: Start) -> None:
    talk = start()
    client = client_of(talk, "h2")
    backend = talk.backend()
    backend.sends(message(
        "HTTP/1.1 101 X", "Connection: Upgrade", "Upgrade: websocket", f"Sec-WebSocket-Accept: {ACCEPT.decode()}",
    ))  # fmt: skip
    client.settle()
    assert (client.messages[1].status, talk.line["reason"]) == (502, "bad_response_bad_websocket_accept")
    nothing_is_left(talk)


@pytest.mark.parametrize("version", PROTOCOLS)
def test_a_backend_that_declines(start: Start, version: str) -> None:
    talk = start(protocol=PROTOCOLS[version])
    client = client_of(talk, "h2")
    backend = backend_of(talk, version)
    if version == "h1":
        backend.sends(message("HTTP/1.1 403 Forbidden", "content-length: 2", body=b"no"))
    else:
        backend.answers(1, 403, end=False)
        backend.sends(1, b"no", end=True)
    client.settle()
    answer = client.messages[1]
    assert (answer.status, answer.body, answer.ended, answer.reset) == (403, b"no", True, 0)
    nothing_is_left(talk)


@pytest.mark.parametrize("version", PROTOCOLS)
def test_a_backend_that_knows_no_tunnels(start: Start, version: str) -> None:
    talk = start(protocol="h2c")
    client = client_of(talk, version)
    Backend2(talk.backend())
    assert talk.line["reason"] == "upstream_without_websocket"
    assert talk.line["status"] == 502
    if version == "h2":
        client.settle()
        assert client.messages[1].status == 502
    nothing_is_left(talk)


@pytest.mark.parametrize("version", PROTOCOLS)
def test_a_client_that_leaves_before_the_backend_has_said_what_it_knows(start: Start, version: str) -> None:
    talk = start(protocol="h2c")
    client = client_of(talk, version)
    backend = talk.backend()
    (client.peer if version == "h2" else client).leaves()
    assert talk.line["reason"] == "client_closed"
    speaker = Backend2(backend, settings={CONNECT: 1})
    assert not speaker.messages
    nothing_is_left(talk)


def test_a_client_that_resets_closes_the_backend(start: Start) -> None:
    talk = start()
    client, backend = accepted(talk, "h2", "h1")
    client.speaker.resets(1)
    assert backend.over
    nothing_is_left(talk)


def test_a_tunnel_is_held_back_by_its_slower_end(start: Start) -> None:
    talk = start()
    client, backend = accepted(talk, "h2", "h1")
    client.speaker.credit = False
    backend.says(b"x" * 200_000)
    assert backend.peer.held_back()
    client.speaker.settle()
    client.speaker.h2.increment_flow_control_window(200_000, 1)
    client.speaker.h2.increment_flow_control_window(200_000)
    client.speaker.flush()
    assert not backend.peer.held_back()
    assert len(client.hears()) == 200_000
    backend.peer.stalls()
    with pytest.raises(AssertionError, match="window is closed"):
        client.says(b"y" * 1_000_000)
    nothing_is_left(talk)


TEXT = b"\x81\x01a"
MASKED = b"\x81\x81\x00\x00\x00\x00a"
GOODBYE = b"\x88\x02\x03\xe9"


def goodbyes(ends: tuple[Conversation, Any, Any]) -> tuple[bool, bool]:
    """Whether the client and the backend are told that the gateway goes away, when its drain is over."""
    talk, client, backend = ends
    talk.runtime.abort()
    talk.settle()
    to_client, to_backend = client.hears(), backend.hears()
    assert not talk.runtime.connections
    assert to_client in (b"", GOODBYE)
    if to_backend:
        assert to_backend[:2] == b"\x88\x82"
        assert bytes(one ^ other for one, other in zip(to_backend[6:], to_backend[2:6], strict=False)) == GOODBYE[2:]
    return bool(to_client), bool(to_backend)


def test_a_cut_websocket_is_told_1001(ends: tuple[Conversation, Any, Any]) -> None:
    _, client, backend = ends
    client.says(MASKED * 2)
    backend.says(TEXT)
    assert (client.hears(), backend.hears()) == (TEXT, MASKED * 2)
    assert goodbyes(ends) == (True, True)


def test_one_that_never_said_a_word_is_told_too(ends: tuple[Conversation, Any, Any]) -> None:
    assert goodbyes(ends) == (True, True)


def test_half_a_frame_is_not_made_whole(ends: tuple[Conversation, Any, Any]) -> None:
    _, client, backend = ends
    client.says(MASKED[:-1])
    backend.says(b"\x82\x7f" + (5000).to_bytes(8, "big") + b"x" * 4000)
    client.hears()
    backend.hears()
    assert goodbyes(ends) == (False, False)


def test_a_long_frame_is_known_by_its_head(ends: tuple[Conversation, Any, Any]) -> None:
    _, client, backend = ends
    backend.says(b"\x82\x7e" + (5000).to_bytes(2, "big") + b"x" * 5000)
    client.hears()
    assert goodbyes(ends) == (True, True)


def test_nothing_follows_a_close(ends: tuple[Conversation, Any, Any]) -> None:
    _, client, backend = ends
    backend.says(GOODBYE)
    assert client.hears() == GOODBYE
    assert goodbyes(ends) == (False, True)
