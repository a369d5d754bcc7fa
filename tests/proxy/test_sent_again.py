"""Requests that are sent once more because a connection was lost or refused, and those that must not be."""

from __future__ import annotations

import pytest

from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, put

TWO = {"shop": (("10.0.0.1", 80), ("10.0.0.2", 80))}


@pytest.mark.parametrize("leaves", ["leaves", "ends"])
def test_a_dead_pooled_connection_is_retried_on_a_new_one(talk: Conversation, leaves: str):
    client, pooled = talk.exchange()
    client.sends(GET)
    getattr(pooled, leaves)()
    assert client.takes() == b""
    fresh = talk.backend()
    assert fresh.takes() == ASKED
    fresh.sends(OK)
    assert (client.takes(), client.state) == (OK, "open")
    assert talk.runtime.counts.upstream_retries == 1


def test_the_retry_takes_no_other_pooled_connection(talk: Conversation):
    """When a backend restarts, all of its connections are dead: the retry must not find the next of them."""
    first, second = talk.client(), talk.client()
    first.sends(GET)
    second.sends(GET)
    pool = [talk.backend(), talk.backend()]
    for backend in pool:
        backend.takes()
        backend.sends(OK)
    first.takes()
    first.sends(GET)
    (asked,) = [backend for backend in pool if backend.takes()]
    asked.ends()
    assert [backend.takes() for backend in pool] == [b"", b""]
    talk.backend().sends(OK)
    assert first.takes() == OK


def test_it_is_retried_once(talk: Conversation):
    client, pooled = talk.exchange()
    client.sends(GET)
    pooled.ends()
    talk.backend().ends()
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert talk.asks == 0


@pytest.mark.parametrize(
    "request_",
    [
        message("POST / HTTP/1.1", "Host: a", "Content-Length: 0"),
        message("PATCH / HTTP/1.1", "Host: a"),
    ],
)
def test_what_must_not_happen_twice_is_not_retried(talk: Conversation, request_: bytes):
    client, pooled = talk.exchange()
    client.sends(request_)
    pooled.ends()
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert talk.asks == 0


def test_a_body_at_hand_is_sent_again(talk: Conversation):
    client, pooled = talk.exchange()
    client.sends(put(2, b"ab"))
    sent = pooled.takes()
    pooled.ends()
    assert talk.backend().takes() == sent


def test_a_body_that_streamed_is_not(talk: Conversation):
    client, pooled = talk.exchange()
    client.sends(put(2, b"a"))
    client.sends(b"b")
    pooled.ends()
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert talk.asks == 0


@pytest.mark.parametrize("part", [b"HTTP/1.1 ", message("HTTP/1.1 103 Early Hints")])
def test_what_was_answered_in_part_is_not_retried(talk: Conversation, part: bytes):
    client, pooled = talk.exchange()
    client.sends(GET)
    pooled.sends(part)
    pooled.ends()
    assert b"HTTP/1.1 502 " in client.takes()
    assert talk.asks == 0


def test_retries_have_a_budget(talk: Conversation):
    client, pooled = talk.exchange()
    while talk.runtime.backends["shop"].may_retry(talk.clock.now):
        pass
    client.sends(GET)
    pooled.ends()
    assert client.takes().startswith(b"HTTP/1.1 502 ")


def test_a_pooled_connection_that_ended_is_taken_by_nobody(talk: Conversation):
    """Between the backend's end and the close of the transport lies a turn of the loop, full of other events."""
    client, pooled = talk.exchange()
    assert not pooled.transport.protocol.eof_received()
    client.transport.protocol.data_received(message("POST / HTTP/1.1", "Host: a", "Content-Length: 0"))
    assert pooled.takes() == b""
    assert talk.asks == 1


def test_spare_bytes_on_a_pooled_connection_end_it(talk: Conversation):
    client, pooled = talk.exchange()
    pooled.transport.protocol.data_received(OK)
    client.transport.protocol.data_received(GET)
    assert (pooled.takes(), talk.asks) == (b"", 1)
    talk.settle()
    assert pooled.state == "aborted"


def test_a_refused_connection_is_retried_on_another_endpoint(start: Start):
    talk = start(endpoints=TWO)
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"ab"))
    refused = talk.refuses()
    backend = talk.backend()
    assert backend.transport.peer != refused
    assert backend.takes().endswith(b"\r\n\r\nab")
    backend.sends(OK)
    assert client.takes() == OK
    assert talk.line["backend"] == f"{backend.transport.peer}:80"


def test_a_body_goes_on_after_a_refused_connection(start: Start):
    """Even where the other endpoint has a connection at once."""
    talk = start(endpoints=TWO)
    first, second = talk.runtime.backends["shop"].endpoints
    client = talk.client()
    client.sends(GET)
    pooled = talk.backend()
    pooled.takes()
    pooled.sends(OK)
    other = first if pooled.transport.peer == second.host else second
    other.active = -1  # the less busy one, so the next to be chosen
    client.sends(put(4, b"ab"))
    assert client.held_back()
    assert talk.refuses() == other.host
    backend = talk.backend() if talk.asks else pooled
    assert not client.held_back()
    client.sends(b"cd")
    assert backend.takes().endswith(b"\r\n\r\nabcd")


def test_when_all_refuse_there_is_no_service(start: Start):
    talk = start(endpoints=TWO)
    client = talk.client()
    client.sends(GET)
    assert {talk.refuses(), talk.refuses()} == {"10.0.0.1", "10.0.0.2"}
    assert client.takes().startswith(b"HTTP/1.1 503 ")
    assert (talk.asks, talk.line["reason"]) == (0, "upstream_refused")
    assert [endpoint.active for endpoint in talk.runtime.backends["shop"].endpoints] == [0, 0]


def test_a_backend_that_refused_for_long_is_still_asked(talk: Conversation):
    client = talk.client()
    for _ in range(1100):
        client.sends(GET)
        talk.refuses()
        assert client.takes().startswith(b"HTTP/1.1 503 ")


def test_a_connection_handed_over_is_a_pooled_one(start: Start):
    """Its backend may have closed it meanwhile, so the request is sent again."""
    talk = start(upstream_connections=1)
    first, second = talk.client(), talk.client()
    first.sends(GET)
    backend = talk.backend()
    second.sends(GET)
    backend.sends(OK)
    backend.ends()
    talk.backend().sends(OK)
    assert second.takes() == OK


def test_an_endpoint_that_refused_is_left_out(start: Start):
    talk = start(endpoints=TWO)
    client = talk.client()
    client.sends(GET)
    refused = talk.refuses()
    talk.backend()
    assert [endpoint.host for endpoint in talk.runtime.backends["shop"].live] == [
        address for address in ("10.0.0.1", "10.0.0.2") if address != refused
    ]
