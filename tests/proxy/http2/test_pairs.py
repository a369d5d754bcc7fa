"""The four pairings of versions, with h11 and h2 at both ends: heads, bodies, trailers, interim responses, the log."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from gatewayd.proxy.exchange import Exchange
from gatewayd.proxy.http2.request import RequestStream
from gatewayd.proxy.http2.response import ResponseStream
from tests.proxy.conversation import Start
from tests.proxy.pairs import PAIRS, Pair, nothing_is_left
from tests.proxy.peers import PROTOCOLS


@pytest.fixture(params=PAIRS, ids="-".join)
def pair(request: pytest.FixtureRequest, start: Start) -> Iterator[Pair]:
    client, backend = request.param
    found = Pair(start(protocol=PROTOCOLS[backend]), client, backend)
    yield found
    nothing_is_left(found.talk)


def test_a_request_without_a_body(pair: Pair) -> None:
    pair.asks("GET", "/a?b=c", ("x-one", "1"), ("cookie", "a=b"))
    request = pair.request()
    assert (request.start, request.ended, request.body) == ((b"GET", b"/a?b=c", b"a"), True, b"")
    assert (request.fields[b"x-one"], request.fields[b"cookie"]) == (b"1", b"a=b")
    assert request.fields[b"x-forwarded-for"] == b"192.0.2.1"
    assert b"content-length" not in request.fields
    pair.backend.answers(1, 200, ("content-length", "2"), ("x-two", "2"), end=False)
    pair.backend.sends(1, b"ok", end=True)
    response = pair.response()
    assert (response.status, response.body, response.ended) == (200, b"ok", True)
    assert (response.fields[b"content-length"], response.fields[b"x-two"]) == (b"2", b"2")
    line = pair.talk.line
    assert (line["method"], line["path"], line["status"]) == ("GET", "/a?b=c", 200)
    assert (line["bytes_in"], line["bytes_out"], line["reason"]) == (0, 2, "")


def test_bodies_with_a_length(pair: Pair) -> None:
    pair.asks("POST", "/", ("content-length", "10"), end=False)
    pair.client.sends(1, b"01234")
    pair.client.sends(1, b"56789", end=True)
    request = pair.request()
    assert (request.body, request.ended, request.fields[b"content-length"]) == (b"0123456789", True, b"10")
    pair.backend.answers(1, 200, ("content-length", "4"), end=False)
    pair.backend.sends(1, b"ab")
    pair.backend.sends(1, b"cd", end=True)
    assert (pair.response().body, pair.response().ended) == (b"abcd", True)
    assert (pair.talk.line["bytes_in"], pair.talk.line["bytes_out"]) == (10, 4)


def test_bodies_of_unknown_length_with_trailers(pair: Pair) -> None:
    pair.asks("POST", "/", ("te", "trailers"), ("trailer", "x-sum"), end=False)
    pair.client.sends(1, b"some")
    pair.client.trails(1, [(b"x-sum", b"7")])
    request = pair.request()
    assert (request.body, request.ended, request.trailers) == (b"some", True, {b"x-sum": b"7"})
    assert (request.fields[b"te"], request.fields[b"trailer"]) == (b"trailers", b"x-sum")
    framing = () if type(pair.backend).__name__ == "Backend2" else (("transfer-encoding", "chunked"),)
    pair.backend.answers(1, 200, ("trailer", "x-end"), *framing, end=False)
    pair.backend.sends(1, b"body")
    pair.backend.trails(1, [(b"x-end", b"8")])
    response = pair.response()
    assert (response.body, response.ended, response.trailers) == (b"body", True, {b"x-end": b"8"})
    assert response.fields[b"trailer"] == b"x-end"


def test_large_bodies_stream_through_the_windows(pair: Pair) -> None:
    data = bytes(range(256)) * 4096
    pair.asks("POST", "/", ("content-length", str(len(data))), end=False)
    for at in range(0, len(data), 16384):
        pair.client.sends(1, data[at : at + 16384], end=at + 16384 == len(data))
        pair.settle()
    assert pair.request().body == data
    pair.backend.answers(1, 200, ("content-length", str(len(data))), end=False)
    for at in range(0, len(data), 16384):
        pair.backend.sends(1, data[at : at + 16384], end=at + 16384 == len(data))
        pair.settle()
    assert pair.response().body == data
    assert (pair.talk.line["bytes_in"], pair.talk.line["bytes_out"]) == (len(data), len(data))


@pytest.mark.parametrize("status", [204, 304])
def test_responses_that_have_no_body(pair: Pair, status: int) -> None:
    pair.asks()
    pair.request()
    pair.backend.answers(1, status)
    response = pair.response()
    assert (response.status, response.body, response.ended) == (status, b"", True)
    assert b"content-length" not in response.fields


def test_head_has_the_length_of_get(pair: Pair) -> None:
    pair.asks("HEAD")
    pair.request()
    pair.backend.answers(1, 200, ("content-length", "7"))
    response = pair.response()
    assert (response.fields[b"content-length"], response.body, response.ended) == (b"7", b"", True)
    assert pair.talk.line["bytes_out"] == 0


def test_an_empty_response(pair: Pair) -> None:
    pair.asks()
    pair.request()
    pair.backend.answers(1, 200, ("content-length", "0"))
    response = pair.response()
    assert (response.fields[b"content-length"], response.body, response.ended) == (b"0", b"", True)


def test_expect_100_continue(pair: Pair) -> None:
    pair.asks("PUT", "/", ("content-length", "2"), ("expect", "100-continue"), end=False)
    request = pair.request()
    assert request.fields[b"expect"] == b"100-continue"
    if type(pair.backend).__name__ == "Backend2":
        pair.backend.answers(1, 100, end=False)
    else:
        pair.backend.peer.sends(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert pair.response().interim == [100]
    pair.client.sends(1, b"ok", end=True)
    assert pair.request().body == b"ok"
    pair.backend.answers(1, 200, ("content-length", "0"))
    assert (pair.response().status, pair.response().ended) == (200, True)


def test_early_hints(pair: Pair) -> None:
    pair.asks()
    pair.request()
    if type(pair.backend).__name__ == "Backend2":
        pair.backend.answers(1, 103, ("link", "</a>"), end=False)
    else:
        pair.backend.peer.sends(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    assert pair.response().interim == [103]
    pair.backend.answers(1, 200, ("content-length", "0"))
    assert (pair.response().status, pair.response().ended) == (200, True)


def test_a_client_that_leaves_is_told_to_the_backend(pair: Pair) -> None:
    pair.asks("POST", "/", ("content-length", "10"), end=False)
    pair.request()
    pair.client.peer.leaves()
    pair.backend.settle()
    if type(pair.backend).__name__ == "Backend2":
        assert (pair.backend.messages[1].reset, pair.backend.peer.state) == (8, "open")
    else:
        assert pair.backend.peer.state == "aborted"
    assert (pair.talk.line["reason"], pair.talk.line["status"]) == ("client_closed", 0)


def test_a_backend_that_leaves_before_the_head_is_502(pair: Pair) -> None:
    pair.asks("POST", "/", ("content-length", "0"))
    pair.request()
    pair.backend.peer.leaves()
    pair.client.settle()
    response = pair.client.messages[1]
    assert (response.status, response.ended, pair.talk.line["reason"]) == (502, True, "upstream_closed")


def test_a_backend_that_leaves_later_cuts_the_response(pair: Pair) -> None:
    pair.asks()
    pair.request()
    pair.backend.answers(1, 200, ("content-length", "10"), end=False)
    pair.backend.sends(1, b"12345")
    pair.settle()
    pair.backend.peer.leaves()
    pair.client.settle()
    response = pair.client.messages[1]
    assert (response.body, response.ended) == (b"12345", False)
    assert response.reset == (2 if type(pair.client).__name__ == "Client2" else -1)
    assert pair.talk.line["reason"].startswith("upstream_c")


def test_a_slow_backend_is_504(start: Start) -> None:
    for client, backend in PAIRS:
        pair = Pair(start(protocol=PROTOCOLS[backend], first_byte_timeout=3.0), client, backend)
        pair.asks()
        pair.request()
        pair.talk.passes(3.5)
        pair.client.settle()
        assert (pair.client.messages[1].status, pair.talk.line["reason"]) == (504, "upstream_timeout")
        nothing_is_left(pair.talk)


def test_a_silent_backend_cuts_the_response(start: Start) -> None:
    for client, backend in PAIRS:
        pair = Pair(start(protocol=PROTOCOLS[backend], stream_idle_timeout=3.0), client, backend)
        pair.asks()
        pair.request()
        pair.backend.answers(1, 200, ("content-length", "10"), end=False)
        pair.settle()
        pair.talk.passes(3.5)
        pair.client.settle()
        assert (pair.client.messages[1].ended, pair.talk.line["reason"]) == (False, "upstream_timeout")
        nothing_is_left(pair.talk)


def test_a_silent_upload_is_408(start: Start) -> None:
    for client, backend in PAIRS:
        pair = Pair(start(protocol=PROTOCOLS[backend], body_read_timeout=3.0), client, backend)
        pair.asks("POST", "/", ("content-length", "10"), end=False)
        pair.client.sends(1, b"12")
        pair.settle()
        pair.talk.passes(3.5)
        pair.client.settle()
        assert (pair.client.messages[1].status, pair.talk.line["reason"]) == (408, "body_timeout")
        nothing_is_left(pair.talk)


def test_connections_are_used_again(pair: Pair) -> None:
    for turn in range(3):
        stream = 1 + 2 * turn
        pair.asks()
        number = stream if type(pair.backend).__name__ == "Backend2" else 1
        request = pair.request(number)
        assert request.ended
        if number == 1:
            request.ended = False
        pair.backend.answers(number, 200, ("content-length", "0"))
        assert pair.response(stream).ended
        if type(pair.backend).__name__ == "Backend1":
            pair.backend.h11.start_next_cycle()
    assert len(pair.talk.peers) == 2


def test_the_collector_has_nothing_to_do(start: Start) -> None:
    kinds = (Exchange, RequestStream, ResponseStream)
    for client, backend in PAIRS:
        pair = Pair(start(protocol=PROTOCOLS[backend]), client, backend)
        gc.collect()
        gc.disable()
        try:
            for ended in (True, False):
                stream = pair.asks("POST", "/", ("content-length", "2"), end=False)
                pair.client.sends(stream, b"ok", end=True)
                pair.settle()
                if not ended:
                    pair.client.peer.leaves()
                    break
                pair.backend.answers(1, 200, ("content-length", "0"))
                pair.settle()
                if backend == "h1":
                    pair.backend.h11.start_next_cycle()
            left = [each for each in gc.get_objects() if isinstance(each, kinds)]
            assert [type(each).__name__ for each in left] == []
        finally:
            gc.enable()
        nothing_is_left(pair.talk)
