"""What an HTTP/2 client can do to us, and where it ends (RFC 9113 section 10.5): a GOAWAY of the right code, nothing
kept. What honest clients do as often goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from gatewayd.wire import frames
from tests.frames import cut
from tests.proxy.conversation import OK, Conversation, Start, message
from tests.proxy.http2.octets import ask, body_in, goaways
from tests.proxy.pairs import nothing_is_left

HELLO = frames.PREFACE + frames.settings({})
NO_ERROR, PROTOCOL_ERROR, FRAME_SIZE_ERROR, COMPRESSION_ERROR, CALM = 0, 1, 6, 9, 11
LARGE = message("HTTP/1.1 200 OK", "content-length: 10000000")


def raw(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return frames.FRAME_HEADER.pack(len(payload) << 8 | kind, flags, stream) + payload


def rapid_resets() -> Iterator[bytes]:
    for stream in range(1, 100_000, 2):
        yield ask(stream, "/") + frames.rst_stream(stream, 8)


def resets_of_ours() -> Iterator[bytes]:
    """MadeYouReset (CVE-2025-8671): the client makes us reset what it asked for."""
    for stream in range(1, 100_000, 2):
        yield ask(stream, "/") + raw(frames.WINDOW_UPDATE, 0, stream, bytes(4))


def streams_over_the_limit() -> Iterator[bytes]:
    for stream in range(1, 100_000, 2):
        yield ask(stream, "/")


def continuations() -> Iterator[bytes]:
    yield raw(frames.HEADERS, 0, 1, b"")
    while True:
        yield raw(frames.CONTINUATION, 0, 1, b"")


def long_continuations() -> Iterator[bytes]:
    yield raw(frames.HEADERS, 0, 1, b"")
    while True:
        yield raw(frames.CONTINUATION, 0, 1, b"\x00\x01a\x7f\xff\x7f" + b"b" * 16000)


def forever(frame: bytes) -> Callable[[], Iterator[bytes]]:
    def attack() -> Iterator[bytes]:
        yield ask(1, "/")[:4] + bytes([frames.END_HEADERS]) + ask(1, "/")[5:]  # a body is to come
        while True:
            yield frame

    return attack


ATTACKS = {
    "rapid reset": (rapid_resets, CALM, 101),
    "made you reset": (resets_of_ours, CALM, 101),
    "streams": (streams_over_the_limit, CALM, 201),
    "continuations": (continuations, CALM, 10),
    "long continuations": (long_continuations, CALM, 10),
    "settings": (forever(frames.settings({})), CALM, 101),
    "settings that resize": (forever(frames.settings({4: 1}) + frames.settings({4: 2})), CALM, 51),
    "pings": (forever(frames.ping(bytes(8))), CALM, 1002),
    "empty data": (forever(frames.data(1, b"", False)), CALM, 102),
    "padding alone": (forever(raw(frames.DATA, frames.PADDED, 1, b"\x03\x00\x00\x00")), CALM, 102),
    "priorities": (forever(raw(frames.PRIORITY, 0, 1, b"\x00\x00\x00\x03\x01")), CALM, 1002),
    "windows": (forever(frames.window_update(1, 1)), CALM, 1002),
    "windows of the connection": (forever(frames.window_update(0, 1)), CALM, 1002),
    "resets of what is over": (forever(frames.rst_stream(1, 8)), CALM, 102),
    "a frame over the size": (forever(raw(frames.DATA, 0, 1, bytes(16385))), FRAME_SIZE_ERROR, 2),
    "a push": (forever(raw(frames.PUSH_PROMISE, 4, 1, bytes(4))), PROTOCOL_ERROR, 2),
    "codes that are none": (
        lambda: iter([raw(frames.HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff")]),
        COMPRESSION_ERROR,
        1,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_ends(talk: Conversation, name: str) -> None:
    attack, code, most = ATTACKS[name]
    client = talk.client()
    client.sends(HELLO)
    for step, data in enumerate(attack(), 1):
        client.sends(data)
        if client.state != "open":
            break
        assert step < most, "it may go on"
    assert goaways(cut(client.takes()))[-1][1] == code
    assert talk.runtime.counts.requests_refused
    client.sends(HELLO)
    assert client.takes() == b""
    talk.passes(3)
    assert client.state == "aborted"
    nothing_is_left(talk)


def test_a_bomb_of_references_is_431_and_costs_nothing(talk: Conversation) -> None:
    """One octet for a field of 3,000: the section is over the limit, whatever its own length."""
    client = talk.client()
    client.sends(HELLO)
    bomb = ask(1, "/")[9:] + b"\x40\x01a\x7f\xb9\x16" + b"b" * 3000 + b"\xbe" * 10_000
    for stream in range(1, 21, 2):
        block = bomb if stream == 1 else ask(1, "/")[9:] + b"\xbe" * 10_000
        client.sends(raw(frames.HEADERS, 5, stream, block))
    assert client.state == "open"
    assert [line["status"] for line in talk.lines] == [431] * 10
    assert talk.asks == 0
    nothing_is_left(talk)


def test_a_bomb_of_crumbs_is_431(talk: Conversation) -> None:
    client = talk.client()
    client.sends(HELLO + raw(frames.HEADERS, 5, 1, ask(1, "/")[9:] + b"\x60\x01a" + b"\xbe" * 300))
    assert talk.line["status"] == 431
    nothing_is_left(talk)


def test_closed_windows_of_many_streams_hold_little(talk: Conversation) -> None:
    client = talk.client()
    client.sends(frames.PREFACE + frames.settings({frames.INITIAL_WINDOW_SIZE: 0}))
    for stream in range(1, 200, 2):
        client.sends(ask(stream, "/"))
    backends = [talk.backend() for _ in range(100)]
    for backend in backends:
        backend.sends(LARGE + b"x" * 66_000)
        for _ in range(10):
            backend.sends(b"x" * 66_000)
    assert all(backend.held_back() for backend in backends)
    kept = sum(len(stream.queue) for stream in next(iter(talk.runtime.connections)).streams.values())
    assert kept <= 100 * 132_000
    assert body_in(client.takes()) == 0
    talk.passes(61)
    assert {line["reason"] for line in talk.lines} == {"write_timeout"}
    nothing_is_left(talk)


@pytest.mark.parametrize("frame", [frames.ping(bytes(8)), frames.settings({})], ids=["pings", "settings"])
def test_answers_to_a_client_that_does_not_read_are_bounded(start: Start, frame: bytes) -> None:
    talk = start()
    client = talk.client()
    client.sends(
        frames.PREFACE + frames.settings({4: 2**31 - 1}) + frames.window_update(0, 2**31 - 1 - 65535) + ask(1, "/")
    )
    backend = talk.backend()
    client.stalls()
    backend.sends(LARGE + b"x" * 200_000)
    assert backend.held_back()
    before = client.transport.kept
    for turn in range(60):
        client.sends(frame * 50)
        if turn % 2:
            talk.passes(11)  # within the budget of any ten seconds
            client.reads_some(1)
        if client.state != "open":
            break
    assert client.state != "open"
    assert client.transport.kept - before < 40_000
    nothing_is_left(talk)


def test_heads_to_a_client_that_does_not_read_are_bounded(start: Start) -> None:
    """Answers without a body need no window."""
    talk = start()
    client = talk.client()
    client.sends(HELLO)
    client.stalls()
    client.transport.high = 0
    for stream in range(1, 20_000, 2):
        client.sends(ask(stream, "/"))
        if client.state != "open":
            break
        if talk.asks:
            talk.backend()
        talk.peers[1].sends(message("HTTP/1.1 204 No Content", "x-large: " + "y" * 5000))
    assert client.state != "open"
    assert client.transport.kept < 2_000_000
    nothing_is_left(talk)


def test_a_partial_frame_is_all_that_is_kept(talk: Conversation) -> None:
    client = talk.client()
    client.sends(HELLO + frames.data(1, b"x" * 16384, False)[:-1])
    connection = next(iter(talk.runtime.connections))
    assert len(connection._tail) == 16384 + 9 - 1
    nothing_is_left(talk)


# -- what honest clients do --------------------------------------------------------------------------------------------


def test_a_window_update_for_each_frame_of_a_download(talk: Conversation) -> None:
    client = talk.client()
    client.sends(HELLO + ask(1, "/"))
    backend = talk.backend()
    backend.sends(LARGE)
    size = 0
    for _ in range(2000):
        backend.sends(b"x" * 5000)
        size += body_in(client.takes())
        client.sends(frames.window_update(1, 5000) + frames.window_update(0, 5000))
    assert (size, client.state) == (10_000_000, "open")
    nothing_is_left(talk)


def test_a_ping_for_each_response(talk: Conversation) -> None:
    client = talk.client()
    client.sends(HELLO)
    for stream in range(1, 6000, 2):
        client.sends(ask(stream, "/"))
        if talk.asks:
            talk.backend()
        talk.peers[1].sends(OK)
        client.sends(frames.ping(bytes(8)) + frames.window_update(0, 2))
    assert client.state == "open"
    nothing_is_left(talk)


def test_a_few_resets_a_second(talk: Conversation) -> None:
    client = talk.client()
    client.sends(HELLO)
    for stream in range(1, 800, 2):
        client.sends(ask(stream, "/") + frames.rst_stream(stream, 8))
        client.takes()
        talk.passes(0.25)
    assert client.state == "open"
    nothing_is_left(talk)


def test_uploads_that_are_answered_early(talk: Conversation) -> None:
    """Frames that were on their way to streams that we gave up are no fault of the client."""
    client = talk.client()
    client.sends(HELLO)
    head = ask(1, "/")
    for stream in range(1, 200, 2):
        client.sends(raw(frames.HEADERS, frames.END_HEADERS, stream, head[9:]))
        talk.backend().sends(message("HTTP/1.1 413 Too Large", "content-length: 0"))
        client.sends(frames.data(stream, b"x" * 16384, False) * 4)
    assert client.state == "open"
    assert goaways(cut(client.takes())) == []
    nothing_is_left(talk)


@pytest.mark.parametrize("rest", [b"\r\nXX\r\n\r\n", b"A: b\r\n\r\n", b"\r\nSM\r\n\rX"])
def test_what_begins_like_a_preface_and_is_none_is_an_error_of_http2(talk: Conversation, rest: bytes) -> None:
    """RFC 9113 section 3.4. What begins otherwise is HTTP/1.1, and its errors are too."""
    client = talk.client()
    client.sends(frames.PREFACE[:16] + rest)
    kind, _, _, payload = cut(client.takes())[-1]
    assert kind == frames.GOAWAY
    assert frames.parse_goaway(payload, 0)[1] == frames.ErrorCode.PROTOCOL_ERROR
    assert client.state != "open"
