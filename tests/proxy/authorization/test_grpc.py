"""ExternalAuth with a service that speaks Envoy's protocol: the call, the answers, the changes that they ask for."""

from __future__ import annotations

import pytest
from envoy.config.core.v3.base_pb2 import QueryParameter
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse, DeniedHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.wrappers_pb2 import BoolValue
from google.rpc.status_pb2 import Status

from gatewayd.routing.snapshot import AuthPlan, Filters
from gatewayd.wire import grpc
from tests.proxy.authorization.calls import CALL, NO, YES, Service, allows, asked, denies, guarded, option
from tests.proxy.authorization.service import PLACES, all_is_given_back
from tests.proxy.conversation import GET, OK, Conversation, Start, message, rule
from tests.proxy.fakes import HERE
from tests.proxy.peers import Client2


@pytest.fixture
def talk(start: Start) -> Conversation:
    return guarded(start)


# -- the question ------------------------------------------------------------------------------------------------------


def test_the_whole_request_is_shown(talk: Conversation):
    """GRPCAuthConfig.allowedHeaders empty: all headers must be sent."""
    sent = message(
        "POST /a?x=1 HTTP/1.1", "Host: a.com:81", "X-A: 1", "x-a: 2", "Cookie: a=b", "cookie: c=d",
        "Content-Length: 3", "Connection: x-hop", "X-Hop: 1", "X-Forwarded-For: 10.0.0.1", body=b"abc",
    )  # fmt: skip
    _, service = asked(talk, sent)
    found = service.asked()
    http = found.request.http
    assert (http.method, http.path, http.host, http.scheme) == ("POST", "/a?x=1", "a.com:81", "http")
    assert (http.id, http.protocol, http.size, http.body) == ("id", "HTTP/1.1", 3, "")
    assert dict(http.headers) == {
        ":authority": "a.com:81", ":method": "POST", ":path": "/a?x=1", ":scheme": "http",
        "x-a": "1,2", "cookie": "a=b; c=d", "content-length": "3", "x-request-id": "id",
        "x-forwarded-for": "192.0.2.1", "x-forwarded-proto": "http", "x-forwarded-host": "a.com:81",
    }  # fmt: skip
    source, destination = (found.source.address.socket_address, found.destination.address.socket_address)
    assert (source.address, source.port_value) == ("192.0.2.1", 40000)
    assert (destination.address, destination.port_value) == (HERE, 80)


def test_only_what_is_listed(start: Start):
    talk = guarded(start, request=(b"x-a", b":path", b"host", b"absent"))
    _, service = asked(talk, message("GET /a HTTP/1.1", "Host: a", "X-A: 1", "X-B: 2"))
    assert dict(service.asked().request.http.headers) == {"x-a": "1", ":path": "/a", "host": "a"}


