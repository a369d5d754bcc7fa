"""HTTP/2 from clients: streams, early answers, deadlines, drain (RFC 9113), with h2 as the client."""

from __future__ import annotations

from itertools import accumulate, pairwise

import h2.settings
import pytest
from h2.connection import H2Connection
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire import frames
from tests.frames import cut
from tests.proxy.conversation import OK, Conversation, Start, message
from tests.proxy.fakes import Clock
from tests.proxy.http2.octets import (
    INTERNAL_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    WINDOW,
    ask,
    goaways,
    response,
)
from tests.proxy.pairs import nothing_is_left
from tests.proxy.peers import Backend1, Client2

# -- streams -----------------------------------------------------------------------------------------------------------


def test_streams_are_answered_in_the_order_of_the_backends(talk: Conversation) -> None:
    client = Client2(talk)
    first, second = client.asks("GET", "/1"), client.asks("GET", "/2")
    one, two = talk.backend(), talk.backend()
    assert (one.takes()[:6], two.takes()[:6]) == (b"GET /1", b"GET /2")
    two.sends(response(3))
    client.settle()
    assert (second in client.messages, first in client.messages) == (True, False)
    one.sends(OK)
    client.settle()
    assert [(m.status, m.body, m.ended) for m in client.messages.values()] == [(200, b"xxx", True), (200, b"ok", True)]
    nothing_is_left(talk)


