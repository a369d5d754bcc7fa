"""The pairings of versions: a client of each with a backend of each."""

from __future__ import annotations

from typing import Any

from tests.proxy.conversation import Conversation
from tests.proxy.peers import BACKENDS, CLIENTS

PAIRS = [(client, backend) for client in CLIENTS for backend in BACKENDS]


class Pair:
    """A client and, once there is one, the backend that it is joined with."""

    def __init__(self, talk: Conversation, client: str, backend: str) -> None:
        self.talk = talk
        self.client: Any = CLIENTS[client](talk)
        self._kind = BACKENDS[backend]
        self.backend: Any = None

    def asks(self, *arguments: Any, **options: Any) -> int:
        stream: int = self.client.asks(*arguments, **options)
        if self.backend is None:
            self.backend = self._kind(self.talk.backend())
        return stream

    def settle(self) -> None:
        for _ in range(4):  # windows go to and fro
            self.client.settle()
            self.backend.settle()

    def request(self, stream: int = 1) -> Any:
        self.settle()
        return self.backend.messages[stream]

    def response(self, stream: int = 1) -> Any:
        self.settle()
        return self.client.messages[stream]


def nothing_is_left(talk: Conversation) -> None:
    """After both sides are gone: no deadline, no stream, no count."""
    while talk.asks:
        talk.refuses()
    for peer in talk.peers:
        peer.leaves()
    assert talk.runtime.timed == set()
    assert not talk.runtime.connections
    for backend in talk.runtime.backends.values():
        assert (backend.open, [(e.active, e.open, len(e.idle)) for e in backend.endpoints]) == (0, [(0, 0, 0)])
