"""ExternalAuth fails closed: services that are gone, slow, broken or hostile, clients that leave, and long bodies."""

from __future__ import annotations

import random
from typing import Any

import h11
import pytest

from gatewayd.proxy.authorization import guard as authorization
from gatewayd.proxy.authorization.asking import ANSWER_BYTES
from gatewayd.routing.snapshot import AuthPlan, Filters
from tests.proxy.authorization.service import NO, PLACES, QUESTION, YES, all_is_given_back, asked, guarded, outcome
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message
from tests.proxy.peers import Client2, Message, take


@pytest.fixture
def talk(start: Start) -> Conversation:
    return start(guarded(), endpoints=PLACES)


# -- no answer ---------------------------------------------------------------------------------------------------------


def test_no_endpoints(start: Start):
    talk = start(guarded(), endpoints={**PLACES, "auth": ()})
    client = talk.client()
    client.sends(GET)
    assert client.takes().startswith(b"HTTP/1.1 503 ")
    assert outcome(talk) == (503, "auth_no_endpoints", 0)


def test_a_service_that_is_not_in_the_snapshot(start: Start):
    talk = start(guarded(), endpoints={"shop": PLACES["shop"]})
    talk.client().sends(GET)
    assert outcome(talk) == (503, "auth_no_endpoints", 0)


def test_refused(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    talk.refuses()
    assert client.takes().startswith(b"HTTP/1.1 503 ")
    assert outcome(talk) == (503, "auth_unreachable", 0)
    assert talk.runtime.counts.authorizations_failed == 1
    all_is_given_back(talk)


def test_another_endpoint_is_asked_once(start: Start):
    talk = start(guarded(), endpoints={**PLACES, "auth": (("10.0.0.8", 80), ("10.0.0.9", 80))})
    client = talk.client()
    client.sends(GET)
    first = talk.refuses()
    service = talk.backend()
    assert {first, service.transport.peer} == {"10.0.0.8", "10.0.0.9"}
    service.sends(YES)
    assert talk.backend().takes() == ASKED
    client = talk.client()
    client.sends(message("GET / HTTP/1.1", "Host: a"))
    service.leaves()
    assert talk.asks == 1
    talk.refuses()
    assert outcome(talk) == (503, "auth_unreachable", 0)


def test_no_connection_in_time(start: Start):
    talk = start(guarded(), endpoints=PLACES, connect_timeout=1.0)
    talk.client().sends(GET)
    talk.passes(2)
    assert outcome(talk) == (503, "auth_unreachable", 0)
    all_is_given_back(talk)


def test_a_kept_connection_that_died_is_replaced_once(talk: Conversation):
    client, service = asked(talk)
    service.sends(YES)
    backend = talk.backend()
    backend.sends(OK)
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 0"))
    service.leaves()
    again = talk.backend()
    assert again.takes().startswith(b"POST / HTTP/1.1\r\n")
    again.leaves()
    assert outcome(talk) == (502, "auth_bad_answer", 0)
    all_is_given_back(talk)


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"])
def test_too_slow(talk: Conversation, part: bytes):
    """Settings.authorization_timeout: 5 s for the whole answer, whatever came of it."""
    client, service = asked(talk)
    service.sends(part)
    talk.passes(4)
    assert client.takes() == b""
    talk.passes(2)
    assert client.takes().startswith(b"HTTP/1.1 504 ")
    assert outcome(talk) == (504, "auth_timeout", 0)
    assert service.state == "aborted"
    all_is_given_back(talk)


def test_the_time_is_a_setting(start: Start):
    for limit, status in ((1.0, 504), (1000.0, 200)):
        talk = start(guarded(), endpoints=PLACES, authorization_timeout=limit, first_byte_timeout=2000.0)
        _, service = asked(talk)
        talk.passes(2)
        service.sends(YES)
        if status == 200:
            talk.backend().sends(OK)
        assert talk.line["status"] == status


def test_an_answer_that_never_ends(talk: Conversation):
    client, service = asked(talk)
    service.sends(message("HTTP/1.1 200 OK", "transfer-encoding: chunked"))
    for _ in range(12):
        service.sends(b"1\r\na\r\n")
        talk.passes(0.5)
    assert outcome(talk) == (504, "auth_timeout", 0)
    assert client.takes().startswith(b"HTTP/1.1 504 ")


@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden"])
def test_an_answer_that_is_too_long(talk: Conversation, status: str):
    client, service = asked(talk)
    service.sends(message(f"HTTP/1.1 {status}", f"content-length: {ANSWER_BYTES + 1}"))
    service.sends(b"x" * ANSWER_BYTES)
    assert client.takes() == b""
    service.sends(b"x")
    assert outcome(talk) == (502, "auth_answer_too_long", 0)
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    all_is_given_back(talk)


def test_an_answer_of_the_greatest_length(talk: Conversation):
    client, service = asked(talk)
    service.sends(message("HTTP/1.1 403 Forbidden", f"content-length: {ANSWER_BYTES}", body=b"x" * ANSWER_BYTES))
    assert client.takes().endswith(b"x" * ANSWER_BYTES)


BROKEN = [
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"HTTP/1.1 20 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx-user: a\nx-admin: yes\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nx-user: a\x00\r\n\r\n",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 17,
    b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(101)) + b"\r\n",
    b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70000,
]


