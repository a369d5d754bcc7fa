"""Sessions whose endpoint or connection fails, and the limits of connections (GEP-1619, "Failure Behavior")."""

from __future__ import annotations

import pytest

from gatewayd.routing.snapshot import Retry, Timeouts
from tests.proxy.conversation import GET, OK, Client, Conversation, Start, message
from tests.proxy.sticky import TWO, answers, asked, exchange, get, moves, sticky, token_of

BUSY = message("HTTP/1.1 503 Service Unavailable", "content-length: 4", body=b"busy")
CLOSES = message("HTTP/1.1 200 OK", "content-length: 2", "connection: close", body=b"ok")


def begun(talk: Conversation, address: str = "10.0.0.1", response: bytes = OK) -> tuple[Client, bytes]:
    """A client with a session at that endpoint."""
    client = talk.client()
    while True:
        answer = exchange(talk, client, get(), response)
        if answer.address == address:
            return client, answer.token


def answered(talk: Conversation, client: Client) -> tuple[str, bytes]:
    """The request that is under way is answered: by whom, and the token."""
    address = answers(talk, OK)
    data = client.takes()
    assert data.startswith(b"HTTP/1.1 200 ")
    return address, token_of(data)


RULES = [sticky(), sticky(retry=Retry(attempts=2, codes=(503,), backoff=0.01))]


@pytest.mark.parametrize("rule", RULES, ids=["plain", "retry"])
def test_who_cannot_be_connected_to_loses_its_session_to_who_answers(start: Start, rule: object) -> None:
    talk = start(rule, endpoints=TWO)
    client, token = begun(talk, response=CLOSES)
    client.sends(get(token))
    assert talk.refuses() == "10.0.0.1"
    address, new = answered(talk, client)
    assert address == "10.0.0.2"
    assert new not in (b"", token)
    for _ in range(5):
        assert exchange(talk, client, get(token)).token == new, "it is left out for a while"
        assert exchange(talk, client, get(new)).data == OK
    talk.passes(2)
    assert exchange(talk, client, get(token))[:2] == ("10.0.0.1", OK), "and then its old token is good again"


def test_a_kept_alive_connection_that_died_says_nothing_of_its_endpoint(start: Start) -> None:
    for rule in RULES:
        talk = start(rule, endpoints=TWO)
        client, token = begun(talk)
        for _ in range(3):
            client.sends(get(token))
            dead = asked(talk)
            assert dead.transport.peer == "10.0.0.1"
            dead.takes()
            dead.leaves()
            assert answered(talk, client) == ("10.0.0.1", b"")


def test_an_endpoint_that_died_with_its_connection(start: Start) -> None:
    """One more attempt at it, and one at another endpoint: the client sees nothing of it but its new token."""
    for rule in RULES:
        talk = start(rule, endpoints=TWO)
        client, token = begun(talk)
        client.sends(get(token))
        asked(talk).leaves()
        assert talk.refuses() == "10.0.0.1"
        address, new = answered(talk, client)
        assert address == "10.0.0.2"
        assert new not in (b"", token)


def test_no_endless_attempts(start: Start) -> None:
    talk = start(sticky(), endpoints=TWO)
    client, token = begun(talk)
    client.sends(get(token))
    asked(talk).leaves()
    assert [talk.refuses() for _ in range(2)] == ["10.0.0.1", "10.0.0.2"]
    data = client.takes()
    assert (data[:12], token_of(data), talk.asks) == (b"HTTP/1.1 503", b"", 0)


def test_a_draining_endpoint_that_is_gone_already(start: Start) -> None:
    talk = start(sticky(), endpoints=TWO)
    client, token = begun(talk)
    moves(talk, ("10.0.0.2", 80), draining=(("10.0.0.1", 80),))
    client.sends(get(token))
    assert talk.refuses() == "10.0.0.1"
    assert answered(talk, client)[0] == "10.0.0.2"
    talk.passes(10)
    client.sends(get(token))
    assert answered(talk, client)[0] == "10.0.0.2", "what drains does not come back by itself"