def test_a_short_body_leaves_in_one_piece_with_the_head(talk: Conversation) -> None:
    client = Client2(talk)
    client.h2.send_headers(
        1, [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/"), ("content-length", "2")]
    )
    client.h2.send_data(1, b"hi", end_stream=True)
    client.flush()
    assert talk.backend().takes() == message("POST / HTTP/1.1", "host: a", "content-length: 2", body=b"hi")


def test_crumbs_of_a_cookie_are_joined(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("GET", "/", ("cookie", "a=1"), ("cookie", "b=2"))
    assert b"\r\ncookie: a=1; b=2" in talk.backend().takes()


def test_a_head_over_the_limit_is_431_and_the_connection_goes_on(start: Start) -> None:
    talk = start(head_bytes=2000)
    client = Client2(talk)
    client.asks("GET", "/", ("x-large", "y" * 3000))
    assert (client.messages[1].status, client.messages[1].ended) == (431, True)
    assert talk.line["reason"] == "head_too_large"
    client.asks()
    talk.backend().sends(OK)
    client.settle()
    assert client.messages[3].status == 200
    nothing_is_left(talk)


@pytest.mark.parametrize("size", [70_000, 100_000])
def test_a_head_far_over_the_limit_is_431_and_other_streams_go_on(talk: Conversation, size: int) -> None:
    """It comes in continuations; a call with too much metadata must not end those beside it."""
    client = Client2(talk)
    client.asks("POST", "/", end=False)
    backend = talk.backend()
    client.asks("GET", "/", ("x-large", "y" * size))
    assert client.messages[3].status == 431
    client.sends(1, b"more", end=True)
    backend.sends(OK)
    client.settle()
    assert client.messages[1].status == 200
    nothing_is_left(talk)


def test_a_larger_limit_is_told_and_kept(start: Start) -> None:
    talk = start(head_bytes=262_144)
    client = Client2(talk)
    assert client.h2.remote_settings.max_header_list_size == 262_144
    client.asks("GET", "/", ("x-large", "y" * 250_000))
    assert b"y" * 250_000 in talk.backend().takes()


def test_trailers_wait_for_the_window_and_are_coded_in_their_turn(talk: Conversation) -> None:
    """Codes of HPACK depend on their order: what is sent later must be coded later."""
    client = Client2(talk, credit=False, settings={WINDOW: 10})
    client.asks("GET", "/1", ("te", "trailers"))
    client.asks("GET", "/2")
    one, two = talk.backend(), talk.backend()
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n14\r\n" + b"x" * 20
    one.sends(chunked + b"\r\n0\r\ngrpc-status: 0\r\nvary: first\r\n\r\n")
    two.sends(message("HTTP/1.1 200 OK", "content-length: 2", "server: second", "vary: other", body=b"ok"))
    client.settle()
    assert (client.messages[3].fields[b"server"], client.messages[1].ended) == (b"second", False)
    client.h2.increment_flow_control_window(100, 1)
    client.flush()
    assert client.messages[1].body == b"x" * 20
    assert client.messages[1].trailers == {b"grpc-status": b"0", b"vary": b"first"}
    nothing_is_left(talk)


def test_an_early_answer_asks_the_client_to_stop(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("POST", "/", ("content-length", "100000"), end=False)
    backend = talk.backend()
    client.sends(1, b"x" * 1000)
    backend.sends(message("HTTP/1.1 413 Too Large", "content-length: 0"))
    client.settle()
    answer = client.messages[1]
    assert (answer.status, answer.ended, answer.reset) == (413, True, NO_ERROR)
    # what was on its way is ignored, trailers too
    for _ in range(20):
        client.sends_raw(frames.data(1, b"y" * 1000, False))
    client.sends_raw(frames.headers(1, b"", True))
    assert (client.goaway, client.peer.state) == (None, "open")
    client.asks()
    talk.backend().sends(OK)
    client.settle()
    assert client.messages[3].ended
    nothing_is_left(talk)


@pytest.mark.parametrize(("sent", "end"), [(b"123", True), (b"12345", False), (b"12345", True)])
def test_a_body_that_differs_from_its_length_is_reset(talk: Conversation, sent: bytes, end: bool) -> None:
    client = Client2(talk)
    client.asks("POST", "/", ("content-length", "4"), end=False)
    backend = talk.backend()
    client.sends_raw(frames.data(1, sent, end))
    assert client.messages[1].reset == PROTOCOL_ERROR
    assert (backend.state, client.peer.state) == ("aborted", "open")
    assert talk.line["reason"] == "content_length_differs"
    nothing_is_left(talk)


def test_a_client_that_gives_up_a_stream_cancels_it_at_the_backend(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks()
    backend = talk.backend()
    client.resets(1)
    assert (backend.state, client.peer.state, talk.line["reason"]) == ("aborted", "open", "client_reset")
    nothing_is_left(talk)


def test_a_client_that_gives_up_while_the_connection_is_made(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks()
    client.resets(1)
    assert talk.line["reason"] == "client_reset"
    backend = talk.backend()
    assert (backend.takes(), backend.state) == (b"", "open")
    nothing_is_left(talk)


def test_a_cut_response_resets_its_stream_alone(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("GET", "/1")
    client.asks("GET", "/2")
    one, two = talk.backend(), talk.backend()
    one.sends(response(10)[:-5])
    one.ends()
    two.sends(OK)
    client.settle()
    assert (client.messages[1].reset, client.messages[1].body) == (INTERNAL_ERROR, b"xxxxx")
    assert (client.messages[3].body, client.messages[3].ended) == (b"ok", True)
    nothing_is_left(talk)


def test_streams_above_the_limit_are_refused(talk: Conversation) -> None:
    client = Client2(talk)
    for _ in range(100):
        client.asks()
    client.h2.remote_settings[h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    client.h2.remote_settings.acknowledge()
    client.asks()
    assert (client.messages[201].reset, client.goaway) == (REFUSED_STREAM, None)
    assert talk.asks == 100
    nothing_is_left(talk)


# -- time and the end --------------------------------------------------------------------------------------------------


def test_an_idle_connection_is_closed_with_a_word(start: Start) -> None:
    talk = start(idle_timeout=5.0)
    client = Client2(talk)
    client.asks()
    talk.backend().sends(OK)
    client.settle()
    talk.passes(4)
    assert client.peer.state == "open"
    talk.passes(2)
    client.pull()
    assert (client.goaway, client.last_taken, client.peer.state) == (NO_ERROR, 1, "ended")
    talk.passes(3)
    assert client.peer.state == "aborted"
    nothing_is_left(talk)


def test_a_preface_that_does_not_come_in_time(start: Start) -> None:
    talk = start(head_timeout=2.0)
    client = talk.client()
    client.sends(frames.PREFACE[:20])
    talk.passes(2.5)
    assert client.state != "open"
    talk.passes(3)
    nothing_is_left(talk)


def test_a_drain_lets_streams_finish(talk: Conversation) -> None:
    client = talk.client()
    client.sends(frames.PREFACE + frames.settings({}) + ask(1, "/1"))
    backend = talk.backend()
    client.takes()
    talk.runtime.drain()
    talk.settle()
    found = cut(client.takes())
    assert [kind for kind, *_ in found] == [frames.GOAWAY, frames.PING]
    assert goaways(found) == [(2**31 - 1, NO_ERROR)]
    client.sends(ask(3, "/2"))  # it was on its way
    later = talk.backend()
    assert later.takes()[:6] == b"GET /2"
    client.sends(frames.ping_ack(found[1][3]))
    assert goaways(cut(client.takes())) == [(3, NO_ERROR)]
    client.sends(ask(5, "/3") + frames.data(5, b"x", True))  # the client knows that this will not be served
    assert talk.asks == 0
    backend.sends(OK)
    assert client.state == "open"
    later.sends(OK)
    assert client.state == "ended"
    found = cut(client.takes())
    assert [stream for kind, _, stream, _ in found if kind == frames.DATA] == [1, 3]
    nothing_is_left(talk)


def test_a_drain_does_not_wait_for_a_client_that_is_silent(talk: Conversation) -> None:
    client = Client2(talk)
    talk.runtime.drain()
    talk.settle()
    assert client.peer.state == "open"
    talk.passes(1.5)
    assert client.peer.state == "ended"
    nothing_is_left(talk)


def test_an_old_connection_ends_with_its_streams(start: Start) -> None:
    talk = start(connection_lifetime=10.0)
    client = talk.client()
    client.sends(frames.PREFACE + frames.settings({}) + ask(1, "/1"))
    backend = talk.backend()
    backend.sends(OK)
    talk.passes(5)
    assert goaways(cut(client.takes())) == []
    talk.passes(6)
    client.sends(ask(3, "/2"))
    assert goaways(cut(client.takes())) == [(2**31 - 1, NO_ERROR)]
    client.sends(frames.ping_ack(b"gatewayd"))
    backend.sends(OK)
    assert goaways(cut(client.takes())) == [(3, NO_ERROR)]
    assert client.state == "ended"
    nothing_is_left(talk)


@given(cuts=st.lists(st.integers(1, 200), max_size=12))
def test_any_split_of_the_bytes_is_the_same(cuts: list[int]) -> None:
    speaker = H2Connection()
    speaker.initiate_connection()
    pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "a"), (":path", "/")]
    speaker.send_headers(1, [*pseudo, ("content-length", "6")])
    speaker.send_data(1, b"abc")
    speaker.ping(b"12345678")
    speaker.send_data(1, b"def", end_stream=True)
    speaker.send_headers(3, [*pseudo, ("x-a", "b" * 50)], end_stream=True)
    data = speaker.data_to_send()
    talk = Conversation(Clock())
    client = talk.client()
    places = sorted({0, len(data), *(at for at in accumulate(cuts) if at < len(data))})
    for begin, end in pairwise(places):
        client.sends(data[begin:end])
    sent = [talk.backend().takes() for _ in range(talk.asks)]
    assert sent == [
        message("POST / HTTP/1.1", "host: a", "content-length: 6", body=b"abcdef"),
        message("POST / HTTP/1.1", "host: a", "x-a: " + "b" * 50),
    ]
    assert frames.ping_ack(b"12345678") in client.takes()


def test_backend_of_http1_is_kept_for_other_streams(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks()
    backend = Backend1(talk.backend())
    backend.settle()
    backend.answers(1, 200, ("content-length", "0"))
    client.settle()
    client.asks()
    assert talk.asks == 0
    nothing_is_left(talk)
