"""WebSockets and the connections to a backend with HTTP/2, which they share with each other and with requests."""

from __future__ import annotations

from h2.settings import SettingCodes

from tests.proxy.conversation import Client, Conversation, Start
from tests.proxy.http2.tunnels import accepted, client_of
from tests.proxy.pairs import nothing_is_left
from tests.proxy.peers import Backend2, Client2


def opened(talk: Conversation, speaker: Backend2, stream: int) -> Client:
    """A client whose WebSocket is a stream of a connection to the backend that is there already."""
    client: Client = client_of(talk, "h1")
    assert talk.asks == 0
    speaker.settle()
    assert speaker.messages[stream].start[:2] == (b"CONNECT", b"/ws")
    speaker.answers(stream, 200, end=False)
    assert client.takes().startswith(b"HTTP/1.1 101 ")
    return client


def test_websockets_share_a_connection_to_a_backend(start: Start) -> None:
    """Open at the same time or one after the other; one connection each would fill the pool."""
    talk = start(protocol="h2c", upstream_connections=1)
    first, speaker = accepted(talk, "h1", "h2")
    second = opened(talk, speaker.speaker, 3)
    first.leaves()
    second.ends()
    speaker.speaker.settle()
    for stream in (1, 3):
        speaker.speaker.h2.end_stream(stream)
    speaker.speaker.flush()
    opened(talk, speaker.speaker, 5)
    assert talk.runtime.backends["shop"].open == 1


def test_many_that_wait_for_a_backend_that_knows_no_tunnels(start: Start) -> None:
    """A WebSocket waits for a connection as any request does, and each that waited is answered in its turn."""
    talk = start(protocol="h2c", upstream_connections=1, upstream_pending=2000)
    client = Client2(talk)
    client.asks()
    backend = Backend2(talk.backend(), settings={SettingCodes.MAX_CONCURRENT_STREAMS: 1})
    waiting = [client_of(talk, "h1") for _ in range(1500)]
    backend.answers(1)
    for each in waiting:
        assert each.takes().startswith(b"HTTP/1.1 502 ")
    assert talk.runtime.backends["shop"].open == 1
    nothing_is_left(talk)
