"""Mirrors: copies of requests that nobody waits for."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.proxy.mirror import IN_FLIGHT, IN_FLIGHT_BYTES
from gatewayd.routing.snapshot import Edit, Filters, MatchPlan, MirrorPlan, PathEdit
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, rule

PLACES = {"shop": (("10.0.0.1", 80),), "copy": (("10.0.0.2", 80),), "more": (("10.0.0.3", 80),)}
COPY = MirrorPlan("copy")


def mirrored(*mirrors: MirrorPlan, **filters: Any) -> Any:
    return rule(filters=Filters(mirrors=mirrors or (COPY,), **filters))


@pytest.fixture
def talk(start: Start) -> Conversation:
    return start(mirrored(), endpoints=PLACES)


def in_flight(talk: Conversation) -> tuple[int, int]:
    """Copies in flight, and the bytes of their bodies."""
    return talk.runtime.mirrors._count, talk.runtime.mirrors._bytes


def test_a_copy_leaves_with_the_request_and_its_answer_is_dropped(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend, copy = talk.backend(), talk.backend()
    assert (backend.transport.peer, copy.transport.peer) == ("10.0.0.1", "10.0.0.2")
    assert backend.takes_all() == copy.takes_all()
    copy.sends(OK)
    assert (client.takes(), talk.lines) == (b"", [])
    backend.sends(OK)
    assert client.takes() == OK
    assert in_flight(talk) == (0, 0)
    client.sends(GET)  # both connections serve again
    assert backend.takes() == copy.takes() == ASKED
    assert (len(talk.lines), talk.runtime.counts.mirrors_sent) == (1, 2)


def test_a_mirror_that_hangs_or_fails_is_not_noticed(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(OK)
    assert client.takes() == OK
    talk.refuses()
    assert in_flight(talk) == (0, 0)
    client.sends(GET)
    talk.backend().leaves()
    backend.sends(OK)
    assert client.takes() == OK
    assert (in_flight(talk), talk.asks) == ((0, 0), 0)  # no second try
    client.sends(GET)
    talk.backend()
    backend.sends(OK)
    talk.passes(61)
    assert in_flight(talk) == (0, 0)
    assert [line["status"] for line in talk.lines] == [200, 200, 200]


def test_a_mirror_without_endpoints_is_not_noticed(start: Start):
    talk = start(mirrored(), endpoints={**PLACES, "copy": ()})
    talk.exchange()
    assert (in_flight(talk), talk.asks) == ((0, 0), 0)


def test_several_mirrors_get_the_modified_request(start: Start):
    share = Filters(request=Edit(add=((b"x-b", b"2"),)))
    edits = mirrored(
        COPY,
        MirrorPlan("more"),
        request=Edit(set=((b"x-a", b"1"),)),
        path=PathEdit(b"/new"),
        hostname=b"b.org",
    )
    talk = start(rule(filters=edits.filters, share_filters=share), endpoints=PLACES)
    talk.client().sends(message("GET /old?q=1 HTTP/1.1", "Host: a"))
    seen = {talk.backend().takes() for _ in range(3)}
    assert seen == {message("GET /new?q=1 HTTP/1.1", "host: b.org", "x-a: 1", "x-b: 2")}


def test_a_mirror_of_a_backend(start: Start):
    talk = start(rule(share_filters=Filters(mirrors=(COPY,))), endpoints=PLACES)
    talk.client().sends(GET)
    assert talk.asks == 2


def test_bodies_go_along_when_they_are_whole(talk: Conversation):
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 6", "Expect: 100-continue", body=b"one"))
    assert talk.asks == 1
    backend = talk.backend()
    client.sends(b"two")
    copy = talk.backend()
    assert copy.takes() == message("POST / HTTP/1.1", "host: a", "content-length: 6", body=b"onetwo")
    assert in_flight(talk) == (1, 6)
    backend.sends(OK)
    copy.sends(message("HTTP/1.1 100 Continue") + OK)
    assert client.takes() == OK
    assert in_flight(talk) == (0, 0)


def test_chunks_go_along(talk: Conversation):
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", "Trailer: x-sum"))
    talk.backend()
    client.sends(b"3\r\none\r\n")
    client.sends(b"3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n")
    assert talk.backend().takes().endswith(b"\r\n\r\n6\r\nonetwo\r\n0\r\nx-sum: 6\r\n\r\n")


@pytest.mark.parametrize("framing", ["Content-Length: 65537", "Transfer-Encoding: chunked"])
def test_long_bodies_are_not_copied(talk: Conversation, framing: str):
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", framing))
    backend = talk.backend()
    body = b"x" * 65537
    client.sends(body if "Length" in framing else b"10001\r\n" + body + b"\r\n0\r\n\r\n")
    assert (talk.asks, talk.runtime.counts.mirrors_dropped) == (0, 1)
    backend.sends(OK)
    assert client.takes() == OK


def test_what_never_became_whole_is_not_copied(talk: Conversation):
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 6", body=b"one"))
    talk.backend()
    client.leaves()
    assert (talk.asks, in_flight(talk)) == (0, (0, 0))


def test_an_answer_is_read_so_far(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    talk.backend().sends(OK)
    copy = talk.backend()
    copy.sends(message("HTTP/1.1 200 OK", "transfer-encoding: chunked"))
    piece = b"80000\r\n" + b"x" * 0x80000 + b"\r\n"
    copy.sends(piece)
    copy.sends(piece)
    assert copy.state == "open"
    copy.sends(b"1\r\nx\r\n")
    assert (copy.state, in_flight(talk)) == ("aborted", (0, 0))
    assert client.takes() == OK


def test_copies_to_one_mirror_are_bounded(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    for _ in range(IN_FLIGHT // 2 + 5):
        backend.sends(OK)
        assert client.takes() == OK
        client.sends(GET)
    assert in_flight(talk) == (IN_FLIGHT // 2, 0)
    assert talk.runtime.counts.mirrors_dropped == 6
    talk.backend().sends(OK)
    assert in_flight(talk) == (IN_FLIGHT // 2 - 1, 0)


@pytest.mark.parametrize("body", [b"", b"x" * 65536], ids=["copies", "bytes"])
def test_mirrors_that_hang_leave_room_for_others(start: Start, body: bytes):
    names = ("mute", "deaf", "copy")
    rules = [
        rule(
            index=index,
            matches=(MatchPlan("exact", f"/{name}".encode()),),
            filters=Filters(mirrors=(MirrorPlan(name),)),
        )
        for index, name in enumerate(names)
    ]
    talk = start(*rules, endpoints={"shop": PLACES["shop"], **dict.fromkeys(names, (("10.0.0.2", 80),))})
    client = talk.client()
    backend = None
    for name in ["mute"] * IN_FLIGHT + ["deaf"] * IN_FLIGHT + ["copy"]:
        before = talk.runtime.counts.mirrors_sent
        client.sends(message(f"POST /{name} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", body=body))
        backend = backend or talk.backend()
        backend.sends(OK)
    assert talk.runtime.counts.mirrors_sent == before + 1


def test_bytes_in_flight_are_bounded(talk: Conversation):
    post = message("POST / HTTP/1.1", "Host: a", "Content-Length: 65536", body=b"x" * 65536)
    client = talk.client()
    client.sends(post)
    backend = talk.backend()
    for _ in range(20):
        backend.sends(OK)
        client.sends(post)
    assert in_flight(talk) == (8, IN_FLIGHT_BYTES // 2)


@pytest.mark.parametrize(("plan", "expected"), [((1, 5), 100), ((35, 100), 175), ((0, 1), 0), ((1, 1), 500)])
def test_a_part_of_the_requests(start: Start, plan: tuple[int, int], expected: int):
    talk = start(mirrored(MirrorPlan("copy", *plan)), endpoints=PLACES)
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    copies = []
    for _ in range(500):
        backend.sends(OK)
        if talk.asks:
            copies.append(talk.backend())
        for copy in copies:
            if copy.takes():
                copy.sends(OK)
        client.sends(GET)
    assert abs(talk.runtime.counts.mirrors_sent - expected) <= 2


def test_a_websocket_is_not_copied(talk: Conversation):
    talk.client().sends(message("GET / HTTP/1.1", "Host: a", "Connection: upgrade", "Upgrade: websocket"))
    assert talk.asks == 1


def test_what_the_gateway_answers_itself_is_not_copied(start: Start):
    talk = start(mirrored(), endpoints={**PLACES, "shop": ()})
    talk.client().sends(GET)
    assert (talk.asks, talk.line["status"]) == (0, 503)
