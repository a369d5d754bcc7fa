"""Interim responses, Expect: 100-continue and Upgrade (RFC 9110 sections 10.1.1, 15.2, 7.8)."""

from __future__ import annotations

import pytest

from gatewayd.routing.snapshot import MatchPlan
from tests.proxy.conversation import ASKED, GET, OK, Backend, Client, Conversation, Start, message, rule

EXPECTS = message("PUT / HTTP/1.1", "Host: a", "Content-Length: 2", "Expect: 100-continue")
UPGRADE = message("GET /ws HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: WebSocket", "Sec-WebSocket-Key: k")
SWITCHES = message("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: websocket", "Sec-X: y")


def test_continue_passes_and_the_body_follows(talk: Conversation):
    client = talk.client()
    client.sends(EXPECTS)
    backend = talk.backend()
    assert backend.takes() == message("PUT / HTTP/1.1", "host: a", "content-length: 2", "expect: 100-continue")
    backend.sends(message("HTTP/1.1 100 Continue"))
    assert client.takes() == message("HTTP/1.1 100 Continue")
    client.sends(b"hi")
    assert backend.takes() == b"hi"
    backend.sends(OK)
    assert client.takes() == OK
    assert (client.state, backend.state) == ("open", "open")


def test_a_refusal_in_place_of_continue_closes_both(talk: Conversation):
    """Whether the body comes now is unknowable, so nothing after it could be told from it."""
    client = talk.client()
    client.sends(EXPECTS)
    backend = talk.backend()
    refusal = message("HTTP/1.1 401 Unauthorized", "content-length: 0")
    backend.sends(refusal)
    assert client.takes() == message("HTTP/1.1 401 Unauthorized", "content-length: 0", "connection: close")
    assert (client.state, backend.state) == ("ended", "aborted")
    client.sends(b"hi" + GET)
    assert (client.takes(), talk.asks) == (b"", 0)


def test_a_local_answer_to_expect_closes(start: Start):
    talk = start(rule(matches=(MatchPlan(path=b"/shop"),)))
    client = talk.client()
    client.sends(EXPECTS)
    answer = client.takes()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert client.state == "ended"


