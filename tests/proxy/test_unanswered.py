"""Endpoints that take requests and do not answer: what is held against them, and what the clients notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gatewayd.routing.snapshot import Timeouts
from gatewayd.upstream.backend import UNANSWERED
from gatewayd.upstream.endpoint import Endpoint
from tests.proxy.conversation import GET, OK, Backend, Conversation, Start, message, rule

PAIR = {"shop": (("10.0.0.1", 80), ("10.0.0.2", 80))}
LAST = message("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close", body=b"ok")
UPGRADE = message("GET / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: websocket")
SWITCHED = message("HTTP/1.1 101 Switching", "Connection: upgrade", "Upgrade: websocket")


def pair(start: Start, *rules: Any, **settings: Any) -> tuple[Conversation, Endpoint]:
    """A gateway whose backend has two endpoints, of which the first is picked (the second is busy)."""
    talk = start(*rules, endpoints=PAIR, **settings)
    one, other = talk.runtime.backends["shop"].endpoints
    other.active = 1000
    return talk, one


def asked(talk: Conversation, request: bytes = GET) -> Backend:
    """A request of a new client, at a new connection to the backend."""
    talk.client().sends(request)
    return talk.backend()


def left_out(talk: Conversation, endpoint: Endpoint) -> bool:
    return endpoint not in talk.runtime.backends["shop"].live


def silent(talk: Conversation) -> None:
    """No answer in time."""
    asked(talk)
    talk.passes(2.25)


def half(talk: Conversation) -> None:
    """Half a head, then the end."""
    backend = asked(talk)
    backend.sends(OK[:20])
    backend.ends()


def closed(talk: Conversation) -> None:
    """A new connection that is closed (what must not be sent twice)."""
    asked(talk, message("POST / HTTP/1.1", "Host: a", "Content-Length: 0")).leaves()


@pytest.mark.parametrize("fails", [silent, half, closed])
def test_after_some_in_a_row_the_endpoint_is_left_out(start: Start, fails: Callable[[Conversation], None]):
    talk, endpoint = pair(start, first_byte_timeout=2.0)
    for number in range(UNANSWERED):
        assert not left_out(talk, endpoint), number
        fails(talk)
    assert left_out(talk, endpoint)
    assert talk.runtime.counts.upstream_ejections == 1
    backend = asked(talk)
    assert backend.transport.peer == "10.0.0.2"
    backend.sends(OK)
    assert talk.line["status"] == 200


def test_a_rules_own_timeout_counts(start: Start):
    talk, endpoint = pair(start, rule(timeouts=Timeouts(backend_request=0.5)))
    for _ in range(UNANSWERED):
        asked(talk)
        talk.passes(0.6)
    assert left_out(talk, endpoint)


@pytest.mark.parametrize("limit", ["request", "backend_request"])
def test_the_time_that_a_client_takes_to_send_does_not(start: Start, limit: str):
    talk, endpoint = pair(start, rule(timeouts=Timeouts(**{limit: 0.5})))
    for _ in range(2 * UNANSWERED):
        asked(talk, message("POST / HTTP/1.1", "Host: a", "Content-Length: 9", body=b"half"))
        talk.passes(0.6)
        assert talk.line["status"] == 504
    assert endpoint.unanswered == 0


def test_a_response_that_is_cut_does_not(start: Start):
    talk, endpoint = pair(start)
    for _ in range(2 * UNANSWERED):
        backend = asked(talk)
        backend.sends(OK[:-1])
        backend.leaves()
        assert talk.line["reason"] == "upstream_cut_body"
    assert endpoint.unanswered == 0


def test_a_kept_connection_that_died_does_not(start: Start):
    talk, endpoint = pair(start)
    client, backend = talk.client(), None
    for _ in range(2 * UNANSWERED):
        client.sends(GET)
        backend = talk.backend()
        backend.sends(OK)
        client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 0"))
        backend.leaves()
        assert talk.line["reason"] == "upstream_closed"
        assert endpoint.unanswered == 0


@pytest.mark.parametrize(("request_", "response"), [(GET, LAST), (UPGRADE, SWITCHED)])
def test_an_answer_clears_it(start: Start, request_: bytes, response: bytes):
    talk, endpoint = pair(start)
    for _ in range(3):
        for _ in range(UNANSWERED - 1):
            half(talk)
        assert endpoint.unanswered == UNANSWERED - 1
        asked(talk, request_).sends(response)
        assert endpoint.unanswered == 0
    assert not left_out(talk, endpoint)


def test_one_request_probes_it_and_its_answer_brings_it_back(start: Start):
    talk, endpoint = pair(start)
    for _ in range(UNANSWERED):
        half(talk)
    talk.passes(2)
    assert not left_out(talk, endpoint)
    probe = asked(talk)
    assert probe.transport.peer == "10.0.0.1"
    assert asked(talk).transport.peer == "10.0.0.2"
    probe.sends(OK)
    assert not left_out(talk, endpoint)
    assert endpoint.ejected_until == 0.0
