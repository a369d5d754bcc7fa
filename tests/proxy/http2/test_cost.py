"""What a request costs, in calls of our functions: a figure that does not depend on the machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import gatewayd
from tests.proxy.conversation import OK, Peer, Start
from tests.proxy.peers import Backend2, Client2

STREAMS = 16
OURS = str(Path(gatewayd.__file__).parent)  # the checkout's folder may be called so too, and the tests stand in it
FIELDS = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/"), ("user-agent", "x")]


class Calls:
    """How often functions of the traffic path are called."""

    def __init__(self) -> None:
        self.count = 0

    def _see(self, frame: Any, event: str, argument: Any) -> None:
        self.count += event == "call" and frame.f_code.co_filename.startswith(OURS)

    def deliver(self, peer: Peer, data: bytes) -> None:
        sys.setprofile(self._see)
        try:
            peer.transport.deliver(data)
            peer.talk.loop.turn()
        finally:
            sys.setprofile(None)


def requests(client: Client2, first: int, *, unique: bool) -> bytes:
    for stream in range(first, first + 2 * STREAMS, 2):
        more = [("x-id", str(stream))] if unique else []
        client.h2.send_headers(stream, FIELDS + more, end_stream=True)
    return client.h2.data_to_send()


@pytest.mark.parametrize(("unique", "most"), [(False, 70), (True, 85)])
def test_of_http2_to_http2(start: Start, unique: bool, most: int) -> None:
    talk = start(protocol="h2c")
    client = Client2(talk)
    calls, backend = Calls(), None
    for turn in range(4):
        calls.count = 0
        calls.deliver(client.peer, requests(client, 1 + 2 * STREAMS * turn, unique=unique))
        backend = backend or Backend2(talk.backend())
        backend.pull()
        for stream in [*backend.messages][-STREAMS:]:
            backend.h2.send_headers(stream, [(":status", "200"), ("content-length", "2")])
            backend.h2.send_data(stream, b"ok", end_stream=True)
        calls.deliver(backend.peer, backend.h2.data_to_send())
        client.pull()
    assert all(message.body == b"ok" for message in client.messages.values())
    assert len(client.messages) == 4 * STREAMS
    assert 20 < calls.count / STREAMS <= most


def test_of_http2_to_http1(start: Start) -> None:
    talk = start()
    client = Client2(talk)
    calls = Calls()
    backends: list[Any] = []
    for turn in range(4):
        calls.count = 0
        calls.deliver(client.peer, requests(client, 1 + 2 * STREAMS * turn, unique=False))
        while talk.asks:
            backends.append(talk.backend())
        for backend in backends:
            calls.deliver(backend, OK)
        client.pull()
    assert all(message.body == b"ok" for message in client.messages.values())
    assert len(client.messages) == 4 * STREAMS
    assert 20 < calls.count / STREAMS <= 55
