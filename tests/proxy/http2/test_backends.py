"""HTTP/2 to backends: streams that share a connection, limits, resets, GOAWAY, retries; with h2 as the backend."""

from __future__ import annotations

import h2.settings
import pytest

from gatewayd.wire import frames
from tests.frames import cut
from tests.proxy.conversation import GET, Conversation, Start, message
from tests.proxy.pairs import nothing_is_left
from tests.proxy.peers import Backend2, Client2

STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
WINDOW = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL = 1, 2, 7, 8
TWO = {"shop": (("10.0.0.1", 80), ("10.0.0.2", 80))}


@pytest.fixture
def talk(start: Start) -> Conversation:
    return start(protocol="h2c")


def status(client: Client2, stream: int) -> int:
    client.settle()
    return client.messages[stream].status


def paths(backend: Backend2) -> list[bytes]:
    backend.settle()
    return [message.start[1] for message in backend.messages.values()]


# -- sharing -----------------------------------------------------------------------------------------------------------


def test_requests_that_come_while_it_connects_share_the_connection(talk: Conversation) -> None:
    clients = [Client2(talk) for _ in range(3)]
    for number, client in enumerate(clients):
        client.asks("GET", f"/{number}")
    assert talk.asks == 1
    backend = Backend2(talk.backend())
    assert paths(backend) == [b"/0", b"/1", b"/2"]
    for stream in (5, 1, 3):
        backend.answers(stream, 200, ("x-stream", str(stream)))
    assert [(status(client, 1), client.messages[1].fields[b"x-stream"]) for client in clients] == [
        (200, b"1"), (200, b"3"), (200, b"5"),
    ]  # fmt: skip
    nothing_is_left(talk)


@pytest.mark.parametrize(("code", "line"), [(200, b"200 OK"), (413, b"413 Content Too Large"), (799, b"799 ")])
def test_a_client_of_http1_gets_a_phrase(talk: Conversation, code: int, line: bytes) -> None:
    """HTTP/2 has none, and some clients take no response without one."""
    client = talk.client()
    client.sends(GET)
    Backend2(talk.backend()).answers(1, code)
    assert client.takes().startswith(b"HTTP/1.1 " + line + b"\r\n")


