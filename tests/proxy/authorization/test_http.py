"""ExternalAuth with a service that speaks HTTP: the question, the answers, and what a client never gets past."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.routing.snapshot import AuthPlan, Cors, Edit, Filters, MirrorPlan, PathEdit, Redirect, Retry, Timeouts
from tests.proxy.authorization.service import NO, PLACES, QUESTION, YES, all_is_given_back, asked, guarded
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, rule


@pytest.fixture
def talk(start: Start) -> Conversation:
    return start(guarded(), endpoints=PLACES)


# -- the verdict -------------------------------------------------------------------------------------------------------


def test_what_is_allowed_goes_on_and_connections_serve_again(talk: Conversation):
    client, service = asked(talk)
    assert service.takes_all() == QUESTION
    assert talk.asks == 0  # nothing reaches the backend before
    service.sends(YES)
    backend = talk.backend()
    assert backend.transport.peer == "10.0.0.1"
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes() == OK
    client.sends(GET)
    assert (service.takes(), backend.takes()) == (QUESTION, b"")
    service.sends(YES)
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert client.takes() == OK
    assert [(line["status"], line["reason"]) for line in talk.lines] == [(200, ""), (200, "")]
    assert talk.runtime.counts.authorizations_asked == 2
    all_is_given_back(talk)


def test_what_is_denied_gets_the_services_answer(talk: Conversation):
    client, service = asked(talk)
    service.takes()
    service.sends(NO)
    assert client.takes() == message(
        "HTTP/1.1 401 Unauthorized", "date: then", "www-authenticate: Basic", "content-length: 2", body=b"no"
    )
    assert (talk.asks, talk.line["status"], talk.line["reason"], talk.line["bytes_out"]) == (0, 401, "auth_denied", 2)
    client.sends(GET)  # both connections go on
    assert service.takes() == QUESTION
    service.sends(YES)
    assert talk.backend().takes() == ASKED
    assert talk.runtime.counts.authorizations_denied == 1


DENIALS = [
    ("302 Found", "location: https://login.example.com/", 302),
    ("403 Forbidden", "x: y", 403),
    ("404 Not Found", "x: y", 404),
    ("429 Too Many Requests", "retry-after: 5", 429),
    ("500 Internal Server Error", "x: y", 500),
    ("503 Service Unavailable", "x: y", 503),
]


@pytest.mark.parametrize(("line", "field", "status"), DENIALS)
def test_any_other_status_is_a_denial_that_is_passed_on(talk: Conversation, line: str, field: str, status: int):
    """HTTPExternalAuthFilter.protocol: any other code is considered an authorization failure."""
    client, service = asked(talk)
    service.sends(message(f"HTTP/1.1 {line}", field, "content-length: 0"))
    assert client.takes().startswith(f"HTTP/1.1 {line}\r\n{field}\r\n".encode())
    assert (talk.line["status"], talk.line["reason"], talk.asks) == (status, "auth_denied", 0)


@pytest.mark.parametrize("line", ["201 Created", "202 Accepted", "204 No Content", "206 Partial Content"])
def test_another_success_is_a_denial_and_must_not_look_like_one(talk: Conversation, line: str):
    client, service = asked(talk)
    service.sends(message(f"HTTP/1.1 {line}", "x-user: me", *([] if "204" in line else ["content-length: 0"])))
    assert client.takes().startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert (talk.line["reason"], talk.asks) == ("auth_denied", 0)


def test_a_denial_in_chunks_is_framed_anew(talk: Conversation):
    client, service = asked(talk)
    service.sends(message("HTTP/1.1 403 Forbidden", "date: then", "Transfer-Encoding: chunked", "Trailer: x-a"))
    service.sends(b"2\r\nno\r\n1\r\n!\r\n")
    assert client.takes() == b""
    service.sends(b"0\r\nx-a: b\r\n\r\n")
    assert client.takes() == message("HTTP/1.1 403 Forbidden", "date: then", "content-length: 3", body=b"no!")


def test_a_denial_until_the_close(talk: Conversation):
    client, service = asked(talk)
    service.sends(message("HTTP/1.1 403 Forbidden", "connection: close") + b"no")
    service.ends()
    assert client.takes() == message("HTTP/1.1 403 Forbidden", "date: now", "content-length: 2", body=b"no")


def test_a_denial_of_head_has_no_body(talk: Conversation):
    client, service = asked(talk, message("HEAD / HTTP/1.1", "Host: a"))
    assert service.takes() == message("HEAD / HTTP/1.1", "host: a", "content-length: 0")
    service.sends(message("HTTP/1.1 401 Unauthorized", "date: then", "content-length: 20"))
    assert client.takes() == message("HTTP/1.1 401 Unauthorized", "date: then")


def test_interim_answers_say_nothing(talk: Conversation):
    client, service = asked(talk)
    service.sends(message("HTTP/1.1 103 Early Hints", "link: <a>"))
    assert (client.takes(), talk.asks) == (b"", 0)
    service.sends(YES)
    assert talk.asks == 1


# -- the question ------------------------------------------------------------------------------------------------------

SENT = message(
    "POST /a/../b%2Fc?x=1&y HTTP/1.1", "Host: a.com:81", "authorization: Bearer 1",
    "Cookie: a=b", "X-A: 1", "x_a: 2", "Content-Type: text/plain", "Content-Length: 3", "TE: trailers",
    "Connection: te, x-hop", "X-Hop: 1", "X-Forwarded-For: 10.1.1.1", body=b"abc",
)  # fmt: skip
LINES = ("host: a.com:81", "authorization: Bearer 1")
QUESTIONS: list[tuple[dict[str, Any], bytes]] = [
    # Host, Method, Path, Content-Length and Authorization are always sent, and nothing else if the list is empty.
    ({}, message("POST /b%2Fc?x=1&y HTTP/1.1", *LINES, "content-length: 0")),
    ({"path": b"/check"}, message("POST /check/b%2Fc?x=1&y HTTP/1.1", *LINES, "content-length: 0")),
    (
        {"request": (b"cookie", b"x-a", b"x-forwarded-for", b"x-hop", b"host", b":path", b"te")},
        message(
            "POST /b%2Fc?x=1&y HTTP/1.1", *LINES, "Cookie: a=b", "X-A: 1", "x-forwarded-for: 192.0.2.1",
            "content-length: 0",
        ),
    ),
    # Content-Length must be the number of bytes that are sent to the service.
    ({"body": 3}, message("POST /b%2Fc?x=1&y HTTP/1.1", *LINES, "content-length: 3", body=b"abc")),
    (
        {"body": 9, "request": (b"content-type", b"content-length", b"transfer-encoding", b"connection")},
        message("POST /b%2Fc?x=1&y HTTP/1.1", *LINES, "Content-Type: text/plain", "content-length: 3", body=b"abc"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "expected"), QUESTIONS)
def test_questions(start: Start, plan: dict[str, Any], expected: bytes):
    talk = start(guarded(**plan), endpoints=PLACES)
    _, service = asked(talk, SENT)
    assert service.takes_all() == expected
    service.sends(YES)
    assert talk.backend().takes().endswith(b"\r\ncontent-length: 3\r\n\r\nabc")


def test_the_question_is_about_the_request_as_it_came(start: Start):
    """What the rule rewrites is for the backend."""
    edits = Filters(request=Edit(set=((b"authorization", b"gateway"),)), path=PathEdit(b"/new"), hostname=b"b.org")
    talk = start(guarded(edits), endpoints=PLACES)
    _, service = asked(talk, message("GET /old HTTP/1.1", "Host: a", "Authorization: client"))
    assert service.takes() == message("GET /old HTTP/1.1", "host: a", "Authorization: client", "content-length: 0")
    service.sends(YES)
    assert talk.backend().takes() == message("GET /new HTTP/1.1", "host: b.org", "authorization: gateway")


def test_options_of_everything(start: Start):
    for path, expected in ((b"", b"OPTIONS * HTTP/1.1"), (b"/check", b"OPTIONS /check HTTP/1.1")):
        talk = start(guarded(path=path), endpoints=PLACES)
        client = talk.client()
        client.sends(message("OPTIONS * HTTP/1.1", "Host: a"))
        if talk.asks:
            assert talk.backend().takes().startswith(expected)


# -- what the answer changes -------------------------------------------------------------------------------------------

EVIL = ("X-User: evil", "x_user: evil", "X-Other: 1")
CHANGES: list[tuple[tuple[bytes, ...], tuple[str, ...], tuple[str, ...]]] = [
    # allowedResponseHeaders empty: all but Host and Authority; not what the answer says of itself, nor its framing.
    (
        (),
        ("Date: then", "Content-Type: text/html", "Host: evil", "Authority: evil", "X-User: me", "Content-Length: 0",
         "Connection: keep-alive, x-hop", "x-hop: 1"),
        ("X-Other: 1", "x-user: me"),
    ),
    ((b"x-user",), ("X-User: me", "x-admin: no", "Content-Length: 0"), ("X-Other: 1", "x-user: me")),
    ((b"x-user",), ("x-user: a", "x-user: b", "Content-Length: 0"), ("X-Other: 1", "x-user: a", "x-user: b")),
    # A client cannot say what the service does not say.
    ((b"x-user",), ("Content-Length: 0",), ("X-Other: 1",)),
    ((b"x_user",), ("Content-Length: 0",), ("X-Other: 1",)),
    ((b"x-admin",), ("Content-Length: 0",), EVIL),
    ((b"host", b"content-length", b"connection", b"expect", b"upgrade"),
     ("Host: evil", "Expect: 100-continue", "Upgrade: x", "Content-Length: 0"), EVIL),
]  # fmt: skip


@pytest.mark.parametrize(("taken", "answer", "expected"), CHANGES)
def test_fields_of_the_answer(start: Start, taken: tuple[bytes, ...], answer: tuple[str, ...], expected: Any):
    talk = start(guarded(response=taken), endpoints=PLACES)
    client, service = asked(talk, message("GET / HTTP/1.1", "Host: a", *EVIL))
    service.sends(message("HTTP/1.1 200 OK", *answer))
    backend = talk.backend()
    assert sorted(backend.takes().split(b"\r\n")) == sorted(
        message("GET / HTTP/1.1", "host: a", *expected).split(b"\r\n")
    )
    backend.sends(OK)
    assert client.takes() == OK


def test_the_rules_own_edits_come_last(start: Start):
    talk = start(guarded(Filters(request=Edit(set=((b"x-user", b"rule"),))), response=(b"x-user",)), endpoints=PLACES)
    _, service = asked(talk)
    service.sends(message("HTTP/1.1 200 OK", "x-user: service", "content-length: 0"))
    assert talk.backend().takes() == message("GET / HTTP/1.1", "host: a", "x-user: rule")


@pytest.mark.parametrize("early", [True, False])
def test_trailers_do_not_say_it_either(start: Start, early: bool):
    talk = start(guarded(response=(b"x-user",)), endpoints=PLACES)
    chunks = b"1\r\na\r\n", b"0\r\nx-user: evil\r\nX_User: evil\r\nx-sum: 1\r\n\r\n"
    sent = message("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Trailer: x-user, x-sum")
    client, service = asked(talk, sent + chunks[0] + chunks[1] * early)
    service.sends(message("HTTP/1.1 200 OK", "x-user: me", "content-length: 0"))
    backend = talk.backend()
    client.sends(chunks[1] * (not early))
    assert backend.takes().endswith(b"\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n")


# -- among the other filters -------------------------------------------------------------------------------------------

CORS = Cors(origins=(b"https://a.com",), methods=(b"GET",), credentials=True)


def test_a_preflight_is_answered_without_a_question(start: Start):
    talk = start(guarded(Filters(cors=CORS)), endpoints=PLACES)
    client = talk.client()
    client.sends(
        message("OPTIONS / HTTP/1.1", "Host: a", "Origin: https://a.com", "Access-Control-Request-Method: GET")
    )
    assert client.takes().startswith(b"HTTP/1.1 204 ")
    assert talk.asks == 0


def test_scripts_may_read_a_denial(start: Start):
    talk = start(guarded(Filters(cors=CORS)), endpoints=PLACES)
    client, service = asked(talk, message("GET / HTTP/1.1", "Host: a", "Origin: https://a.com"))
    service.sends(NO)
    assert b"\r\naccess-control-allow-origin: https://a.com\r\n" in client.takes()
    client.sends(message("GET / HTTP/1.1", "Host: a", "Origin: https://a.com"))
    service.leaves()
    assert talk.asks == 1
    talk.refuses()
    assert b"\r\naccess-control-allow-origin: https://a.com\r\n" in client.takes()


def test_a_redirect_is_not_told_to_whoever_may_not_pass(start: Start):
    talk = start(guarded(Filters(redirect=Redirect(path=PathEdit(b"/new")))), endpoints=PLACES)
    client, service = asked(talk)
    assert client.takes() == b""
    service.sends(NO)
    assert client.takes().startswith(b"HTTP/1.1 401 ")
    client.sends(GET)
    service.sends(YES)
    assert client.takes().startswith(b"HTTP/1.1 302 ")


def test_a_mirror_gets_what_is_allowed_only(start: Start):
    for on_share in (False, True):
        talk = start(guarded(Filters(mirrors=(MirrorPlan("copy"),)), on_share=on_share), endpoints=PLACES)
        client, service = asked(talk, message("POST / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"a"))
        client.sends(b"b")
        assert talk.asks == 0
        service.sends(YES)
        backend, copy = talk.backend(), talk.backend()
        assert backend.takes().endswith(b"\r\n\r\nab")
        assert copy.takes().endswith(b"\r\n\r\nab")
        talk = start(guarded(Filters(mirrors=(MirrorPlan("copy"),)), on_share=on_share), endpoints=PLACES)
        client, service = asked(talk, message("POST / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"ab"))
        service.sends(NO)
        assert talk.asks == 0


def test_on_a_backend(start: Start):
    talk = start(guarded(on_share=True, response=(b"x-user",)), endpoints=PLACES)
    client, service = asked(talk)
    service.sends(message("HTTP/1.1 200 OK", "x-user: me", "content-length: 0"))
    backend = talk.backend()
    assert backend.takes() == message("GET / HTTP/1.1", "host: a", "x-user: me")
    backend.sends(OK)
    assert client.takes() == OK
    all_is_given_back(talk)


def test_on_the_rule_and_on_its_backend(start: Start):
    share = Filters(auth=AuthPlan("copy", body=10))
    talk = start(guarded(share_filters=share), endpoints=PLACES)
    client, service = asked(talk, message("POST / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"a"))
    service.sends(YES)
    client.sends(b"bcd")
    second = talk.backend()
    assert (second.transport.peer, talk.asks) == ("10.0.0.2", 0)
    assert second.takes().endswith(b"\r\n\r\nabcd")
    second.sends(YES)
    backend = talk.backend()
    assert backend.takes().endswith(b"\r\n\r\nabcd")
    backend.sends(OK)
    assert client.takes() == OK
    all_is_given_back(talk)


def test_trailers_must_suit_every_service(start: Start):
    share = Filters(auth=AuthPlan("copy", response=(b"x-b",)))
    talk = start(guarded(share_filters=share, response=(b"x-a",)), endpoints=PLACES)
    sent = message("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Trailer: x-a, x-b, x-c")
    client, service = asked(talk, sent)
    service.sends(YES)
    talk.backend().sends(YES)
    backend = talk.backend()
    client.sends(b"1\r\na\r\n0\r\nx-a: 1\r\nx-b: 2\r\nx-c: 3\r\n\r\n")
    assert backend.takes().endswith(b"1\r\na\r\n0\r\nx-c: 3\r\n\r\n")


def test_a_retry_does_not_ask_again(start: Start):
    plan = Retry(attempts=1, codes=(503,))
    one = guarded()
    talk = start(rule(filters=one.filters, retry=plan), endpoints=PLACES)
    client, service = asked(talk)
    service.takes()
    service.sends(YES)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 503 Service Unavailable", "content-length: 0"))
    talk.passes(1)
    assert service.takes() == b""
    assert backend.takes() == ASKED * 2
    backend.sends(OK)
    assert client.takes() == OK


def test_an_attempt_begins_with_the_verdict(start: Start):
    """backendRequest is the time of one attempt at the backend: waiting for the verdict is none, and tries nothing."""
    bounds = {"timeouts": Timeouts(request=10, backend_request=1), "retry": Retry(attempts=1)}
    talk = start(rule(filters=guarded().filters, **bounds), endpoints=PLACES)
    client, service = asked(talk)
    talk.passes(3)
    assert (client.takes(), talk.asks) == (b"", 0)
    service.sends(YES)
    talk.backend()
    talk.passes(0.5)
    assert talk.asks == 0
    talk.passes(1)
    assert talk.asks == 1  # the second attempt, by the backend's own time


def test_the_whole_request_has_its_time(start: Start):
    talk = start(rule(filters=guarded().filters, timeouts=Timeouts(request=1)), endpoints=PLACES)
    client, service = asked(talk)
    talk.passes(1)
    assert client.takes().startswith(b"HTTP/1.1 504 ")
    assert (service.state, talk.line["reason"]) == ("aborted", "request_timeout")
    all_is_given_back(talk)


def test_a_websocket_is_authorized_before_it_opens(talk: Conversation):
    client, service = asked(talk, message("GET / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: websocket"))
    assert service.takes() == QUESTION
    service.sends(YES)
    backend = talk.backend()
    assert backend.takes().endswith(b"connection: upgrade\r\nupgrade: websocket\r\n\r\n")
    backend.sends(message("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket"))
    assert client.takes().startswith(b"HTTP/1.1 101 ")
    client.sends(b"hello")
    assert backend.takes() == b"hello"
