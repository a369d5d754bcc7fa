"""Whole messages: bodies of every framing, connections that persist, pipelining, HTTP/1.0 (RFC 9112)."""

from __future__ import annotations

import pytest

from gatewayd.routing.snapshot import Filters, MatchPlan, Redirect
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, rule


def test_connections_persist_on_both_sides(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    for _ in range(3):
        assert backend.takes() == ASKED
        backend.sends(OK)
        assert client.takes() == OK
        assert (client.state, backend.state, talk.asks) == ("open", "open", 0)
        client.sends(GET)


def test_a_status_past_599_passes_and_counts_as_an_error(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    denied = message("HTTP/1.1 999 Denied", "content-length: 2", body=b"no")
    backend.sends(denied)
    assert (client.takes(), client.state, backend.state) == (denied, "open", "open")
    counters = talk.runtime.rule_counters("default/web/http", "HTTPRoute/default/shop", "0")
    assert (talk.line["status"], counters.classes) == (999, [0, 0, 0, 0, 0, 1])


def test_a_client_that_closes_after_its_request_gets_a_close(talk: Conversation):
    client = talk.client()
    client.sends(message("GET / HTTP/1.1", "Host: a", "Connection: close"))
    backend = talk.backend()
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes() == message("HTTP/1.1 200 OK", "content-length: 2", "connection: close", body=b"ok")
    assert (client.state, backend.state) == ("closed", "open")


def test_nothing_is_read_after_connection_close(talk: Conversation):
    client = talk.client()
    client.sends(message("GET / HTTP/1.1", "Host: a", "Connection: close") + GET)
    backend = talk.backend()
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes().count(b"HTTP/1.1 ") == 1
    assert (backend.takes(), client.state) == (b"", "ended")


def test_a_backend_that_closes_is_not_asked_again(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    first = talk.backend()
    first.sends(message("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"))
    assert client.takes() == message("HTTP/1.1 200 OK", "content-length: 0")
    assert first.state == "aborted"
    client.sends(GET)
    assert talk.backend().takes() == ASKED
    assert client.state == "open"


def test_pipelined_requests_are_answered_in_order(talk: Conversation):
    client = talk.client()
    client.sends(b"".join(message(f"GET /{name} HTTP/1.1", "Host: a") for name in "xyz"))
    backend = talk.backend()
    for name in "xyz":
        assert backend.takes() == message(f"GET /{name} HTTP/1.1", "host: a")
        answer = message("HTTP/1.1 200 OK", "content-length: 1", body=name.encode())
        backend.sends(answer)
        assert client.takes() == answer
    assert (client.state, talk.asks) == ("open", 0)


def test_pipelined_requests_with_bodies(talk: Conversation):
    client = talk.client()
    sized = message("POST /1 HTTP/1.1", "Host: a", "Content-Length: 3", body=b"GET")
    chunked = message("POST /2 HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=b"1\r\nx\r\n0\r\n\r\n")
    client.sends(sized + chunked + GET)
    backend = talk.backend()
    assert backend.takes() == message("POST /1 HTTP/1.1", "host: a", "content-length: 3", body=b"GET")
    backend.sends(OK)
    assert (
        backend.takes() == message("POST /2 HTTP/1.1", "host: a", "transfer-encoding: chunked") + b"1\r\nx\r\n0\r\n\r\n"
    )
    backend.sends(OK)
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes() == OK * 3


def test_local_answers_and_forwarded_ones_keep_their_order(start: Start):
    talk = start(rule(matches=(MatchPlan(path=b"/shop"),)))
    client = talk.client()
    shop = message("GET /shop HTTP/1.1", "Host: a")
    client.sends(GET + shop + GET + GET + shop)
    assert [answer[:3] for answer in client.takes().split(b"HTTP/1.1 ")[1:]] == [b"404"]
    backend = talk.backend()
    backend.sends(OK)
    assert [answer[:3] for answer in client.takes().split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"404"]
    backend.sends(OK)
    assert client.takes() == OK
    assert client.state == "open"


def test_the_next_request_may_come_in_pieces_while_one_is_served(talk: Conversation):
    client = talk.client()
    client.sends(GET + GET[:10])
    backend = talk.backend()
    client.sends(GET[10:20])
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert backend.takes() == b""
    client.sends(GET[20:])
    assert backend.takes() == ASKED


# -- request bodies ----------------------------------------------------------------------------------------------------


def test_a_sized_body_streams(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT /f HTTP/1.1", "Host: a", "Content-Length: 6", body=b"ab"))
    backend = talk.backend()
    assert backend.takes() == message("PUT /f HTTP/1.1", "host: a", "content-length: 6", body=b"ab")
    client.sends(b"cd")
    assert backend.takes() == b"cd"
    client.sends(b"ef" + GET)
    assert backend.takes() == b"ef"
    backend.sends(OK)
    assert backend.takes() == ASKED


def test_a_body_of_length_zero_says_so(talk: Conversation):
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 0"))
    assert talk.backend().takes() == message("POST / HTTP/1.1", "host: a", "content-length: 0")


def test_chunks_are_framed_anew(talk: Conversation):
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: Chunked", body=b"003;x=1\r\nabc\r\n1"))
    backend = talk.backend()
    assert backend.takes() == message("POST / HTTP/1.1", "host: a", "transfer-encoding: chunked", body=b"3\r\nabc\r\n")
    client.sends(b"\r\nd\r\n2\r\nef\r\n")
    assert backend.takes() == b"3\r\ndef\r\n"
    client.sends(b"0\r\n\r\n" + GET)
    assert backend.takes() == b"0\r\n\r\n"


TRAILER = b"1\r\nx\r\n0\r\nX-Sum: 1\r\nAuthorization: no\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize(
    ("fields", "kept", "end"),
    [((), (), b"0\r\n\r\n"), (("Trailer: X-Sum",), ("trailer: X-Sum",), b"0\r\nx-sum: 1\r\n\r\n")],
)
def test_request_trailers_pass_where_announced(talk: Conversation, fields: tuple[str], kept: tuple[str], end: bytes):
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", *fields, body=TRAILER))
    sent = talk.backend().takes()
    assert sent == message("POST / HTTP/1.1", "host: a", "transfer-encoding: chunked", *kept, body=b"1\r\nx\r\n" + end)


@pytest.mark.parametrize(
    ("asked", "told", "end"),
    [
        (False, "", b"0\r\n\r\n"),
        (True, "Trailer: X-Sum", b"0\r\nx-sum: 1\r\n\r\n"),
        (True, "", b"0\r\nx-sum: 1\r\n\r\n"),
        (False, "Trailer: X-Sum", b"0\r\n\r\n"),
    ],
)
def test_response_trailers_pass_where_asked_for(talk: Conversation, asked: bool, told: str, end: bytes):
    client = talk.client()
    client.sends(message("GET / HTTP/1.1", "Host: a", *(["TE: trailers", "Connection: TE"] if asked else [])))
    backend = talk.backend()
    assert (b"te: trailers\r\nconnection: te\r\n" in backend.takes()) is asked
    backend.sends(message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *filter(None, [told]), body=TRAILER))
    head, _, body = client.takes().partition(b"\r\n\r\n")
    assert body == b"1\r\nx\r\n" + end
    assert (b"\r\ntrailer: X-Sum" in head) is bool(asked and told)


# -- response bodies ---------------------------------------------------------------------------------------------------


def test_a_chunked_response_streams(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"2\r\na"))
    assert client.takes() == message("HTTP/1.1 200 OK", "transfer-encoding: chunked", body=b"1\r\na\r\n")
    backend.sends(b"b\r\n1;ext\r\nc\r\n")
    assert client.takes() == b"2\r\nbc\r\n"
    backend.sends(b"0\r\n\r\n")
    assert client.takes() == b"0\r\n\r\n"
    client.sends(GET)
    assert b"GET /" in backend.takes()


def test_a_response_that_ends_with_the_connection_becomes_chunked(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", body=b"ab"))
    assert client.takes() == message("HTTP/1.1 200 OK", "transfer-encoding: chunked", body=b"2\r\nab\r\n")
    backend.sends(b"c")
    backend.ends()
    assert client.takes() == b"1\r\nc\r\n0\r\n\r\n"
    assert (client.state, backend.state) == ("open", "aborted")


def test_a_reset_does_not_end_such_a_response(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", body=b"ab"))
    backend.leaves()
    assert not client.takes().endswith(b"0\r\n\r\n")
    assert (client.state, talk.line["reason"]) == ("aborted", "upstream_cut_body")


@pytest.mark.parametrize(
    ("request_line", "head"),
    [
        ("HEAD / HTTP/1.1", ("HTTP/1.1 200 OK", "content-length: 5")),
        ("HEAD / HTTP/1.1", ("HTTP/1.1 200 OK",)),
        ("GET / HTTP/1.1", ("HTTP/1.1 304 Not Modified", "content-length: 5")),
        ("GET / HTTP/1.1", ("HTTP/1.1 304 Not Modified",)),
        ("GET / HTTP/1.1", ("HTTP/1.1 204 No Content",)),
        ("DELETE / HTTP/1.1", ("HTTP/1.1 204 No Content", "etag: x")),
    ],
)
def test_responses_without_a_body(talk: Conversation, request_line: str, head: tuple[str, ...]):
    client = talk.client()
    client.sends(message(request_line, "Host: a"))
    backend = talk.backend()
    backend.takes()
    backend.sends(message(*head))
    assert client.takes() == message(*head)
    client.sends(GET)
    assert backend.takes() == ASKED, "both connections persist"


def test_head_of_a_chunked_response_has_no_body(talk: Conversation):
    client = talk.client()
    client.sends(message("HEAD / HTTP/1.1", "Host: a"))
    talk.backend().sends(message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
    assert client.takes() == message("HTTP/1.1 200 OK")
    client.sends(GET)
    assert client.state == "open"


def test_repeated_fields_and_their_order_stay(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    cookies = ("Set-Cookie: a=1", "X: y", "Set-Cookie: b=2")
    talk.backend().sends(message("HTTP/1.1 200 Very well", *cookies, "Content-Length: 0", "Keep-Alive: timeout=5"))
    assert client.takes() == message("HTTP/1.1 200 Very well", *cookies, "content-length: 0")


# -- HTTP/1.0 ----------------------------------------------------------------------------------------------------------


def test_http_1_0_closes(talk: Conversation):
    client = talk.client()
    client.sends(message("GET / HTTP/1.0", "Host: a"))
    backend = talk.backend()
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes() == message("HTTP/1.1 200 OK", "content-length: 2", "connection: close", body=b"ok")
    assert (client.state, backend.state) == ("closed", "open")


def test_http_1_0_that_asks_keeps_the_connection(talk: Conversation):
    client = talk.client()
    asks = message("GET / HTTP/1.0", "Host: a", "Connection: Keep-Alive")
    client.sends(asks)
    backend = talk.backend()
    for _ in range(2):
        assert backend.takes() == ASKED
        backend.sends(OK)
        assert client.takes() == message("HTTP/1.1 200 OK", "content-length: 2", "connection: keep-alive", body=b"ok")
        client.sends(asks)


@pytest.mark.parametrize("connection", [(), ("Connection: keep-alive",)])
def test_http_1_0_gets_a_chunked_response_until_the_close(talk: Conversation, connection: tuple[str]):
    client = talk.client()
    client.sends(message("GET / HTTP/1.0", "Host: a", *connection))
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"2\r\nab\r\n"))
    backend.sends(b"1\r\nc\r\n0\r\nX: y\r\n\r\n")
    assert client.takes() == message("HTTP/1.1 200 OK", "connection: close", body=b"abc")
    assert (client.state, backend.state) == ("closed", "open")


HOSTLESS = message("GET /x HTTP/1.0")


def test_http_1_0_without_a_host_asks_for_the_address_it_came_to(talk: Conversation):
    client = talk.client()
    client.sends(HOSTLESS)
    backend = talk.backend()
    sent = backend.takes_all()
    assert sent.startswith(message("GET /x HTTP/1.1", "host: 198.51.100.1:80")[:-2])
    assert b"\r\nx-forwarded-host: 198.51.100.1:80\r\n" in sent
    backend.sends(OK)
    assert client.takes().startswith(b"HTTP/1.1 200 OK\r\n")
    assert talk.line["host"] == "198.51.100.1"


def test_http_1_0_without_a_host_finds_no_listener_with_a_hostname(start: Start):
    talk = start(hostname=b"shop.example.com", hosts=(b"shop.example.com",))
    client = talk.client()
    client.sends(HOSTLESS)
    assert client.takes().startswith(b"HTTP/1.1 404 ")
    assert talk.line["reason"] == "no_listener"


def test_a_redirect_of_http_1_0_without_a_host_leads_to_the_address_it_came_to(start: Start):
    talk = start(rule(backend="", filters=Filters(redirect=Redirect())), number=8080)
    client = talk.client()
    client.sends(HOSTLESS)
    assert b"\r\nlocation: http://198.51.100.1:8080/x\r\n" in client.takes()


# -- an empty line before a request ------------------------------------------------------------------------------------


@pytest.mark.parametrize("parts", [(b"\r\n" + GET,), (b"\r\n", GET), (b"\r", b"\n" + GET), (b"\r\nGE", GET[2:])])
def test_an_empty_line_after_a_body_is_passed_over(talk: Conversation, parts: tuple[bytes, ...]):
    asks = message("POST / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"hi")
    client, backend = talk.exchange(asks)
    for part in parts:
        client.sends(part)
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert (client.takes(), client.state) == (OK, "open")


def test_two_empty_lines_are_refused_however_they_come(talk: Conversation):
    client = talk.client()
    client.sends(b"\r\n")
    client.sends(b"\r\n")
    assert client.takes().startswith(b"HTTP/1.1 400 ")


def test_a_connection_with_an_empty_line_is_idle(start: Start):
    talk = start(head_timeout=2.0, idle_timeout=20.0)
    client, _ = talk.exchange()
    client.sends(b"\r\n")
    talk.passes(15)
    assert client.state == "open"
    talk.runtime.drain()
    talk.settle()
    assert (client.state, client.takes()) == ("closed", b"")


# -- backends of HTTP/1.0 ----------------------------------------------------------------------------------------------


def test_a_backend_of_http_1_0(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    first = talk.backend()
    first.sends(message("HTTP/1.0 200 OK", "Content-Length: 2", body=b"ok"))
    assert client.takes() == OK
    assert first.state == "aborted", "it did not say that it keeps the connection"
    client.sends(GET)
    second = talk.backend()
    second.sends(message("HTTP/1.0 200 OK", "Content-Length: 2", "Connection: keep-alive", body=b"ok"))
    assert (client.takes(), second.state) == (OK, "open")


@pytest.mark.parametrize(
    ("method", "first"),
    [
        ("GET", message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n")),
        ("HEAD", message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")),
    ],
)
def test_the_framing_of_one_response_is_not_the_next_ones(talk: Conversation, method: str, first: bytes):
    client = talk.client()
    client.sends(message(f"{method} / HTTP/1.1", "Host: a"))
    backend = talk.backend()
    backend.sends(first)
    client.takes()
    client.sends(GET)
    backend.sends(OK[:-1])
    backend.sends(OK[-1:])
    assert client.takes() == OK