@pytest.mark.parametrize("answer", BROKEN)
def test_broken_answers(talk: Conversation, answer: bytes):
    client, service = asked(talk)
    service.sends(answer)
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert outcome(talk) == (502, "auth_bad_answer", 0)
    all_is_given_back(talk)


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\nx-us", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\na"])
def test_cut_answers(talk: Conversation, part: bytes):
    client, service = asked(talk)
    service.sends(part)
    service.leaves()
    assert client.takes().startswith(b"HTTP/1.1 502 ")
    assert outcome(talk) == (502, "auth_bad_answer", 0)


def test_any_split_of_an_answer_is_the_same_answer(start: Start):
    whole = message("HTTP/1.1 200 OK", "x-user: me", "content-length: 2", body=b"ok")
    for answer, status in ((NO, 401), (whole, None)):
        for cut in range(1, len(answer)):
            talk = start(guarded(), endpoints=PLACES)
            _, service = asked(talk)
            service.sends(answer[:cut])
            assert (talk.asks, talk.lines) == (0, [])
            service.sends(answer[cut:])
            if status is None:
                assert talk.backend().takes() == message("GET / HTTP/1.1", "host: a", "x-user: me")
            else:
                assert outcome(talk) == (status, "auth_denied", 0)


def test_only_a_whole_200_opens(start: Start):
    """Answers with some bytes changed, cut or doubled: what h11 does not read as a complete 200 lets nobody in."""
    chance = random.Random(1494)
    whole = message("HTTP/1.1 200 OK", "x-user: me", "content-length: 2", body=b"ok")
    opened = 0
    for _ in range(1500):
        answer = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            place = chance.randrange(len(answer))
            answer[place : place + chance.choice((0, 1, 1, 4))] = chance.choice((b"", b"2", b"\r\n", b"\0", b":", b" "))
        talk = start(guarded(), endpoints=PLACES)
        _, service = asked(talk)
        service.sends(bytes(answer))
        service.ends()
        if talk.asks:
            opened += 1
            assert is_whole_200(bytes(answer)), answer
        else:
            assert talk.lines, answer
    assert opened > 50


def is_whole_200(data: bytes) -> bool:
    """What h11 makes of an answer that ends with the connection."""
    peer = h11.Connection(h11.CLIENT)
    peer.send(h11.Request(method="GET", target="/", headers=[("host", "a")]))
    peer.send(h11.EndOfMessage())
    peer.receive_data(data)
    peer.receive_data(b"")
    found = Message()
    take(peer, found)
    return found.ended and found.status == 200


def test_a_second_answer_is_nobodys(talk: Conversation):
    """Bytes that a service sends unasked must not become the verdict about the next request."""
    client, service = asked(talk)
    service.sends(NO + YES)
    assert client.takes().startswith(b"HTTP/1.1 401 ")
    client.sends(GET)
    assert (service.state, outcome(talk)[2]) == ("aborted", 1)
    assert talk.backend().takes() == QUESTION