def test_a_body_is_shown_when_it_is_asked_for(start: Start):
    talk = guarded(start, body=10)
    chunks = b"1\r\n\xff\r\n0\r\n\r\n"
    _, service = asked(talk, message("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=chunks))
    http = service.asked().request.http
    assert (http.body, http.raw_body, http.size) == ("!", b"\xff", 1)


def test_a_body_that_is_longer_than_the_windows(start: Start):
    talk = guarded(start, body=500_000)
    client, service = asked(talk, message("POST / HTTP/1.1", "Host: a", "Content-Length: 400000", body=b"x" * 400_000))
    for _ in range(20):
        service.settle()
    assert service.asked().request.http.body == "x" * 400_000
    service.says(YES)
    backend = talk.backend()
    assert backend.takes().endswith(b"x" * 400_000)
    backend.sends(OK)
    assert client.takes() == OK
    all_is_given_back(talk)


def test_a_request_of_http2(talk: Conversation):
    client = Client2(talk)
    client.asks("POST", "/", end=False)
    http = Service(talk.backend()).asked().request.http
    assert (http.protocol, http.host, http.size) == ("HTTP/2", "a", -1)


def test_questions_share_a_connection(talk: Conversation):
    clients = [talk.client() for _ in range(3)]
    for client in clients:
        client.sends(GET)
    assert talk.asks == 1
    service = Service(talk.backend())
    for stream in (5, 1, 3):
        service.asked(stream)
        service.says(NO, stream)
    assert all(client.takes().startswith(b"HTTP/1.1 403 Forbidden\r\n") for client in clients)
    all_is_given_back(talk)


# -- the answer --------------------------------------------------------------------------------------------------------


def test_allowed(talk: Conversation):
    client, service = asked(talk)
    service.says(YES)
    backend = talk.backend()
    backend.sends(OK)
    assert client.takes() == OK
    all_is_given_back(talk)


def test_changes_of_the_request_and_of_the_response(talk: Conversation):
    sent = ("Host: a", "X-User: evil", "x_user: evil", "Authorization: x", "X-Tag: client")
    client, service = asked(talk, message("GET /a?keep=1&drop=2&set=0 HTTP/1.1", *sent))
    service.says(
        allows(
            headers=[
                option("X-User", "me"),
                option("x-tag", "service", append=BoolValue(value=True)),
                option(":path", "/evil"),
                option("host", "evil"),
                option("content-length", "99"),
            ],
            headers_to_remove=["authorization", "host", ":method"],
            response_headers_to_add=[option("set-cookie", "a=b"), option("x-backend", "hidden")],
            query_parameters_to_set=[QueryParameter(key="set", value="a b")],
            query_parameters_to_remove=["drop"],
        )
    )
    backend = talk.backend()
    assert backend.takes() == message(
        "GET /a?keep=1&set=a%20b HTTP/1.1", "host: a", "X-Tag: client", "x-user: me", "x-tag: service"
    )
    backend.sends(message("HTTP/1.1 200 OK", "X-Backend: shop", "content-length: 0"))
    assert client.takes() == message("HTTP/1.1 200 OK", "set-cookie: a=b", "x-backend: hidden", "content-length: 0")


DENIALS = [
    (NO, "HTTP/1.1 403 Forbidden", b"403 Forbidden\n"),
    (denies(), "HTTP/1.1 403 Forbidden", b"403 Forbidden\n"),
    (denies(status=HttpStatus(code=401), headers=[option("www-authenticate", "Basic")]),
     "HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic\r\n", b"\r\n\r\n"),
    (denies(status=HttpStatus(code=302), headers=[option("location", "/login"), option("set-cookie", "a=b"),
                                                 option("set-cookie", "c=d"), option("content-length", "9")]),
     "HTTP/1.1 302 Found\r\nlocation: /login\r\nset-cookie: a=b\r\nset-cookie: c=d\r\ndate: now\r\n", b"\r\n\r\n"),
    (denies(body="<html>", headers=[option("content-type", "text/html")]),
     "HTTP/1.1 403 Forbidden\r\ncontent-type: text/html\r\n", b"content-length: 6\r\n\r\n<html>"),
    (denies(body="why"), "HTTP/1.1 403 Forbidden\r\ncontent-type: text/plain\r\n", b"content-length: 3\r\n\r\nwhy"),
    (denies(status=HttpStatus(code=200), body="log in"), "HTTP/1.1 200 OK\r\n", b"log in"),
    (CheckResponse(status=Status(code=0), denied_response=DeniedHttpResponse()), "HTTP/1.1 403 Forbidden", b"\n"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "first", "end"), DENIALS)
def test_denied(talk: Conversation, answer: CheckResponse, first: str, end: bytes):
    client, service = asked(talk)
    service.says(answer)
    found = client.takes()
    assert found.startswith(first.encode()), found
    assert found.endswith(end), found
    assert (talk.line["reason"], talk.asks) == ("auth_denied", 0)


def test_an_http_service_behind_http2(start: Start):
    filters = Filters(auth=AuthPlan("auth", path=b"/check", body=9, response=(b"x-user",)))
    talk = start(rule(filters=filters), endpoints=PLACES, protocols={"auth": "h2c"})
    client, service = asked(talk, message("POST /a?x=1 HTTP/1.1", "Host: a", "Content-Length: 3", body=b"abc"))
    service.settle()
    found = service.messages[1]
    assert (found.start, found.body) == ((b"POST", b"/check/a?x=1", b"a"), b"abc")
    assert found.fields == {b"content-length": b"3"}
    service.answers(1, 200, ("x-user", "me"))
    backend = talk.backend()
    assert backend.takes() == message("POST /a?x=1 HTTP/1.1", "host: a", "x-user: me", "content-length: 3", body=b"abc")
    backend.sends(OK)
    client.sends(GET)
    service.settle()
    service.answers(3, 401, ("x-why", "no"), end=False)
    service.sends(3, b"no", end=True)
    assert client.takes().removeprefix(OK) == message(
        "HTTP/1.1 401 Unauthorized", "x-why: no", "date: now", "content-length: 2", body=b"no"
    )
    all_is_given_back(talk)


# -- no answer ---------------------------------------------------------------------------------------------------------

FRAMED = grpc.frame(YES.SerializeToString())
BROKEN: list[tuple[bytes, str]] = [
    (b"", "0"),
    (FRAMED, "17"),
    (FRAMED, "-1"),
    (FRAMED, ""),
    (FRAMED * 2, "0"),
    (FRAMED[:-1], "0"),
    (FRAMED + b"x", "0"),
    (b"\x01" + FRAMED[1:], "0"),  # compressed, though nobody said that it may be
    (grpc.frame(b""), "0"),
    (grpc.frame(b"\xff\xff\xff"), "0"),
    (grpc.frame(b"\x0a\x00\x12"), "0"),
    (grpc.frame(allows(headers=[option("x-user", "a\r\nx-admin: yes")]).SerializeToString()), "0"),
    (grpc.frame(allows(headers=[option("x user", "a")]).SerializeToString()), "0"),
    (grpc.frame(denies(headers=[option("x", "\r\n\r\nHTTP/1.1 200 OK")]).SerializeToString()), "0"),
    (grpc.frame(YES.SerializeToString() + b"\x1a" + b"\x80" * 9), "0"),
]


@pytest.mark.parametrize(("body", "status"), BROKEN)
def test_broken_answers(talk: Conversation, body: bytes, status: str):
    client, service = asked(talk)
    service.says(body, status=status)
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert (talk.line["reason"], talk.asks) == ("auth_bad_answer", 0)
    all_is_given_back(talk)


@pytest.mark.parametrize("status", [1, 2, 8, 14, 16])
def test_a_call_that_failed(talk: Conversation, status: int):
    """Whatever came before its status; the access line says which."""
    client, service = asked(talk)
    service.says(FRAMED, status=str(status))
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert (talk.line["reason"], talk.asks) == (f"auth_call_failed_{status}", 0)
    all_is_given_back(talk)


def test_an_answer_that_is_too_long(talk: Conversation):
    client, service = asked(talk)
    service.answers(1, 200, CALL, end=False)
    service.sends(1, b"\0\xff\xff\xff\xff" + b"x" * 60_000)
    assert client.takes() == b""
    service.sends(1, b"x" * 6_000)
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert (service.messages[1].reset, talk.line["reason"]) == (8, "auth_answer_too_long")
    all_is_given_back(talk)


HEADS: list[tuple[int, tuple[tuple[str, str], ...]]] = [
    (200, (CALL, ("grpc-status", "012"))),
    (200, (CALL, ("grpc-status", "0"))),  # a call that succeeded without an answer
    (200, (("content-type", "text/html"),)),
    (404, (CALL, ("grpc-status", "0"))),
    (503, ()),
]


@pytest.mark.parametrize(("status", "fields"), HEADS)
def test_answers_that_are_a_head_only(talk: Conversation, status: int, fields: tuple[tuple[str, str], ...]):
    client, service = asked(talk)
    service.answers(1, status, *fields)
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert talk.line["reason"] == "auth_bad_answer"


def test_a_service_without_such_a_method(talk: Conversation):
    client, service = asked(talk)
    service.answers(1, 200, CALL, ("grpc-status", "12"))
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert talk.line["reason"] == "auth_call_failed_12"


def test_a_reset_is_no_answer_and_a_refused_stream_is_tried_again(talk: Conversation):
    client, service = asked(talk)
    service.resets(1)
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    client.sends(GET)
    service.asked(3)
    service.resets(3, 7)
    again = Service(talk.backend())
    again.says(YES)
    talk.backend().sends(OK)
    assert client.takes() == OK
    all_is_given_back(talk)


def test_too_slow(talk: Conversation):
    client, service = asked(talk)
    service.answers(1, 200, CALL, end=False)
    service.sends(1, FRAMED)
    talk.passes(6)
    assert client.takes().startswith(b"HTTP/1.1 504 ")
    service.settle()
    assert service.messages[1].reset == 8
    all_is_given_back(talk)


def test_a_client_that_leaves_cancels_the_call(talk: Conversation):
    client, service = asked(talk)
    client.leaves()
    service.settle()
    assert service.messages[1].reset == 8
    assert service.peer.state == "open"
    all_is_given_back(talk)
