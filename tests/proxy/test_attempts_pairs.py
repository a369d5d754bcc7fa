"""Timeouts, retries and mirrors in the four pairings of versions, with h11 and h2 at both ends."""

from __future__ import annotations

import pytest

from gatewayd.routing.snapshot import Filters, MirrorPlan, Retry, Timeouts
from tests.proxy.conversation import Start, rule
from tests.proxy.pairs import PAIRS, Pair, nothing_is_left
from tests.proxy.peers import BACKENDS, PROTOCOLS

RETRY = rule(retry=Retry(2, (503,)), timeouts=Timeouts(backend_request=0.5))
pairs = pytest.mark.parametrize(("client", "backend"), PAIRS)


def begun(start: Start, client: str, backend: str) -> Pair:
    return Pair(start(RETRY, protocol=PROTOCOLS[backend]), client, backend)


@pairs
def test_a_listed_status_is_tried_again(start: Start, client: str, backend: str) -> None:
    pair = begun(start, client, backend)
    pair.asks("POST", "/", ("content-length", "4"), end=False)
    pair.client.sends(1, b"body", end=True)
    assert pair.request().body == b"body"
    pair.backend.answers(1, 503, ("content-length", "4"), end=False)
    if backend == "h1":
        pair.backend = BACKENDS["h1"](pair.backend.peer)  # the next request, on a connection of its own
        pair.talk.passes(0.1)
        pair.backend = BACKENDS["h1"](pair.talk.backend())
        stream = 1
    else:
        pair.talk.passes(0.1)  # the stream is given up, and the connection carries the next
        stream = 3
    assert pair.request(stream).body == b"body"
    pair.backend.answers(stream, 200, ("content-length", "2"), end=False)
    pair.backend.sends(stream, b"ok", end=True)
    response = pair.response()
    assert (response.status, response.body, response.ended) == (200, b"ok", True)
    assert pair.talk.loop.timers == []
    nothing_is_left(pair.talk)


@pairs
def test_attempts_that_take_too_long_are_504(start: Start, client: str, backend: str) -> None:
    pair = begun(start, client, backend)
    pair.asks()
    for stream in (1, 3, 5):
        if backend == "h1" and stream > 1:
            pair.backend = BACKENDS["h1"](pair.talk.backend())
        assert pair.request(1 if backend == "h1" else stream).ended
        pair.talk.passes(0.5 + 0.15)
    assert pair.response().status == 504
    assert pair.talk.line["reason"] == "backend_timeout"
    assert pair.talk.loop.timers == []
    nothing_is_left(pair.talk)


@pairs
def test_a_response_that_takes_too_long_is_cut(start: Start, client: str, backend: str) -> None:
    pair = begun(start, client, backend)
    pair.asks()
    pair.request()
    pair.backend.answers(1, 200, ("content-length", "4"), end=False)
    pair.backend.sends(1, b"ab")
    assert pair.response().body == b"ab"
    pair.talk.passes(0.6)
    response = pair.response()
    assert not response.ended
    assert response.reset is not None
    assert pair.talk.line["reason"] == "backend_timeout"
    nothing_is_left(pair.talk)


@pairs
def test_copies_go_to_mirrors(start: Start, client: str, backend: str) -> None:
    places = {"shop": (("10.0.0.1", 80),), "copy": (("10.0.0.2", 80),)}
    mirrored = rule(filters=Filters(mirrors=(MirrorPlan("copy"),)))
    pair = Pair(start(mirrored, endpoints=places, protocol=PROTOCOLS[backend]), client, backend)
    pair.asks("POST", "/", ("content-length", "4"), end=False)
    pair.client.sends(1, b"body", end=True)
    request = pair.request()
    copy = BACKENDS[backend](pair.talk.backend())
    copy.settle()
    found = copy.messages[1]
    assert (found.start, found.fields, found.body, found.ended) == (request.start, request.fields, b"body", True)
    copy.answers(1, 500, ("content-length", "2"), end=False)
    copy.sends(1, b"no", end=True)
    pair.backend.answers(1, 200, ("content-length", "2"), end=False)
    pair.backend.sends(1, b"ok", end=True)
    assert (pair.response().status, pair.response().body) == (200, b"ok")
    nothing_is_left(pair.talk)
