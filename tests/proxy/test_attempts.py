"""Retries of a rule (GEP-1731), also under its timeouts: what the client gets, what backends are asked, and when."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from gatewayd.proxy.attempts import Attempts
from gatewayd.routing.snapshot import Retry, Timeouts
from tests.proxy.conversation import ASKED, GET, OK, Start, limited, message, rule, status

BROKEN = message("HTTP/1.1 500 Internal Server Error", "content-length: 4", body=b"ouch")
BUSY = message("HTTP/1.1 503 Service Unavailable", "content-length: 4", body=b"busy")
WAIT = 0.07  # more than the first wait before a retry


def retried(attempts: int = 2, *codes: int, backoff: float = 0.05, **timeouts: float) -> Any:
    return rule(retry=Retry(attempts, codes, backoff), timeouts=Timeouts(**timeouts) if timeouts else None)


def test_a_listed_status_is_tried_again(start: Start):
    talk = start(retried(2, 500))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    assert backend.takes() == ASKED
    backend.sends(BROKEN)
    assert (client.takes(), backend.takes()) == (b"", b"")
    talk.passes(0.049)
    assert backend.takes() == b"", "at least the configured wait"
    talk.passes(0.02)
    assert backend.takes() == ASKED, "the connection that answered is used again"
    backend.sends(OK)
    assert client.takes() == OK
    assert (talk.line["status"], talk.runtime.counts.upstream_retries) == (200, 1)
    assert talk.loop.timers == []


def test_the_last_status_is_passed_on(start: Start):
    talk = start(retried(2, 500, 503))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    for answer in (BROKEN, BUSY, BROKEN):
        assert backend.takes() == ASKED
        backend.sends(answer)
        talk.passes(0.2)
    assert client.takes() == BROKEN
    assert talk.line["status"] == 500


def test_another_status_is_passed_on_at_once(start: Start):
    talk = start(retried(2, 500))
    client = talk.client()
    client.sends(GET)
    talk.backend().sends(BUSY)
    assert client.takes() == BUSY


def test_a_response_that_is_thrown_away_in_the_middle_costs_its_connection(start: Start):
    talk = start(retried(2, 500))
    client = talk.client()
    client.sends(GET)
    first = talk.backend()
    first.sends(BROKEN[:-1])
    assert first.state == "aborted"
    talk.passes(WAIT)
    talk.backend().sends(OK)
    assert client.takes() == OK


def test_waits_grow(start: Start):
    talk = start(retried(3, 500, backoff=0.4))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    for least in (0.4, 0.8, 1.6):
        backend.takes()
        backend.sends(BROKEN)
        talk.passes(least - 0.01)
        assert backend.takes() == b""
        talk.passes(least / 4 + 0.02)
        assert backend.takes() == ASKED


def test_a_lost_connection_is_tried_again_and_then_503(start: Start):
    talk = start(retried(2))
    client = talk.client()
    client.sends(GET)
    for _ in range(3):
        talk.backend().leaves()
        talk.passes(0.2)
    assert talk.asks == 0
    assert status(client.takes()) == 503
    assert talk.line["reason"] == "upstream_closed"


def test_a_refused_connection_is_tried_again_and_then_503(start: Start):
    talk = start(retried(2))
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a"))  # nothing was sent: any method
    for _ in range(3):
        talk.refuses()
        talk.passes(0.2)
    assert talk.asks == 0
    assert (status(client.takes()), talk.line["reason"]) == (503, "upstream_refused")


def test_without_a_retry_it_is_still_502(start: Start):
    talk = start(limited(request=5.0))
    client = talk.client()
    client.sends(GET)
    talk.backend().leaves()
    assert status(client.takes()) == 502


def test_what_must_not_be_sent_twice_is_not(start: Start):
    talk = start(retried(2))
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a"))
    talk.backend().leaves()
    assert status(client.takes()) == 503
    assert talk.asks == 0


def test_a_listed_status_is_tried_again_whatever_the_method(start: Start):
    talk = start(retried(2, 503))
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"body"))
    backend = talk.backend()
    asked = message("POST / HTTP/1.1", "host: a", "content-length: 4", body=b"body")
    assert backend.takes() == asked
    backend.sends(BUSY)
    talk.passes(WAIT)
    assert backend.takes() == asked


def test_another_endpoint_is_asked_if_there_is_one(start: Start):
    places = (("10.0.0.1", 80), ("10.0.0.2", 80))
    talk = start(retried(1, 503), endpoints={"shop": places})
    client = talk.client()
    client.sends(GET)
    first = talk.backend()
    first.sends(BUSY)
    talk.passes(WAIT)
    second = talk.backend()
    assert {first.transport.peer, second.transport.peer} == {"10.0.0.1", "10.0.0.2"}
    second.sends(OK)
    assert client.takes() == OK


def test_a_backend_timeout_is_tried_again_and_then_504(start: Start):
    talk = start(retried(2, backend_request=0.2))
    client = talk.client()
    client.sends(GET)
    for _ in range(3):
        backend = talk.backend()
        assert backend.takes() == ASKED
        talk.passes(0.201)
        assert backend.state == "aborted"
        if talk.loop.timers:
            assert client.takes() == b""
            talk.passes(0.13)
    assert (status(client.takes()), talk.line["reason"]) == (504, "backend_timeout")
    assert talk.asks == 0


def test_the_request_timeout_caps_all_attempts(start: Start):
    talk = start(retried(9, 500, request=0.4))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    for _ in range(2):
        talk.passes(0.1)
        backend.sends(BROKEN)
    talk.passes(0.3)
    assert (status(client.takes()), talk.line["reason"]) == (504, "request_timeout")
    assert talk.loop.timers == []


def test_a_connection_that_comes_in_the_wait_serves_the_next_attempt(start: Start):
    talk = start(retried(1, backend_request=0.2))
    client = talk.client()
    client.sends(GET)
    talk.passes(0.201)
    late = talk.backend()
    assert late.takes() == b""
    talk.passes(WAIT)
    assert (late.takes(), talk.asks) == (ASKED, 0)
    late.sends(OK)
    assert client.takes() == OK


def test_a_connect_that_fails_late_is_nobodys_failure(start: Start):
    talk = start(retried(1, backend_request=0.2))
    client = talk.client()
    client.sends(GET)
    talk.passes(0.201)
    talk.passes(WAIT)
    assert talk.asks == 2
    talk.refuses()
    talk.backend().sends(OK)
    assert client.takes() == OK


def test_an_exchange_that_waited_for_a_place_is_not_served_twice(start: Start):
    talk = start(retried(1, backend_request=0.2), upstream_connections=1)
    other, client = talk.client(), talk.client()
    other.sends(GET)
    backend = talk.backend()
    backend.takes()
    talk.passes(0.1)
    client.sends(GET)  # waits
    talk.passes(0.15)  # the first gives up, and its place is the second's
    backend = talk.backend()
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes() == OK
    talk.passes(WAIT)
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert other.takes() == OK


def test_a_body_that_still_comes_goes_along(start: Start):
    talk = start(retried(2, 503))
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 9", body=b"one"))
    backend = talk.backend()
    client.sends(b"two")
    assert backend.takes().endswith(b"onetwo")
    backend.sends(BUSY)
    assert client.held_back(), "nothing to send it to"
    client.sends(b"end")
    talk.passes(WAIT)
    again = talk.backend()
    assert again.takes() == message("PUT / HTTP/1.1", "host: a", "content-length: 9", body=b"onetwo") + b"end"
    assert not client.held_back()
    again.sends(OK)
    assert client.takes() == OK


@pytest.mark.parametrize("size", [65536, 65537])
def test_a_long_body_is_not_kept(start: Start, size: int):
    talk = start(retried(2, 503))
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", f"Content-Length: {size}", body=b"x"))
    backend = talk.backend()
    client.sends(b"x" * (size - 1))
    backend.sends(BUSY)
    talk.passes(WAIT)
    assert client.takes() == (b"" if size == 65536 else BUSY)


def test_chunks_are_sent_again_with_their_trailers(start: Start):
    talk = start(retried(2, 503))
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Trailer: x-sum"))
    backend = talk.backend()
    client.sends(b"3\r\none\r\n")
    client.sends(b"3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n")
    backend.takes()
    backend.sends(BUSY)
    talk.passes(WAIT)
    assert backend.takes().endswith(b"\r\n\r\n6\r\nonetwo\r\n0\r\nx-sum: 6\r\n\r\n")


def test_nothing_is_tried_again_once_the_response_began(start: Start):
    talk = start(retried(2, 500))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(OK[:-1])
    backend.leaves()
    assert status(client.takes()) == 200
    assert (client.state, talk.asks, talk.loop.timers) == ("aborted", 0, [])


def test_a_client_that_leaves_in_the_wait_ends_it(start: Start):
    talk = start(retried(1, 503))
    client = talk.client()
    client.sends(GET)
    talk.backend().sends(BUSY)
    client.leaves()
    assert talk.loop.timers == []
    (endpoint,) = talk.runtime.backends["shop"].endpoints
    assert endpoint.active == 0
    assert talk.line["reason"] == "client_closed"


def test_the_collector_has_nothing_to_do(start: Start):
    talk = start(retried(2, 500, backend_request=1.0, request=5.0))
    gc.collect()
    gc.disable()
    try:
        client = talk.client()
        client.sends(GET)
        backend = talk.backend()
        backend.sends(BROKEN)
        talk.passes(WAIT)
        backend.sends(OK)
        assert client.takes() == OK
        assert [each for each in gc.get_objects() if isinstance(each, Attempts)] == []
    finally:
        gc.enable()
