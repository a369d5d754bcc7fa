"""What happens when one side ends early: early responses, half-closed clients, lost connections."""

from __future__ import annotations

import pytest

from gatewayd.routing.snapshot import MatchPlan
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, put, rule


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


def test_a_client_that_goes_on_to_send_has_half_a_minute(talk: Conversation):
    client = talk.client()
    client.sends(put(10_000_000))
    talk.backend().sends(OK)
    for _ in range(7):
        client.sends(b"x")
        talk.passes(4)
        assert client.state == "ended"
    client.sends(b"x")
    talk.passes(3)
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