def test_no_more_streams_than_the_backend_takes(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("GET", "/0")
    first = Backend2(talk.backend(), settings={STREAMS: 2})
    for number in range(1, 4):
        client.asks("GET", f"/{number}")
    assert (paths(first), talk.asks) == ([b"/0", b"/1"], 1)
    second = Backend2(talk.backend(), settings={STREAMS: 2})
    assert paths(second) == [b"/2", b"/3"]
    first.answers(1)
    client.asks("GET", "/4")
    assert paths(first) == [b"/0", b"/1", b"/4"]
    assert talk.asks == 0
    nothing_is_left(talk)


def test_requests_wait_when_the_connections_are_used_up(start: Start) -> None:
    talk = start(protocol="h2c", upstream_connections=1)
    client = Client2(talk)
    client.asks("GET", "/0")
    backend = Backend2(talk.backend(), settings={STREAMS: 1})
    client.asks("GET", "/1")
    client.asks("GET", "/2")
    assert (paths(backend), talk.asks) == ([b"/0"], 0)
    backend.answers(1)
    assert paths(backend) == [b"/0", b"/1"]
    backend.answers(3)
    assert paths(backend) == [b"/0", b"/1", b"/2"]
    backend.answers(5)
    assert [status(client, stream) for stream in (1, 3, 5)] == [200, 200, 200]
    nothing_is_left(talk)


def test_a_backend_that_raises_its_limit_gets_what_waits(start: Start) -> None:
    talk = start(protocol="h2c", upstream_connections=1)
    client = Client2(talk)
    client.asks("GET", "/0")
    backend = Backend2(talk.backend(), settings={STREAMS: 1})
    for number in range(1, 5):
        client.asks("GET", f"/{number}")
    backend.h2.update_settings({STREAMS: 4})
    backend.flush()
    assert paths(backend) == [b"/0", b"/1", b"/2", b"/3"]
    nothing_is_left(talk)


def test_a_connection_that_is_idle_is_closed(start: Start) -> None:
    talk = start(protocol="h2c", upstream_idle_timeout=5.0)
    client = Client2(talk)
    client.asks()
    backend = Backend2(talk.backend())
    backend.answers(1)
    talk.passes(4)
    assert backend.peer.state == "open"
    talk.passes(2)
    assert backend.peer.state == "closed"
    nothing_is_left(talk)


# -- resets and GOAWAY -------------------------------------------------------------------------------------------------


def test_a_reset_before_the_head_is_502(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks()
    backend = Backend2(talk.backend())
    backend.resets(1, INTERNAL_ERROR)
    assert (status(client, 1), talk.line["reason"]) == (502, "upstream_reset")
    assert (backend.peer.state, talk.asks) == ("open", 0)
    nothing_is_left(talk)


def test_a_reset_after_the_head_is_passed_on(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks()
    backend = Backend2(talk.backend())
    backend.answers(1, 200, ("content-length", "10"), end=False)
    backend.resets(1, CANCEL)
    client.settle()
    assert (client.messages[1].reset, talk.line["reason"]) == (INTERNAL_ERROR, "upstream_reset")
    nothing_is_left(talk)


def test_a_refused_stream_is_asked_again_whatever_the_method(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("POST", "/", ("content-length", "0"))
    Backend2(talk.backend()).resets(1, REFUSED_STREAM)
    again = Backend2(talk.backend())
    again.answers(1)
    assert (status(client, 1), talk.runtime.counts.upstream_retries) == (200, 1)
    nothing_is_left(talk)


def test_a_refused_stream_with_a_long_body_is_not(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("POST", "/", ("content-length", "4"), end=False)
    backend = Backend2(talk.backend())
    client.sends(1, b"ab")
    backend.resets(1, REFUSED_STREAM)
    assert (status(client, 1), talk.asks, talk.line["reason"]) == (502, 0, "upstream_unprocessed")
    nothing_is_left(talk)


def test_goaway_lets_served_streams_finish_and_sends_the_others_again(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("POST", "/1", ("content-length", "0"))
    client.asks("POST", "/2", ("content-length", "0"))
    backend = talk.backend()
    backend.takes_all()
    backend.sends(frames.settings({}) + frames.goaway(1, 0))
    other = Backend2(talk.backend())
    assert paths(other) == [b"/2"]
    backend.sends(frames.headers(1, b"\x88", True))  # :status 200
    assert (status(client, 1), backend.state) == (200, "closed")
    other.answers(1)
    assert status(client, 3) == 200
    nothing_is_left(talk)


def test_after_goaway_no_stream_is_opened(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("GET", "/1")
    backend = talk.backend()
    backend.sends(frames.settings({}) + frames.goaway(2**31 - 1, 0))
    client.asks("GET", "/2")
    assert (talk.asks, backend.state) == (1, "open")
    nothing_is_left(talk)


def test_a_pooled_connection_that_died_is_replaced(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks()
    backend = Backend2(talk.backend())
    backend.answers(1)
    client.asks("GET", "/2")
    client.asks("POST", "/3", ("content-length", "0"))
    backend.peer.leaves()
    again = Backend2(talk.backend())
    assert paths(again) == [b"/2"]
    again.answers(1)
    assert [status(client, stream) for stream in (1, 3, 5)] == [200, 200, 502]
    assert talk.line["reason"] == ""
    nothing_is_left(talk)


def test_a_connection_that_is_refused_is_tried_elsewhere_for_all_that_share_it(start: Start) -> None:
    talk = start(protocol="h2c", endpoints={"shop": (("10.0.0.1", 80),)})
    client = Client2(talk)
    client.asks("GET", "/1")
    client.asks("GET", "/2")
    talk.refuses()
    assert [status(client, stream) for stream in (1, 3)] == [503, 503]
    nothing_is_left(talk)


# -- backends that break the rules -------------------------------------------------------------------------------------

BAD = {
    "http1": (b"HTTP/1.1 400 Bad Request\r\n\r\n", "bad_response_frame_too_large"),
    "no settings": (frames.headers(1, b"\x88", True), "bad_response_no_settings"),
    "hpack": (frames.settings({}) + frames.headers(1, b"\xff\xff\xff\xff\xff\xff", True), "bad_response_compression"),
    "status": (frames.settings({}) + frames.headers(1, b"\x08\x03abc", True), "bad_response_bad_status"),
    "101": (frames.settings({}) + frames.headers(1, b"\x08\x03101", True), "bad_response_bad_status"),
    "connection": (
        frames.settings({}) + frames.headers(1, b"\x88\x00\x0aconnection\x05close", True),
        "bad_response_connection_field",
    ),
    "splitting": (frames.settings({}) + frames.headers(1, b"\x88\x00\x01a\x04b\r\nc", True), "bad_response_bad_value"),
    "body first": (frames.settings({}) + frames.data(1, b"x", False), "bad_response_no_head"),
    "cut body": (
        frames.settings({}) + frames.headers(1, b"\x88\x0f\x0d\x014", True),
        "bad_response_body_cut",
    ),
    "push": (frames.settings({}) + b"\0\0\4\5\4\0\0\0\1\0\0\0\2", "bad_response_push_promise"),
    "large head": (
        frames.settings({}) + frames.headers(1, b"\x88" + b"\x00\x01a\x7f\x81\x7d" + b"b" * 16128, True),
        "bad_response_head_too_large",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_response_that_is_none_is_502(start: Start, name: str) -> None:
    data, reason = BAD[name]
    talk = start(protocol="h2c", head_bytes=8000)
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.takes_all()
    backend.sends(data)
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert talk.line["reason"] == reason
    assert talk.asks == 0
    nothing_is_left(talk)


def test_a_body_that_is_too_long_cuts_the_response(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks()
    backend = Backend2(talk.backend())
    backend.answers(1, 200, ("content-length", "2"), end=False)
    backend.sends_raw(frames.data(1, b"123", True))
    client.settle()
    assert client.messages[1].reset == INTERNAL_ERROR
    assert talk.line["reason"] == "bad_response_content_length_differs"
    nothing_is_left(talk)


def test_what_still_comes_for_streams_that_we_gave_up_is_no_fault(talk: Conversation) -> None:
    client = Client2(talk)
    for stream in range(1, 800, 2):
        client.asks()
        if talk.asks:
            backend = talk.backend()
            backend.sends(frames.settings({}))
        talk.passes(0.25)
        client.resets(stream)
        backend.sends(frames.headers(stream, b"\x88", False) + frames.data(stream, b"x" * 100, True))
    assert backend.state == "open"
    assert not [1 for kind, *_ in cut(backend.takes_all()[24:]) if kind == frames.GOAWAY]
    nothing_is_left(talk)


# -- windows and time --------------------------------------------------------------------------------------------------


def test_a_window_of_the_backend_that_stays_closed(start: Start) -> None:
    talk = start(protocol="h2c", write_timeout=3.0)
    client = Client2(talk)
    client.asks("POST", "/", end=False)
    backend = Backend2(talk.backend(), settings={WINDOW: 10}, credit=False)
    client.sends(1, b"x" * 60_000)
    talk.passes(3.5)
    assert (status(client, 1), talk.line["reason"]) == (504, "upstream_timeout")
    backend.settle()
    assert backend.messages[1].reset == CANCEL
    nothing_is_left(talk)


def test_a_client_that_takes_nothing_holds_back_its_stream_alone(talk: Conversation) -> None:
    slow, quick = Client2(talk, credit=False), Client2(talk)
    slow.asks()
    backend = Backend2(talk.backend())
    quick.asks()
    backend.answers(1, 200, end=False)
    backend.answers(3, 200, end=False)
    with pytest.raises(AssertionError, match="window is closed"):
        backend.sends(1, b"x" * 1_000_000)
    backend.sends(3, b"y" * 60_000)
    quick.settle()
    backend.sends(3, b"y" * 60_000, end=True)
    quick.settle()
    assert (len(quick.messages[1].body), quick.messages[1].ended) == (120_000, True)
    kept = sum(len(stream.queue) for one in talk.runtime.connections for stream in one.streams.values())
    assert kept <= 131_072 + 1000
    nothing_is_left(talk)


def test_a_backend_that_reads_nothing_gets_no_further_streams(start: Start) -> None:
    talk = start(protocol="h2c", write_timeout=3.0)
    client = Client2(talk)
    client.asks("POST", "/1", end=False)
    backend = talk.backend()
    backend.sends(frames.settings({frames.INITIAL_WINDOW_SIZE: 10_000_000}) + frames.window_update(0, 10_000_000))
    backend.transport.high = 1000
    backend.stalls()
    client.sends(1, b"x" * 30_000)
    client.asks("GET", "/2")
    assert talk.asks == 1
    talk.passes(4)
    assert backend.state == "aborted"
    assert status(client, 1) == 502
    nothing_is_left(talk)


def test_an_idle_call_of_grpc_may_last(start: Start) -> None:
    talk = start(protocol="h2c", stream_idle_timeout=5.0, body_read_timeout=3.0, first_byte_timeout=5.0)
    client = Client2(talk)
    client.asks("POST", "/", ("content-type", "application/grpc"), ("te", "trailers"), end=False)
    backend = Backend2(talk.backend())
    talk.passes(20)
    client.sends(1, b"x")
    backend.answers(1, 200, ("content-type", "application/grpc"), end=False)
    talk.passes(20)
    client.sends(1, b"y", end=True)
    backend.sends(1, b"z")
    talk.passes(20)
    backend.trails(1, [(b"grpc-status", b"0")])
    client.settle()
    answer = client.messages[1]
    assert (answer.body, answer.trailers, answer.ended) == (b"z", {b"grpc-status": b"0"}, True)
    nothing_is_left(talk)


def test_a_call_of_grpc_may_wait_for_its_answer(start: Start) -> None:
    for later in (b"", b"x"):  # all at once, and in two pieces
        talk = start(protocol="h2c", first_byte_timeout=5.0, tunnel_idle_timeout=30.0)
        client = Client2(talk)
        client.asks("POST", "/", ("content-type", "application/grpc"), ("te", "trailers"), end=not later)
        backend = Backend2(talk.backend())
        if later:
            client.sends(1, later, end=True)
        talk.passes(20)
        backend.answers(1, 200, ("content-type", "application/grpc"), ("grpc-status", "0"))
        client.settle()
        assert (client.messages[1].status, client.messages[1].ended) == (200, True)
        nothing_is_left(talk)


def test_a_call_of_grpc_does_not_wait_for_ever(start: Start) -> None:
    talk = start(protocol="h2c", first_byte_timeout=5.0, tunnel_idle_timeout=30.0)
    client = Client2(talk)
    client.asks("POST", "/", ("content-type", "application/grpc"), ("te", "trailers"))
    Backend2(talk.backend())
    talk.passes(31)
    client.settle()
    assert client.messages[1].fields[b"grpc-status"] == b"4"
    nothing_is_left(talk)


def test_an_early_answer_gives_up_the_request(talk: Conversation) -> None:
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 100000", body=b"x"))
    backend = Backend2(talk.backend())
    backend.answers(1, 413)
    backend.settle()
    assert client.takes().startswith(b"HTTP/1.1 413 ")
    assert (backend.messages[1].reset, backend.peer.state) == (0, "open")
    nothing_is_left(talk)