def test_a_defect_of_ours_is_no_leave(talk: Conversation, monkeypatch: pytest.MonkeyPatch):
    client, service = asked(talk)
    monkeypatch.setattr(authorization, "response_head", None)
    with pytest.raises(AssertionError):  # `settle` tells of exceptions that were caught
        service.sends(NO)
    talk.runtime.errors.clear()
    assert client.takes().startswith(b"HTTP/1.1 500 ")
    assert outcome(talk) == (500, "exception", 0)
    all_is_given_back(talk)


def test_an_endpoint_that_does_not_answer_is_left_out(start: Start):
    talk = start(guarded(), endpoints={**PLACES, "auth": (("10.0.0.8", 80), ("10.0.0.9", 80))})
    for _ in range(9):  # the fifth question of one of them at the latest
        talk.client().sends(GET)
        talk.backend()
        talk.passes(6)
        assert outcome(talk) == (504, "auth_timeout", 0)
        if talk.runtime.counts.upstream_ejections:
            break
    assert len(talk.runtime.backends["auth"].live) == 1


@pytest.mark.parametrize("on_share", [False, True])
def test_two_credentials_are_none(start: Start, on_share: bool):
    """The service might judge one of them, and the backend take the other."""
    talk = start(guarded(on_share=on_share), endpoints=PLACES)
    client = talk.client()
    client.sends(message("GET / HTTP/1.1", "Host: a", "Authorization: Bearer a", "authorization: Bearer b"))
    assert client.takes().startswith(b"HTTP/1.1 400 ")
    assert outcome(talk) == (400, "repeated_authorization", 0)
    client.sends(message("GET / HTTP/1.1", "Host: a", "Authorization: Bearer a"))
    assert b"\r\nAuthorization: Bearer a\r\n" in talk.backend().takes()


# -- limits ------------------------------------------------------------------------------------------------------------


def test_the_limits_of_connections_are_kept(start: Start):
    talk = start(guarded(), endpoints=PLACES, upstream_connections=1, upstream_pending=1)
    clients = [talk.client() for _ in range(3)]
    for client in clients:
        client.sends(GET)
    assert clients[2].takes().startswith(b"HTTP/1.1 503 ")
    assert outcome(talk) == (503, "auth_overflow", 1)
    service = talk.backend()
    assert service.takes() == QUESTION
    service.sends(YES)
    assert service.takes() == QUESTION  # the one that waited
    service.sends(NO)
    assert clients[1].takes().startswith(b"HTTP/1.1 401 ")


def test_nobody_is_asked_while_load_is_shed(talk: Conversation):
    talk.runtime.shedding = True
    talk.client().sends(GET)
    assert outcome(talk) == (503, "overload", 0)


def test_clients_that_leave_take_their_question_along(talk: Conversation):
    client, service = asked(talk)
    client.leaves()
    assert (service.state, outcome(talk)) == ("aborted", (0, "client_closed", 0))
    all_is_given_back(talk)
    gone = talk.client()
    gone.sends(GET)
    gone.leaves()  # while the connection is being made: it serves the next
    service = talk.backend()
    assert service.takes() == b""
    talk.client().sends(GET)
    assert service.takes() == QUESTION
    service.sends(YES)
    assert talk.asks == 1


def test_a_client_of_http2_that_gives_up(talk: Conversation):
    client = Client2(talk)
    stream = client.asks()
    service = talk.backend()
    client.resets(stream)
    assert (service.state, outcome(talk)) == ("aborted", (0, "client_reset", 0))
    all_is_given_back(talk)


def test_a_rule_without_the_filter_pays_nothing(start: Start):
    talk = start(endpoints=PLACES)
    client, backend = talk.exchange()
    client.sends(GET)
    backend.sends(OK)
    assert talk.runtime.counts.authorizations_asked == 0
    assert not any(isinstance(item, authorization.Guard) for item in talk.runtime.timed)


def test_a_refused_share_says_nothing_of_its_redirect(start: Start):
    """A guard that cannot be served closes all of its share, whatever stands beside it."""
    share: Any = Filters(auth=AuthPlan("gone"))
    talk = start(guarded(share_filters=share), endpoints=PLACES)
    _, service = asked(talk)
    service.sends(YES)
    assert outcome(talk) == (503, "auth_no_endpoints", 0)
