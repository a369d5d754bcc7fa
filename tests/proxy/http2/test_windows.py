"""Flow control of HTTP/2, and transports that are full."""

from __future__ import annotations

import pytest

from gatewayd.wire import frames
from tests.proxy.conversation import Conversation, Start
from tests.proxy.http2.octets import CANCEL, FLOW_CONTROL_ERROR, WINDOW, ask, body_in, response
from tests.proxy.pairs import nothing_is_left
from tests.proxy.peers import Client2

# -- windows -----------------------------------------------------------------------------------------------------------


def test_a_closed_window_pauses_the_backend(talk: Conversation) -> None:
    client = Client2(talk, credit=False)
    client.asks()
    backend = talk.backend()
    backend.sends(response(1_000_000)[:200_000])
    client.settle()
    assert (len(client.messages[1].body), backend.held_back()) == (65535, True)
    client.h2.increment_flow_control_window(1_000_000, 1)
    client.h2.increment_flow_control_window(1_000_000)
    client.flush()
    assert not backend.held_back()
    assert len(client.messages[1].body) > 190_000
    nothing_is_left(talk)


def test_a_window_that_stays_closed_is_cut(start: Start) -> None:
    talk = start(write_timeout=3.0)
    client = Client2(talk, credit=False)
    client.asks()
    backend = talk.backend()
    backend.sends(response(200_000))
    client.settle()
    talk.passes(2)
    client.h2.increment_flow_control_window(10, 1)
    client.h2.increment_flow_control_window(10)
    client.flush()
    talk.passes(2)
    assert not client.messages[1].reset, "it took some"
    talk.passes(4)
    client.settle()
    assert client.messages[1].reset == CANCEL
    nothing_is_left(talk)


def test_an_answer_of_our_own_waits_no_longer_than_others(start: Start) -> None:
    talk = start(head_bytes=2000, write_timeout=3.0, idle_timeout=5.0)
    client = Client2(talk, credit=False, settings={WINDOW: 0})
    client.asks("GET", "/", ("x-large", "y" * 3000))
    assert (client.messages[1].status, client.messages[1].body) == (431, b"")
    talk.passes(4)
    client.settle()
    assert client.messages[1].reset == CANCEL
    talk.passes(8)
    assert client.peer.state == "aborted"
    nothing_is_left(talk)


def test_windows_that_settings_make_negative(talk: Conversation) -> None:
    client = talk.client()
    client.sends(frames.PREFACE + frames.settings({}) + ask(1, "/"))
    backend = talk.backend()
    backend.sends(response(70_000)[:-65_000])
    assert body_in(client.takes()) == 5000
    client.sends(frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
    backend.sends(b"x" * 65_000)
    client.sends(frames.window_update(1, 5000))
    assert body_in(client.takes()) == 0, "the window is zero now, it was negative"
    client.sends(frames.settings({frames.INITIAL_WINDOW_SIZE: 65_000}) + frames.window_update(0, 20_000))
    assert body_in(client.takes()) == 65_000
    nothing_is_left(talk)


def test_a_body_without_credit_is_bounded(talk: Conversation) -> None:
    """Nobody takes the body: the client can send no more than a stream's window of it."""
    client = Client2(talk)
    client.asks("POST", "/", end=False)
    with pytest.raises(AssertionError, match="window is closed"):
        client.sends(1, b"x" * 1_000_000)
    backend = talk.backend()
    assert len(backend.takes()) < 70_000
    client.settle()
    client.sends(1, b"x" * 100_000, end=True)
    assert len(backend.takes()) > 100_000
    nothing_is_left(talk)


def test_a_backend_that_takes_nothing_stops_the_client(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("POST", "/", end=False)
    backend = talk.backend()
    backend.stalls()
    with pytest.raises(AssertionError, match="window is closed"):
        client.sends(1, b"x" * 1_000_000)
    backend.reads()
    client.settle()
    client.sends(1, b"x" * 60_000)
    nothing_is_left(talk)


def test_more_than_the_window_is_a_fault(talk: Conversation) -> None:
    client = Client2(talk)
    client.asks("POST", "/", end=False)
    client.sends_raw(b"".join(frames.data(1, b"x" * 16384, False) for _ in range(5)))
    assert client.messages[1].reset == FLOW_CONTROL_ERROR
    nothing_is_left(talk)


# -- a transport that is full ------------------------------------------------------------------------------------------


def hungry(talk: Conversation) -> Client2:
    """A client whose windows are never the limit."""
    client = Client2(talk, settings={WINDOW: 10_000_000})
    client.h2.increment_flow_control_window(10_000_000)
    client.flush()
    return client


def test_a_client_that_reads_nothing_pauses_its_backends(start: Start) -> None:
    talk = start(write_timeout=3.0)
    client = hungry(talk)
    client.asks()
    backend = talk.backend()
    client.peer.stalls()
    backend.sends(response(10_000_000)[:100_000])
    assert backend.held_back()
    talk.passes(2.5)
    client.peer.reads_some(10_000)
    talk.passes(2.5)
    assert client.peer.state == "open", "it reads, though slowly"
    talk.passes(4)
    assert (client.peer.state, backend.state) == ("aborted", "aborted")
    assert talk.line["reason"] == "write_timeout"
    nothing_is_left(talk)


def test_it_goes_on_when_the_client_reads_again(talk: Conversation) -> None:
    client = hungry(talk)
    client.asks()
    backend = talk.backend()
    client.peer.stalls()
    backend.sends(response(200_000)[:-50_000])
    assert backend.held_back()
    client.peer.reads()
    assert not backend.held_back()
    backend.sends(b"x" * 50_000)
    client.settle()
    assert (len(client.messages[1].body), client.messages[1].ended) == (200_000, True)
    nothing_is_left(talk)