def test_an_expectation_that_nobody_knows_is_refused(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 2", "Expect: magic"))
    assert client.takes().startswith(b"HTTP/1.1 417 ")
    assert (talk.asks, client.state) == (0, "ended")


def test_early_hints_are_relayed(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    hints = message("HTTP/1.1 103 Early Hints", "Link: </x>; rel=preload")
    backend.sends(hints + hints[:20])
    assert client.takes() == hints
    backend.sends(hints[20:] + OK)
    assert client.takes() == hints + OK
    assert backend.state == "open"


def test_continue_that_nobody_asked_for_is_not_relayed(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    talk.backend().sends(message("HTTP/1.1 100 Continue") + OK)
    assert client.takes() == OK


def test_http_1_0_gets_no_interim_responses(talk: Conversation):
    client = talk.client()
    client.sends(message("GET / HTTP/1.0", "Host: a"))
    talk.backend().sends(message("HTTP/1.1 103 Early Hints", "Link: x") + OK)
    assert client.takes() == message("HTTP/1.1 200 OK", "content-length: 2", "connection: close", body=b"ok")


@pytest.mark.parametrize(("count", "status"), [(16, b"200"), (17, b"502")])
def test_interim_responses_are_bounded(talk: Conversation, count: int, status: bytes):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    hint = message("HTTP/1.1 103 Early Hints")
    backend.sends(hint * count + OK)
    answer = client.takes()
    assert answer[len(hint) * 16 :].startswith(b"HTTP/1.1 " + status)
    assert backend.state == ("open" if count == 16 else "aborted")
    assert client.state == "open"


# -- Upgrade -----------------------------------------------------------------------------------------------------------


def tunnel(talk: Conversation) -> tuple[Client, Backend]:
    client = talk.client()
    client.sends(UPGRADE)
    backend = talk.backend()
    backend.takes()
    backend.sends(SWITCHES)
    client.takes()
    return client, backend


def test_a_websocket_becomes_a_tunnel(talk: Conversation):
    client = talk.client()
    client.sends(UPGRADE)
    backend = talk.backend()
    assert backend.takes() == message(
        "GET /ws HTTP/1.1", "host: a", "Sec-WebSocket-Key: k", "connection: upgrade", "upgrade: websocket"
    )
    backend.sends(SWITCHES + b"\x81\x01a")
    assert client.takes() == message(
        "HTTP/1.1 101 Switching Protocols", "Sec-X: y", "connection: upgrade", "upgrade: websocket", body=b"\x81\x01a"
    )
    client.sends(b"GET / HTTP/1.1\r\n\r\n")
    assert backend.takes() == b"GET / HTTP/1.1\r\n\r\n"
    backend.sends(b"HTTP/1.1 200 OK\r\n\r\n")
    assert client.takes() == b"HTTP/1.1 200 OK\r\n\r\n"
    client.ends()
    backend.ends()
    assert (client.state, backend.state) == ("closed", "closed")
    assert (talk.line["status"], talk.line["bytes_in"], talk.line["bytes_out"]) == (101, 18, 22)


def test_bytes_before_101_are_held(talk: Conversation):
    """CVE-2026-2833: they are a tunnel's only once there is a tunnel."""
    client = talk.client()
    client.sends(UPGRADE + GET)
    backend = talk.backend()
    assert backend.takes().endswith(b"upgrade: websocket\r\n\r\n")
    client.sends(b"more")
    assert backend.takes() == b""
    backend.sends(SWITCHES)
    assert backend.takes() == GET + b"more"


def test_bytes_before_a_refused_upgrade_are_the_next_request(talk: Conversation):
    client = talk.client()
    client.sends(UPGRADE + GET)
    backend = talk.backend()
    backend.takes()
    backend.sends(message("HTTP/1.1 403 Forbidden", "content-length: 0"))
    assert client.takes() == message("HTTP/1.1 403 Forbidden", "content-length: 0")
    assert backend.takes() == ASKED


def test_an_upgrade_has_a_connection_of_its_own(talk: Conversation):
    client, pooled = talk.exchange()
    client.sends(UPGRADE)
    assert pooled.takes() == b""
    assert talk.backend().takes().startswith(b"GET /ws ")


@pytest.mark.parametrize(
    ("request_", "switch"),
    [
        (GET, SWITCHES),
        (UPGRADE, message("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: h2c")),
        (UPGRADE, message("HTTP/1.1 101 Switching Protocols")),
    ],
)
def test_101_that_nobody_asked_for_is_a_bad_gateway(talk: Conversation, request_: bytes, switch: bytes):
    client = talk.client()
    client.sends(request_)
    backend = talk.backend()
    backend.sends(switch + b"smuggled")
    answer = client.takes()
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"smuggled" not in answer
    assert (backend.state, talk.line["reason"]) == ("aborted", "bad_response_upgrade_not_asked")


@pytest.mark.parametrize(
    "fields",
    [
        ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
        ("Connection: Upgrade", "Upgrade: TLS/1.2"),
        ("Connection: Upgrade", "Upgrade: websocket, h2c"),
        ("Upgrade: websocket",),
        ("HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",),
    ],
)
def test_other_upgrades_are_ignored_and_never_forwarded(talk: Conversation, fields: tuple[str]):
    client = talk.client()
    client.sends(message("GET / HTTP/1.1", "Host: a", *fields))
    backend = talk.backend()
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes() == OK


def test_http_1_0_cannot_upgrade(talk: Conversation):
    client = talk.client()
    client.sends(UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert talk.backend().takes() == message("GET /ws HTTP/1.1", "host: a", "Sec-WebSocket-Key: k")


@pytest.mark.parametrize("body", [("Content-Length: 2",), ("Transfer-Encoding: chunked",)])
def test_an_upgrade_with_a_body_is_refused(talk: Conversation, body: tuple[str]):
    client = talk.client()
    client.sends(UPGRADE[:-2] + message(*body))
    assert client.takes().startswith(b"HTTP/1.1 400 ")
    assert talk.asks == 0


def test_a_tunnel_half_closes(talk: Conversation):
    client, backend = tunnel(talk)
    client.ends()
    assert (client.state, backend.state) == ("open", "ended")
    backend.sends(b"bye")
    assert client.takes() == b"bye"
    backend.ends()
    assert (client.state, backend.state) == ("closed", "closed")


def test_a_client_that_ended_before_101_has_ended_its_half_of_the_tunnel(talk: Conversation):
    client = talk.client()
    client.sends(UPGRADE + b"last words")
    client.ends()
    backend = talk.backend()
    backend.takes()
    backend.sends(SWITCHES)
    assert (backend.takes(), backend.state) == (b"last words", "ended")
    backend.sends(b"bye")
    backend.ends()
    assert client.takes().endswith(b"\r\n\r\nbye")
    assert (client.state, backend.state) == ("closed", "closed")


@pytest.mark.parametrize("leaver", [0, 1])
def test_a_reset_goes_through_a_tunnel(talk: Conversation, leaver: int):
    ends = tunnel(talk)
    ends[leaver].leaves()
    assert ends[1 - leaver].state == "aborted"
    assert len(talk.lines) == 1


def test_a_tunnel_has_back_pressure(talk: Conversation):
    client, backend = tunnel(talk)
    backend.stalls()
    client.sends(b"x" * 70000)
    assert client.held_back()
    backend.reads()
    assert not client.held_back()


def test_an_idle_tunnel_ends(start: Start):
    talk = start(tunnel_idle_timeout=10.0)
    client, backend = tunnel(talk)
    talk.passes(9)
    client.sends(b"x")
    talk.passes(9)
    assert client.state == "open"
    talk.passes(2)
    assert (client.state, backend.state, talk.line["reason"]) == ("aborted", "aborted", "tunnel_timeout")


def test_a_tunnel_counts_as_one_connection(talk: Conversation):
    client, _ = tunnel(talk)
    assert len(talk.runtime.connections) == 1
    client.leaves()
    assert talk.runtime.counts.connections_closed == 1


def test_a_tunnel_outlives_the_deadlines_of_requests(talk: Conversation):
    client, backend = tunnel(talk)
    talk.passes(1000)
    client.sends(b"still there")
    assert (backend.takes(), client.state) == (b"still there", "open")


def test_a_half_closed_tunnel_lasts_as_long_as_it_is_used(start: Start):
    talk = start(half_closed_timeout=10.0, tunnel_idle_timeout=100.0)
    client, backend = tunnel(talk)
    client.ends()
    for _ in range(3):
        talk.passes(8.0)
        backend.sends(b"more")
        assert client.takes() == b"more"
    talk.passes(9.0)
    assert (client.state, backend.state) == ("open", "ended")
    talk.passes(2.0)
    assert (client.state, talk.line["reason"]) == ("aborted", "tunnel_timeout")
