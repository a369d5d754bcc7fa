"""Deadlines of the traffic path: what does not come in time ends, and says so."""

from __future__ import annotations

import pytest

from tests.proxy.conversation import ASKED, GET, OK, Client, Conversation, Start, message


def refused(client: Client) -> bytes:
    """The status of the last answer."""
    return client.takes().rpartition(b"HTTP/1.1 ")[2][:3]


# -- clients -----------------------------------------------------------------------------------------------------------


def test_a_silent_client_is_closed_without_a_word(talk: Conversation):
    client = talk.client()
    talk.passes(9.5)
    assert client.state == "open"
    talk.passes(1)
    assert (client.state, client.takes()) == ("aborted", b"")


def test_a_head_has_ten_seconds_in_all(talk: Conversation):
    client = talk.client()
    talk.passes(5)
    for at in range(12):
        client.sends(GET[at : at + 1])
        talk.passes(0.9)
        if client.state != "open":
            break
    assert at == 11, "counted from its first byte"
    assert refused(client) == b"408"
    assert (client.state, talk.line["reason"], talk.asks) == ("ended", "head_timeout", 0)
    talk.passes(6)
    assert client.state == "aborted"


def test_a_later_head_has_them_too(talk: Conversation):
    client, _ = talk.exchange()
    talk.passes(30)
    client.sends(GET[:9])
    talk.passes(9)
    assert client.state == "open"
    talk.passes(2)
    assert refused(client) == b"408"


def test_an_idle_client_is_closed(talk: Conversation):
    client, _ = talk.exchange()
    talk.passes(59)
    assert client.state == "open"
    talk.passes(2)
    assert (client.state, client.takes()) == ("aborted", b"")


def test_a_connection_does_not_live_for_ever(start: Start):
    talk = start(connection_lifetime=100.0)
    client, backend = talk.exchange()
    for _ in range(2):
        talk.passes(40)
        client.sends(GET)
        if talk.asks:
            backend = talk.backend()
        backend.sends(OK)
        assert client.takes() == OK
    talk.passes(40)
    client.sends(GET)
    (talk.backend() if talk.asks else backend).sends(OK)
    assert b"connection: close" in client.takes()
    assert client.state == "closed"


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
def test_a_body_that_stops_is_refused(start: Start, framing: str):
    talk = start(body_min_rate=0)
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", framing, body=b"1\r\nx\r\n"))
    backend = talk.backend()
    talk.passes(29)
    assert client.state == "open"
    client.sends(b"1\r\nx\r\n")
    talk.passes(29)
    assert client.state == "open"
    talk.passes(2)
    assert refused(client) == b"408"
    assert (client.state, backend.state, talk.line["reason"]) == ("ended", "aborted", "body_timeout")


