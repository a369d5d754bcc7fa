"""Calls of gRPC whose time is over when their answer has begun: trailers say so, where they can."""

from __future__ import annotations

import h2.settings
import pytest

from gatewayd.routing.snapshot import Timeouts
from gatewayd.wire.frames import ErrorCode
from tests.proxy.conversation import Conversation, Start, rule
from tests.proxy.pairs import nothing_is_left
from tests.proxy.peers import Backend2, Client2, Message

CALL = (("content-type", "application/grpc"), ("te", "trailers"))
WINDOW = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE


@pytest.fixture
def talk(start: Start) -> Conversation:
    return start(rule(timeouts=Timeouts(request=5.0)), protocol="h2c")


def cut(talk: Conversation, client: Client2, kind: str, body: bytes = b"one", *, end: bool = True) -> Message:
    """What becomes of a call that is answered with this Content-Type and some bytes, and then with nothing."""
    stream = client.asks("POST", "/a.B/C", *CALL, end=end)
    backend = Backend2(talk.backend())
    backend.answers(1, 200, ("content-type", kind), end=False)
    backend.sends(1, body)
    client.settle()
    talk.passes(4)
    client.settle()
    assert not client.messages[stream].ended
    talk.passes(2)
    client.settle()
    backend.settle()
    assert backend.messages[1].reset == ErrorCode.CANCEL
    assert (talk.line["status"], talk.line["reason"]) == (200, "request_timeout")
    return client.messages[stream]


@pytest.mark.parametrize("kind", ["application/grpc", "application/grpc+proto"])
@pytest.mark.parametrize("end", [True, False])
def test_trailers_say_so(talk: Conversation, kind: str, end: bool) -> None:
    message = cut(talk, Client2(talk), kind, end=end)
    assert (message.body, message.ended) == (b"one", True)
    assert message.trailers == {b"grpc-status": b"4", b"grpc-message": b"gateway: request timeout"}
    # The client is asked not to send the rest of a request that goes on (RFC 9113 section 8.1).
    assert message.reset == (None if end else ErrorCode.NO_ERROR)
    nothing_is_left(talk)


def test_an_answer_that_is_no_calls_is_cut(talk: Conversation) -> None:
    message = cut(talk, Client2(talk), "text/html")
    assert (message.body, message.ended, message.reset) == (b"one", False, ErrorCode.INTERNAL_ERROR)
    nothing_is_left(talk)


def test_what_the_client_does_not_take_is_cut(talk: Conversation) -> None:
    message = cut(talk, Client2(talk, credit=False, settings={WINDOW: 10}), "application/grpc", b"x" * 100)
    assert (message.body, message.ended, message.reset) == (b"x" * 10, False, ErrorCode.INTERNAL_ERROR)
    nothing_is_left(talk)
