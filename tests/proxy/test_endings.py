"""What happens when one side ends early: early responses, half-closed clients, lost connections, retries."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatewayd.routing.snapshot import MatchPlan
from tests.proxy.conversation import ASKED, GET, OK, Conversation, message, rule

Start = Callable[..., Conversation]
CHUNKED = "Transfer-Encoding: chunked"
TWO = {"shop": (("10.0.0.1", 80), ("10.0.0.2", 80))}


def put(length: int, body: bytes = b"") -> bytes:
    return message("PUT / HTTP/1.1", "Host: a", f"Content-Length: {length}", body=body)


def closing(response: bytes) -> bytes:
    return response.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n", 1)


# -- early responses ---------------------------------------------------------------------------------------------------


def test_a_small_rest_of_a_body_is_read_and_dropped(talk: Conversation):
    client = talk.client()
    client.sends(put(1000, b"x" * 10))
    backend = talk.backend()
    backend.sends(OK)
    assert client.takes() == OK
    assert (client.state, backend.state) == ("open", "aborted"), "the backend would take the rest for a request"
    client.sends(b"x" * 989)
    client.sends(b"x" + GET)
    assert talk.backend().takes() == ASKED


def test_a_large_rest_closes(talk: Conversation):
    client = talk.client()
    client.sends(put(10_000_000))
    talk.backend().sends(OK)
    assert client.takes() == closing(OK)
    assert client.state == "ended", "half-closed, so that the answer is not destroyed by a reset"
    client.sends(GET * 3)
    assert (talk.asks, client.takes()) == (0, b"")
    talk.passes(6)
    assert client.state == "aborted"


def test_a_chunked_rest_closes(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n"))
    talk.backend().sends(OK)
    assert (client.takes(), client.state) == (closing(OK), "ended")
    client.ends()
    assert client.state == "closed"


def test_the_body_goes_on_while_an_early_response_streams(talk: Conversation):
    client = talk.client()
    client.sends(put(4, b"ab"))
    backend = talk.backend()
    backend.takes()
    backend.sends(message("HTTP/1.1 200 OK", "content-length: 2", body=b"o"))
    client.sends(b"cd")
    assert backend.takes() == b"cd"
    backend.sends(b"k")
    assert client.takes() == OK
    client.sends(GET)
    assert backend.takes() == ASKED


@pytest.mark.parametrize(("length", "stays"), [(65536, True), (65537, False)])
def test_a_local_answer_drops_the_body_or_closes(start: Start, length: int, stays: bool):
    """0.CL: what is left of the body must not be read as a request."""
    talk = start(rule(matches=(MatchPlan(path=b"/shop"),)))
    client = talk.client()
    client.sends(put(length))
    assert client.takes().startswith(b"HTTP/1.1 404 ")
    client.sends(GET.ljust(length) + GET)
    assert client.takes().count(b"HTTP/1.1 404 ") == stays
    assert client.state == ("open" if stays else "ended")


def test_a_rest_that_does_not_come_ends_the_connection(start: Start):
    talk = start(rule(matches=(MatchPlan(path=b"/shop"),)))
    client = talk.client()
    client.sends(put(100))
    talk.passes(4)
    client.sends(b"x")
    talk.passes(2)
    assert client.state == "aborted"


# -- clients that end --------------------------------------------------------------------------------------------------


def test_a_half_closed_client_gets_its_answer(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    client.ends()
    talk.backend().sends(OK)
    assert (client.takes(), client.state) == (closing(OK), "closed")


def test_a_half_closed_client_gets_all_its_answers(talk: Conversation):
    """What came before the end of the sending half was asked for, pipelined or not (RFC 9112 section 9.6)."""
    client = talk.client()
    client.sends(GET * 3)
    client.ends()
    backend = talk.backend()
    backend.sends(OK)
    backend.sends(OK)
    assert client.takes() == OK * 2
    assert client.state == "open"
    backend.sends(OK)
    assert (client.takes(), client.state) == (closing(OK), "closed")


def test_a_half_closed_client_with_half_a_request_is_closed_after_its_answer(talk: Conversation):
    client = talk.client()
    client.sends(GET + GET[:10])
    client.ends()
    backend = talk.backend()
    backend.sends(OK)
    assert client.takes().startswith(b"HTTP/1.1 200 ")
    assert (client.state, backend.takes()) == ("closed", ASKED)


def test_a_half_closed_client_with_half_a_body_is_closed_after_its_answer(talk: Conversation):
    client = talk.client()
    client.sends(GET + put(10, b"half"))
    client.ends()
    backend = talk.backend()
    backend.sends(OK)
    assert client.takes().startswith(b"HTTP/1.1 200 ")
    assert client.state in ("closed", "aborted")
    assert talk.asks == 0


def test_a_half_closed_client_gets_an_answer_that_streams(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(OK[:-1])
    client.ends()
    backend.sends(OK[-1:])
    assert (client.takes(), client.state) == (OK, "closed")


@pytest.mark.parametrize("data", [b"", GET[:10], put(5, b"ab")])
def test_a_client_that_ends_within_a_request_is_gone(talk: Conversation, data: bytes):
    client = talk.client()
    if data:
        client.sends(data)
    client.ends()
    assert client.state in ("closed", "aborted")
    assert client.takes() == b""


@pytest.mark.parametrize("leaves", ["leaves", "ends"])
def test_a_client_gone_within_its_body_takes_the_backend_along(talk: Conversation, leaves: str):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=b"2\r\nab\r\n"))
    backend = talk.backend()
    getattr(client, leaves)()
    assert backend.state == "aborted"
    assert not backend.takes().endswith(b"0\r\n\r\n"), "a cut body must not look complete"
    assert (talk.line["status"], talk.line["reason"]) == (0, "client_closed")


def test_a_client_gone_within_the_response_takes_the_backend_along(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(OK[:-1])
    client.leaves()
    assert (backend.state, talk.line["status"], talk.line["reason"]) == ("aborted", 200, "client_closed")


def test_a_client_gone_before_the_connect_leaves_a_connection_for_the_pool(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    client.leaves()
    backend = talk.backend()
    assert (backend.takes(), backend.state) == (b"", "open")
    talk.client().sends(GET)
    assert backend.takes() == ASKED


# -- backends that end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("leaves", ["leaves", "ends"])
@pytest.mark.parametrize(
    ("before", "reason"), [(b"", "upstream_closed"), (b"HTTP/1.1 200 OK\r\nContent-Le", "upstream_cut_head")]
)
def test_a_backend_gone_before_its_head_is_complete(talk: Conversation, leaves: str, before: bytes, reason: str):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    if before:
        backend.sends(before)
    getattr(backend, leaves)()
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert (client.state, talk.line["reason"], talk.asks) == ("open", reason, 0)


@pytest.mark.parametrize("leaves", ["leaves", "ends"])
@pytest.mark.parametrize(
    ("framing", "body"),
    [
        ("Content-Length: 3", b"ab"),
        ("Transfer-Encoding: chunked", b"2\r\nab\r\n"),
        ("Transfer-Encoding: chunked", b"2\r\nab\r\n0\r\n"),
        ("Transfer-Encoding: chunked", b"3\r\nab"),
    ],
)
def test_a_backend_gone_within_its_body_cuts_the_response(talk: Conversation, leaves: str, framing: str, body: bytes):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", framing, body=body))
    getattr(backend, leaves)()
    assert client.takes().endswith((b"\r\n\r\nab", b"\r\n\r\n2\r\nab\r\n"))
    assert (client.state, talk.line["status"], talk.line["reason"]) == ("aborted", 200, "upstream_cut_body")


# -- retries -----------------------------------------------------------------------------------------------------------


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


# -- wrong responses ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spare", [OK, b"x"])
@pytest.mark.parametrize("response", [OK, message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")])
def test_spare_bytes_after_a_response_end_the_connection(talk: Conversation, response: bytes, spare: bytes):
    """Response queue poisoning: they could be taken for the answer to the next request."""
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(response + spare)
    assert client.takes().endswith((b"\r\n\r\nok", b"chunked\r\n\r\n0\r\n\r\n"))
    assert (client.state, backend.state) == ("open", "aborted")
    assert talk.runtime.counts.upstream_spare_bytes == 1


def test_a_body_after_head_ends_the_connection(talk: Conversation):
    client = talk.client()
    client.sends(message("HEAD / HTTP/1.1", "Host: a"))
    backend = talk.backend()
    backend.sends(OK)
    assert client.takes() == OK[:-2]
    assert (client.state, backend.state) == ("open", "aborted")


@pytest.mark.parametrize(
    ("response", "word"),
    [
        (message("HTTP/1.1 200 OK", "Content-Length: 2", CHUNKED, body=b"0\r\n\r\n"), "length_and_coding"),
        (message("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 3", body=b"ok"), "repeated_content_length"),
        (message("HTTP/1.1 200 OK", "Content-Length: 2, 2", body=b"ok"), "bad_content_length"),
        (message("HTTP/1.1 200 OK", "Content-Length: +2", body=b"ok"), "bad_content_length"),
        (message("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), "bad_coding"),
        (message("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), "bad_coding"),
        (message("HTTP/1.1 204 No Content", "Content-Length: 2", body=b"ok"), "body_not_allowed"),
        (message("HTTP/1.1 204 No Content", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), "body_not_allowed"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "head"),
        (b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "head"),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "head"),
        (b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "head"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "head"),
        (b"HTTP/2 200 OK\r\n\r\n", "head"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "head"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n", "head_too_large"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000, "head_too_large"),
    ],
)  # fmt: skip
def test_a_response_outside_the_grammar_is_a_bad_gateway(talk: Conversation, response: bytes, word: str):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(response)
    answer = client.takes()
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert (client.state, backend.state) == ("open", "aborted")
    assert (talk.line["status"], talk.line["reason"]) == (502, f"bad_response_{word}")


@pytest.mark.parametrize("rest", [b"x\r\nok\r\n", b"2\r\nokx0\r\n\r\n", b"2\nok\r\n", b"-1\r\n", b"0\r\nX : y\r\n\r\n"])
def test_a_broken_chunk_cuts_the_response(talk: Conversation, rest: bytes):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"1\r\na\r\n"))
    backend.sends(rest)
    assert not client.takes().endswith(b"0\r\n\r\n")
    assert (client.state, backend.state) == ("aborted", "aborted")
    assert talk.line["reason"].startswith("bad_response_")


def test_spare_bytes_after_a_streamed_response_end_the_connection(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(OK[:-1])
    backend.sends(OK[-1:] + OK)
    assert (client.takes(), client.state, backend.state) == (OK, "open", "aborted")
    assert talk.runtime.counts.upstream_spare_bytes == 1


def test_a_broken_chunk_within_an_early_response_cuts_it(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", CHUNKED, body=b"1\r\na\r\n"))
    backend = talk.backend()
    backend.sends(OK[:-1])
    client.sends(b"x\r\n")
    assert (client.state, backend.state) == ("aborted", "aborted")


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