def test_a_body_that_drips_is_refused(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 1000"))
    talk.backend()
    for _ in range(20):
        client.sends(b"x")
        talk.passes(0.5)
        if client.state != "open":
            break
    assert refused(client) == b"408"
    assert talk.line["duration"] == pytest.approx(5.0, abs=0.6)


def test_a_body_at_the_minimum_rate_is_not(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 15000"))
    talk.backend()
    for _ in range(60):
        client.sends(b"x" * 125)
        talk.passes(0.5)
    assert client.state == "open"


def test_time_in_which_the_backend_does_not_read_is_not_the_clients(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 200000"))
    backend = talk.backend()
    backend.stalls()
    client.sends(b"x" * 100_000)
    talk.passes(55)
    assert (client.state, client.held_back()) == ("open", True)
    backend.reads()
    client.sends(b"x" * 100_000)
    backend.sends(OK)
    assert client.takes() == OK


def test_a_body_timeout_within_an_early_response_cuts_it(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 1000"))
    backend = talk.backend()
    backend.sends(OK[:-1])
    talk.passes(10)
    assert (client.state, backend.state) == ("aborted", "aborted")
    assert (talk.line["status"], talk.line["reason"]) == (200, "body_timeout")


def test_a_client_that_reads_nothing_is_cut(talk: Conversation):
    client = talk.client()
    client.stalls()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", "content-length: 1000000", body=b"x" * 70_000))
    talk.passes(59)
    assert client.state == "open"
    talk.passes(2)
    assert (client.state, backend.state) == ("aborted", "aborted")
    assert talk.line["reason"] == "write_timeout"


def test_a_client_that_reads_slowly_is_not_cut(talk: Conversation):
    client = talk.client()
    client.stalls()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", "content-length: 1000000", body=b"x" * 70_000))
    for _ in range(5):
        client.reads_some(1000)
        talk.passes(59)
    assert client.state == "open"
    talk.passes(120)
    assert client.state == "aborted"


def test_a_backend_that_reads_slowly_is_not_cut(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 1000000"))
    backend = talk.backend()
    backend.stalls()
    client.sends(b"x" * 100_000)
    for _ in range(5):
        backend.reads_some(1000)
        talk.passes(59)
    assert backend.state == "open"
    talk.passes(120)
    assert (backend.state, refused(client)) == ("aborted", b"504")


def test_a_client_that_reads_no_end_is_cut(talk: Conversation):
    client = talk.client()
    client.stalls()
    client.sends(message("GET / HTTP/1.1", "Host: a", "Connection: close"))
    talk.backend().sends(message("HTTP/1.1 200 OK", "content-length: 70000", body=b"x" * 70_000))
    assert client.state == "closed"
    assert client.transport.lost is False
    talk.passes(61)
    assert client.state == "aborted"


# -- backends ----------------------------------------------------------------------------------------------------------


def test_a_backend_that_never_answers_is_a_timeout(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    talk.passes(59)
    assert client.takes() == b""
    talk.passes(2)
    assert refused(client) == b"504"
    assert (client.state, backend.state, talk.line["reason"]) == ("open", "aborted", "upstream_timeout")


def test_interim_responses_are_no_answer(start: Start):
    talk = start(first_byte_timeout=10.0)
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    talk.passes(9)
    backend.sends(message("HTTP/1.1 103 Early Hints"))
    talk.passes(2)
    assert refused(client) == b"504"


def test_the_answer_is_awaited_once_the_request_is_sent(start: Start):
    talk = start(first_byte_timeout=10.0)
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 20000"))
    backend = talk.backend()
    for _ in range(20):
        client.sends(b"x" * 1000)
        talk.passes(1)
    assert client.state == "open"
    talk.passes(8)
    assert client.takes() == b""
    talk.passes(2)
    assert refused(client) == b"504"
    assert backend.state == "aborted"


def test_a_backend_that_took_a_stuck_request_and_never_answers_is_a_timeout(start: Start):
    talk = start(first_byte_timeout=10.0)
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 100000"))
    backend = talk.backend()
    backend.stalls()
    client.sends(b"x" * 100_000)
    backend.reads()
    talk.passes(11)
    assert refused(client) == b"504"


def test_a_backend_that_does_not_take_the_request_is_a_timeout(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 1000000"))
    backend = talk.backend()
    backend.stalls()
    client.sends(b"x" * 100_000)
    talk.passes(59)
    assert client.takes() == b""
    talk.passes(2)
    assert refused(client) == b"504"


def test_a_response_that_stops_is_cut(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(OK[:-2])
    talk.passes(299)
    backend.sends(b"o")
    talk.passes(299)
    assert client.state == "open"
    talk.passes(2)
    assert (client.state, backend.state, talk.line["reason"]) == ("aborted", "aborted", "upstream_timeout")


def test_time_in_which_the_client_does_not_read_is_not_the_backends(start: Start):
    talk = start(stream_idle_timeout=10.0)
    client = talk.client()
    client.stalls()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", "content-length: 70001", body=b"x" * 70_000))
    talk.passes(50)
    assert client.state == "open"
    client.reads()
    backend.sends(b"x")
    assert client.takes().endswith(b"x" * 70_001)


def test_a_connect_that_takes_too_long_is_given_up(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    talk.passes(5.5)
    assert refused(client) == b"503"
    assert (talk.line["reason"], talk.runtime.backends["shop"].open) == ("connect_timeout", 0)


def test_a_connect_that_takes_too_long_is_retried_on_another_endpoint(start: Start):
    talk = start(endpoints={"shop": (("10.0.0.1", 80), ("10.0.0.2", 80))})
    client = talk.client()
    client.sends(GET)
    talk.passes(5.5)
    backend = talk.backend()
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes() == OK


def test_an_idle_pooled_connection_is_closed(talk: Conversation):
    _, backend = talk.exchange()
    talk.passes(59)
    assert backend.state == "open"
    talk.passes(2)
    assert (backend.state, talk.runtime.backends["shop"].endpoints[0].idle) == ("aborted", {})


# -- no limit ----------------------------------------------------------------------------------------------------------

TIMEOUTS = (
    "head_timeout", "idle_timeout", "connection_lifetime", "body_read_timeout", "write_timeout", "connect_timeout",
    "first_byte_timeout", "stream_idle_timeout", "tunnel_idle_timeout", "half_closed_timeout", "upstream_idle_timeout",
)  # fmt: skip


def test_zero_is_no_timeout(start: Start):
    talk = start(body_min_rate=0, **dict.fromkeys(TIMEOUTS, 0.0))
    client = talk.client()
    talk.passes(4000)
    client.sends(GET[:5])
    talk.passes(4000)
    client.sends(GET[5:])
    talk.passes(4000)
    backend = talk.backend()
    talk.passes(4000)
    assert backend.takes() == ASKED
    backend.sends(OK[:-1])
    talk.passes(4000)
    backend.sends(OK[-1:])
    assert client.takes() == OK
    talk.passes(4000)
    assert (client.state, backend.state) == ("open", "open")


# -- the end of the worker ---------------------------------------------------------------------------------------------


def test_a_drain_closes_what_is_idle_and_finishes_the_rest(talk: Conversation):
    idle, pooled = talk.exchange()
    talk.passes(2)
    young, busy = talk.client(), talk.client()
    busy.sends(GET)
    backend = talk.peers[1]
    talk.runtime.drain()
    talk.settle()
    assert (idle.state, young.state, busy.state) == ("closed", "open", "open")
    assert not talk.runtime.idle
    backend.sends(OK)
    assert b"connection: close" in busy.takes()
    assert (busy.state, pooled.state) == ("closed", "closed")
    young.sends(GET)
    talk.backend().sends(OK)
    assert b"connection: close" in young.takes()
    assert talk.runtime.idle


def test_a_body_that_is_complete_has_no_deadline(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"a"))
    backend = talk.backend()
    client.sends(b"b")
    talk.passes(50)
    backend.sends(OK)
    assert (client.takes(), client.state) == (OK, "open")


def test_a_client_that_reads_again_is_idle_from_then_on(start: Start):
    talk = start(idle_timeout=10.0)
    client = talk.client()
    client.stalls()
    client.sends(GET)
    talk.backend().sends(message("HTTP/1.1 200 OK", "content-length: 70000", body=b"x" * 70_000))
    talk.passes(30)
    client.reads()
    talk.passes(9)
    assert client.state == "open"
    talk.passes(2)
    assert client.state == "aborted"
