"""ExternalAuth and clients that call by gRPC: every refusal is a status that they understand."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse
from envoy.type.v3.http_status_pb2 import HttpStatus

from tests.proxy.authorization.calls import Service, asked, denies, guarded, option
from tests.proxy.authorization.service import all_is_given_back
from tests.proxy.conversation import Conversation, Start, message
from tests.proxy.peers import Client2


@pytest.fixture
def talk(start: Start) -> Conversation:
    return guarded(start)


def test_a_client_of_grpc_gets_a_status(talk: Conversation):
    """Also where the denial says 200: it is no success of the call."""
    client = Client2(talk)
    statuses = {401: b"16", 403: b"7", 429: b"14", 200: b"2"}
    service: Any = None
    for number, (code, expected) in enumerate(statuses.items()):
        stream = client.asks("POST", "/a.B/C", ("content-type", "application/grpc"), ("te", "trailers"))
        service = service or Service(talk.backend())
        service.asked(2 * number + 1)
        service.says(denies(status=HttpStatus(code=code)), 2 * number + 1)
        client.settle()
        found = client.messages[stream]
        assert (found.status, found.fields[b"grpc-status"], found.ended) == (200, expected, True)
        assert found.fields[b"grpc-message"] == b"gateway: auth denied"
        assert talk.line["status"] == code
    all_is_given_back(talk)


HTML = option("Content-Type", "text/html; charset=utf-8")
TOLD = [
    (denies(body="no \u00fc, 100 %\n"), b"no %C3%BC, 100 %25"),
    (denies(body="<html>", headers=[HTML]), b"gateway: auth denied"),
    (denies(body="x" * 1025), b"gateway: auth denied"),
    (denies(headers=[option("grpc-status", "0"), option("grpc-message", "fine")]), b"gateway: auth denied"),
]


@pytest.mark.parametrize(("answer", "expected"), TOLD)
def test_a_client_of_grpc_is_told_why(talk: Conversation, answer: CheckResponse, expected: bytes):
    """As Envoy does it: the body is the message, the fields are metadata."""
    answer.denied_response.headers.append(option("www-authenticate", "Bearer"))
    client = Client2(talk)
    stream = client.asks("POST", "/a.B/C", ("content-type", "application/grpc"), ("te", "trailers"))
    service = Service(talk.backend())
    service.asked()
    service.says(answer)
    client.settle()
    found = client.messages[stream]
    assert (found.status, found.fields[b"content-type"], found.ended) == (200, b"application/grpc", True)
    assert (found.fields[b"grpc-status"], found.fields[b"grpc-message"]) == (b"7", expected)
    assert (found.fields[b"www-authenticate"], found.body) == (b"Bearer", b"")
    assert (talk.line["status"], talk.line["reason"]) == (403, "auth_denied")


def test_over_http1_nobody_calls(talk: Conversation):
    """What says that it is gRPC there takes the answer as any other client."""
    client, service = asked(talk, message("GET / HTTP/1.1", "Host: a", "Content-Type: application/grpc"))
    service.says(denies(body="why"))
    assert client.takes().endswith(b"\r\n\r\nwhy")


def test_a_client_of_grpc_when_the_service_is_gone(talk: Conversation):
    client = Client2(talk)
    stream = client.asks("POST", "/a.B/C", ("content-type", "application/grpc"), ("te", "trailers"), end=False)
    talk.refuses()
    client.settle()
    assert client.messages[stream].fields[b"grpc-status"] == b"14"
    assert talk.line["reason"] == "auth_unreachable"