def test_a_post_is_not_sent_twice(start: Start) -> None:
    talk = start(sticky(), endpoints=TWO)
    client, token = begun(talk)
    client.sends(get(token, "Content-Length: 0", method="POST"))
    asked(talk).leaves()
    assert client.takes()[:12] == b"HTTP/1.1 502"


def test_one_endpoint_alone_keeps_the_session_and_its_time(start: Start) -> None:
    talk = start(RULES[1])
    client, token = begun(talk)
    client.sends(get(token))
    answers(talk, BUSY)
    assert answered(talk, client) == ("10.0.0.1", b"")


def test_a_retry_for_a_status_goes_elsewhere_and_takes_the_session_along(start: Start) -> None:
    talk = start(RULES[1], endpoints=TWO)
    client, token = begun(talk)
    client.sends(get(token))
    answers(talk, BUSY)
    address, new = answered(talk, client)
    assert address == "10.0.0.2"
    assert new not in (b"", token)


def test_the_answer_that_is_passed_on_at_last_tells_of_its_own_endpoint(start: Start) -> None:
    talk = start(sticky(retry=Retry(attempts=1, codes=(503,), backoff=0.01)), endpoints=TWO)
    client, token = begun(talk)
    client.sends(get(token))
    answers(talk, BUSY)
    answers(talk, BUSY)
    data = client.takes()
    assert data.startswith(b"HTTP/1.1 503 ")
    assert token_of(data) not in (b"", token)


def test_a_timeout_has_no_token(start: Start) -> None:
    talk = start(sticky(timeouts=Timeouts(request=0.5)), endpoints=TWO)
    client, token = begun(talk)
    client.sends(get(token))
    asked(talk)
    talk.passes(1)
    data = client.takes()
    assert (data[:12], token_of(data)) == (b"HTTP/1.1 504", b"")


# -- the limit of connections ------------------------------------------------------------------------------------------


def test_at_the_limit_a_session_takes_the_place_of_an_idle_connection(start: Start) -> None:
    talk = start(sticky(), endpoints=TWO, upstream_connections=1)
    one, first = begun(talk, "10.0.0.1", CLOSES)
    other, second = begun(talk, "10.0.0.2", CLOSES)
    for _ in range(3):
        assert exchange(talk, one, get(first))[:2] == ("10.0.0.1", OK)
        assert exchange(talk, other, get(second))[:2] == ("10.0.0.2", OK)
        assert talk.runtime.backends["shop"].open == 1


def test_a_free_connection_goes_to_no_session_of_another_endpoint(start: Start) -> None:
    talk = start(sticky(), endpoints=TWO, upstream_connections=1)
    one, first = begun(talk, "10.0.0.1", CLOSES)
    _, second = begun(talk, "10.0.0.2", CLOSES)
    one.sends(get(first))
    busy = talk.backend()
    bound, free = talk.client(), talk.client()
    bound.sends(get(second))
    free.sends(GET)
    assert talk.asks == 0
    busy.takes()
    busy.sends(OK)
    assert busy.takes() == message("GET / HTTP/1.1", "host: a"), "who is in no session goes first then"
    busy.sends(OK)
    assert token_of(free.takes()) == first, "it is one from now on"
    assert busy.state == "closed"
    assert answered(talk, bound) == ("10.0.0.2", b"")


def test_who_waits_for_the_same_endpoint_gets_its_connection(start: Start) -> None:
    talk = start(sticky(), endpoints=TWO, upstream_connections=1)
    one, first = begun(talk, "10.0.0.1", CLOSES)
    other = talk.client()
    one.sends(get(first))
    busy = talk.backend()
    other.sends(get(first))
    busy.sends(OK)
    busy.sends(OK)
    assert other.takes() == OK
    assert (busy.state, talk.asks) == ("open", 0)
