"""ExternalAuth and the bodies of requests: they wait at the client, or are kept and shown; long ones do not pass."""

from __future__ import annotations

import pytest

from gatewayd.proxy.authorization import bodies
from tests.proxy.authorization.service import NO, PLACES, QUESTION, YES, all_is_given_back, asked, guarded, outcome
from tests.proxy.conversation import GET, OK, Conversation, Start, message
from tests.proxy.peers import Client2


@pytest.fixture
def talk(start: Start) -> Conversation:
    return start(guarded(), endpoints=PLACES)


def test_a_body_that_nobody_asked_for_waits_at_the_client(talk: Conversation):
    client, service = asked(talk, message("POST / HTTP/1.1", "Host: a", "Content-Length: 6", body=b"one"))
    assert client.held_back()
    assert service.takes() == message("POST / HTTP/1.1", "host: a", "content-length: 0")
    client.sends(b"two")
    talk.passes(4)  # the time is not the client's
    service.sends(YES)
    backend = talk.backend()
    assert not client.held_back()
    assert backend.takes() == message("POST / HTTP/1.1", "host: a", "content-length: 6", body=b"onetwo")
    backend.sends(OK)
    assert client.takes() == OK
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 6", body=b"one"))
    service.sends(YES)
    assert backend.takes().endswith(b"\r\n\r\none")  # over the pooled connection
    client.sends(b"two")
    assert backend.takes() == b"two"


def test_a_denial_does_not_wait_for_the_body(talk: Conversation):
    client, service = asked(talk, message("POST / HTTP/1.1", "Host: a", "Content-Length: 6", body=b"one"))
    service.sends(NO)
    assert client.takes() == NO
    client.sends(b"two" + GET)
    assert service.takes().endswith(QUESTION)


@pytest.mark.parametrize("framing", ["Content-Length: 6", "Transfer-Encoding: chunked"])
def test_a_body_that_is_shown_is_whole(start: Start, framing: str):
    talk = start(guarded(body=6), endpoints=PLACES)
    chunked = "chunked" in framing
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", framing, body=b"3\r\none\r\n" if chunked else b"one"))
    assert (talk.asks, client.held_back()) == (0, False)
    client.sends(b"3\r\ntwo\r\n0\r\n\r\n" if chunked else b"two")
    service = talk.backend()
    assert service.takes() == message("POST / HTTP/1.1", "host: a", "content-length: 6", body=b"onetwo")
    service.sends(YES)
    expected = b"\r\n\r\n6\r\nonetwo\r\n0\r\n\r\n" if chunked else b"content-length: 6\r\n\r\nonetwo"
    assert talk.backend().takes().endswith(expected)
    assert talk.runtime.bodies.bytes == 0


def test_a_body_that_is_shown_is_read_on_after_a_pause(start: Start):
    """What came ahead of its turn was more than a buffer, so reading rested."""
    talk = start(guarded(body=100), endpoints=PLACES, buffer_bytes=10)
    client, service = asked(talk, GET)
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 60", body=b"x" * 30))
    assert client.held_back()
    service.sends(YES)
    talk.backend().sends(OK)
    assert client.takes() == OK
    assert not client.held_back()
    client.sends(b"y" * 30)
    assert service.takes().endswith(b"x" * 30 + b"y" * 30)


def test_a_client_that_waits_for_100_gets_it_from_us(start: Start):
    talk = start(guarded(body=6), endpoints=PLACES)
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 6", "Expect: 100-continue"))
    assert client.takes() == message("HTTP/1.1 100 Continue")
    client.sends(b"onetwo")
    service = talk.backend()
    assert service.takes() == message("POST / HTTP/1.1", "host: a", "content-length: 6", body=b"onetwo")
    service.sends(YES)
    assert talk.backend().takes() == message("POST / HTTP/1.1", "host: a", "content-length: 6", body=b"onetwo")


TOO_LONG: list[tuple[str, list[bytes]]] = [
    ("Content-Length: 7", [b""]),
    ("Content-Length: 7", [b"onetwo!"]),
    ("Transfer-Encoding: chunked", [b"7\r\nonetwo!\r\n0\r\n\r\n"]),
    ("Transfer-Encoding: chunked", [b"3\r\none\r\n", b"4\r\ntwo!\r\n"]),
]


@pytest.mark.parametrize(("framing", "pieces"), TOO_LONG)
def test_longer_bodies_are_refused(start: Start, framing: str, pieces: list[bytes]):
    """HTTPExternalAuthFilter.forwardBody: bodies over that size must be rejected with a 4xx error."""
    talk = start(guarded(body=6), endpoints=PLACES)
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", framing, "Expect: 100-continue", body=pieces[0]))
    for piece in pieces[1:]:
        client.sends(piece)
    assert client.takes().removeprefix(message("HTTP/1.1 100 Continue")).startswith(b"HTTP/1.1 413 ")
    assert outcome(talk) == (413, "auth_body_too_large", 0)
    all_is_given_back(talk)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for ten bytes."""
    monkeypatch.setattr(bodies, "SHOWN_BYTES", 10)


POST = message("POST / HTTP/1.1", "Host: a", "Content-Length: 6")


@pytest.mark.usefixtures("small")
def test_all_bodies_together_are_bounded(start: Start):
    talk = start(guarded(body=6), endpoints=PLACES)
    talk.client().sends(POST + b"onetwo")
    talk.client().sends(POST + b"onetwo")  # the first waits for its verdict: it stays
    assert outcome(talk) == (503, "auth_overflow", 1)
    assert talk.runtime.bodies.bytes == 6
    talk.backend().sends(YES)
    assert talk.runtime.bodies.bytes == 0


@pytest.mark.usefixtures("small")
def test_who_sends_slowly_does_not_keep_others_out(start: Start):
    talk = start(guarded(body=6), endpoints=PLACES)
    slow = [talk.client() for _ in range(2)]
    for client in slow:
        client.sends(POST + b"onetw")
    quick = talk.client()
    quick.sends(POST + b"onetwo")
    assert slow[0].takes().startswith(b"HTTP/1.1 503 ")
    assert outcome(talk) == (503, "auth_overflow", 1)
    service = talk.backend()
    assert service.takes().endswith(b"onetwo")
    service.sends(YES)
    assert talk.backend().takes().endswith(b"onetwo")
    assert slow[1].takes().startswith(b"HTTP/1.1 503 ")  # there was no room for both
    assert talk.runtime.bodies.bytes == 0


def test_a_body_that_does_not_come(start: Start):
    talk = start(guarded(body=6), endpoints=PLACES)
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 6", body=b"one"))
    talk.passes(40)
    assert client.takes().startswith(b"HTTP/1.1 408 ")
    assert outcome(talk) == (408, "body_timeout", 0)
    all_is_given_back(talk)


@pytest.mark.parametrize("body", [0, 100_000])
def test_bodies_of_http2(start: Start, body: int):
    talk = start(guarded(body=body), endpoints=PLACES)
    client = Client2(talk)
    stream = client.asks("POST", "/", end=False)
    client.sends(stream, b"x" * 50_000)
    if not body:
        service = talk.backend()
        service.sends(YES)
        backend = talk.backend()
    client.sends(stream, b"y" * 50_000, end=True)
    if body:
        service = talk.backend()
        assert service.takes().endswith(b"x" * 50_000 + b"y" * 50_000)
        service.sends(YES)
        backend = talk.backend()
    assert backend.takes().replace(b"\r\n", b"").count(b"y") == 50_000
    backend.sends(OK)
    client.settle()
    assert client.messages[stream].body == b"ok"
    all_is_given_back(talk)
