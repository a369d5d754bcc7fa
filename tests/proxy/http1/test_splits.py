"""However the network cuts them, the same bytes arrive on one side as leave on the other."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.proxy.conversation import GET, OK, Backend, Client, Conversation, message
from tests.proxy.fakes import Clock

BODY = bytes(range(256))


def chunked(cuts: list[int], ending: bytes = b"0\r\n\r\n") -> bytes:
    places = [0, *sorted(set(cuts) - {0, len(BODY)}), len(BODY)]
    return b"".join(b"%x\r\n%b\r\n" % (end - at, BODY[at:end]) for at, end in pairwise(places)) + ending


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted({cut % len(data) for cut in cuts} - {0}), len(data)]
    return [data[at:end] for at, end in pairwise(places)]


def unchunked(data: bytes) -> tuple[bytes, bytes]:
    """(the decoded body, what follows it), by a decoder that is not the gateway's."""
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            assert data.startswith(b"\r\n")
            return body, data[2:]
        body += data[:length]
        assert data[length : length + 2] == b"\r\n"
        data = data[length + 2 :]


CUTS = st.lists(st.integers(0, 1000), max_size=12)
quick = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

SIZED = message("PUT /s HTTP/1.1", "Host: a", "Content-Length: 256", body=BODY)


def open_conversation(clock: Clock) -> tuple[Conversation, Client, Backend]:
    talk = Conversation(clock)
    return talk, *talk.exchange()


@quick
@given(cuts=CUTS, chunks=CUTS)
def test_requests(clock: Clock, cuts: list[int], chunks: list[int]):
    """A sized request, a chunked one and one without a body, in one stream of bytes cut anywhere."""
    head = message("PUT /c HTTP/1.1", "Host: a", "Transfer-Encoding: chunked")
    stream = SIZED + head + chunked([cut % 256 for cut in chunks]) + GET
    talk, client, backend = open_conversation(clock)
    seen = b""
    answers = 0
    for piece in pieces(stream, cuts):
        client.sends(piece)
        seen += backend.takes()
        while answers < complete(seen):
            backend.sends(OK)
            answers += 1
            seen += backend.takes()
    sized = message("PUT /s HTTP/1.1", "host: a", "content-length: 256", body=BODY)
    head = message("PUT /c HTTP/1.1", "host: a", "transfer-encoding: chunked")
    assert seen.startswith(sized + head)
    body, rest = unchunked(seen[len(sized + head) :])
    assert (body, rest) == (BODY, message("GET / HTTP/1.1", "host: a"))
    assert client.takes() == OK * 3
    assert talk.asks == 0


def complete(seen: bytes) -> int:
    """How many of the three requests the backend has whole."""
    return (BODY in seen) + (b"\r\n0\r\n\r\n" in seen) + seen.endswith(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")


def response(*fields: str, body: bytes) -> bytes:
    return message("HTTP/1.1 200 OK", *fields, body=body)


WHOLE = response("content-length: 256", body=BODY)
RESPONSES = {
    "sized": (WHOLE, False),
    "interim": (message("HTTP/1.1 103 Early Hints") + WHOLE, False),
    "chunked": (response("Transfer-Encoding: chunked", body=chunked([10, 100, 101])), False),
    "trailers": (response("Transfer-Encoding: chunked", body=chunked([7], b"0\r\nX: y\r\n\r\n")), False),
    "until close": (response(body=BODY), True),
}


@pytest.mark.parametrize("kind", RESPONSES)
@quick
@given(cuts=CUTS)
def test_responses(clock: Clock, kind: str, cuts: list[int]):
    stream, closes = RESPONSES[kind]
    talk, client, backend = open_conversation(clock)
    client.sends(GET)
    backend.takes()
    for piece in pieces(stream, cuts):
        backend.sends(piece)
    if closes:
        backend.ends()
    answer = client.takes().removeprefix(message("HTTP/1.1 103 Early Hints"))
    head, _, rest = answer.partition(b"\r\n\r\n")
    body = rest if b"content-length: 256" in head else unchunked(rest)[0]
    assert (head[:15], body) == (b"HTTP/1.1 200 OK", BODY)
    assert (client.state, backend.state) == ("open", "aborted" if closes else "open")
    assert talk.line["bytes_out"] == 256


@pytest.mark.parametrize("at", range(1, len(SIZED)))
def test_two_pieces(clock: Clock, at: int):
    _, client, backend = open_conversation(clock)
    client.sends(SIZED[:at])
    client.sends(SIZED[at:])
    assert backend.takes() == message("PUT /s HTTP/1.1", "host: a", "content-length: 256", body=BODY)


def test_byte_by_byte(clock: Clock):
    _, client, backend = open_conversation(clock)
    for at in range(len(SIZED)):
        client.sends(SIZED[at : at + 1])
    assert backend.takes() == message("PUT /s HTTP/1.1", "host: a", "content-length: 256", body=BODY)
    for at in range(len(OK)):
        backend.sends(OK[at : at + 1])
    assert client.takes() == OK
