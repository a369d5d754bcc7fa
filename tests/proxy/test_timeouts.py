"""Timeouts of a rule: for the whole exchange, and for one attempt at a backend (GEP-1742)."""

from __future__ import annotations

import pytest

from tests.proxy.conversation import ASKED, GET, OK, Start, limited, message, status

LIMITS = [({"request": 0.5}, "request_timeout"), ({"backend_request": 0.5}, "backend_timeout")]


@pytest.mark.parametrize(("limits", "reason"), LIMITS)
def test_no_answer_in_time_is_504(start: Start, limits: dict[str, float], reason: str):
    talk = start(limited(**limits))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    talk.passes(0.49)
    assert client.takes() == b""
    talk.passes(0.02)
    assert status(client.takes()) == 504
    assert (talk.line["reason"], backend.state, client.state) == (reason, "aborted", "open")
    client.sends(GET)  # the connection serves on
    talk.backend().sends(OK)
    assert client.takes() == OK


@pytest.mark.parametrize(("limits", "reason"), LIMITS)
def test_a_connect_counts_as_well(start: Start, limits: dict[str, float], reason: str):
    talk = start(limited(**limits))
    client = talk.client()
    client.sends(GET)
    talk.passes(0.51)
    assert status(client.takes()) == 504
    late = talk.backend()
    assert (late.takes(), late.state) == (b"", "open")  # a connection that came too late is pooled
    client.sends(GET)
    assert late.takes() == ASKED


@pytest.mark.parametrize(("limits", "reason"), LIMITS)
def test_a_response_that_has_begun_is_cut(start: Start, limits: dict[str, float], reason: str):
    talk = start(limited(**limits))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(OK[:-1])
    assert status(client.takes()) == 200
    talk.passes(0.51)
    assert (client.takes(), client.state, backend.state) == (b"", "aborted", "aborted")
    assert (talk.line["status"], talk.line["reason"]) == (200, reason)


@pytest.mark.parametrize(("limits", "reason"), LIMITS)
def test_an_answer_in_time_leaves_no_timer(start: Start, limits: dict[str, float], reason: str):
    talk = start(limited(**limits))
    client, backend = talk.exchange()
    assert talk.loop.timers == []
    client.sends(GET)
    backend.sends(OK)
    talk.passes(2)
    assert (client.takes(), client.state) == (OK, "open")


def test_no_limit_is_none(start: Start):
    talk = start(limited(request=0.0, backend_request=0.0))
    client = talk.client()
    client.sends(GET)
    talk.passes(2)
    assert talk.loop.timers == []
    talk.backend().sends(OK)
    assert client.takes() == OK


def test_a_client_that_leaves_takes_its_timer_along(start: Start):
    talk = start(limited(request=0.5))
    client = talk.client()
    client.sends(GET)
    client.leaves()
    assert talk.loop.timers == []


def test_a_slow_upload_is_within_the_request_timeout(start: Start):
    talk = start(limited(request=0.5))
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 10", body=b"12345"))
    backend = talk.backend()
    talk.passes(0.51)
    assert status(client.takes()) == 504
    assert (backend.state, talk.line["reason"]) == ("aborted", "request_timeout")


def test_a_tunnel_is_not_cut(start: Start):
    talk = start(limited(request=0.5, backend_request=0.5))
    client = talk.client()
    upgrade = ("Connection: upgrade", "Upgrade: websocket")
    client.sends(message("GET / HTTP/1.1", "Host: a", *upgrade))
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 101 Switching Protocols", *upgrade))
    talk.passes(2)
    client.takes()
    backend.sends(b"still here")
    assert client.takes() == b"still here"
