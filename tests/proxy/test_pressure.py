"""Back-pressure: memory for a connection is bounded, whatever the sizes of bodies and whoever does not read."""

from __future__ import annotations

import pytest

from gatewayd.routing.snapshot import MatchPlan, Timeouts
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, rule

BLOCK = b"x" * 60_000


def large(length: int, body: bytes = b"") -> bytes:
    return message("HTTP/1.1 200 OK", f"content-length: {length}", body=body)


def test_a_client_that_does_not_read_stops_the_backend(talk: Conversation):
    client = talk.client()
    client.stalls()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(large(60_000_000, BLOCK))
    assert not backend.held_back()
    backend.sends(BLOCK)
    assert backend.held_back()
    for _ in range(998):
        backend.sends(BLOCK)
    assert client.transport.kept < 65536 + 2 * len(BLOCK)
    client.reads()
    assert not backend.held_back()
    assert client.takes().count(b"x") == 1000 * len(BLOCK)


def test_a_backend_that_does_not_read_stops_the_client(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 60000000"))
    backend = talk.backend()
    backend.stalls()
    for _ in range(1000):
        client.sends(BLOCK)
    assert client.held_back()
    assert backend.transport.kept < 65536 + 2 * len(BLOCK)
    backend.reads()
    assert not client.held_back()
    backend.sends(OK)
    assert client.takes().startswith(b"HTTP/1.1 200 ")


def test_a_body_waits_for_the_connection(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 60000000", body=b"ab"))
    assert client.held_back()
    client.sends(b"cd")
    backend = talk.backend()
    assert backend.takes().endswith(b"\r\n\r\nabcd")
    assert not client.held_back()


def test_a_backend_that_blocks_at_once_keeps_the_client_stopped(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 60000000", body=b"x" * 200_000))
    backend = talk.backend(stalled=True)
    assert client.held_back()
    backend.reads()
    assert not client.held_back()


def test_a_response_that_ends_while_the_client_is_slow_leaves_a_sound_connection(talk: Conversation):
    """The response came whole in one read, and the client takes none of it: the pooled connection is read again."""
    client = talk.client()
    client.stalls()
    client.sends(GET)
    backend = talk.backend()
    backend.takes()
    backend.sends(large(100_000, b"x" * 100_000))
    assert (backend.state, backend.held_back(), backend.transport.protocol.paused) == ("open", False, False)
    other = talk.client()
    other.sends(GET)
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert other.takes() == OK
    client.reads()
    client.takes()
    client.sends(GET)
    assert backend.takes() == ASKED


def test_an_early_response_to_a_request_that_is_stuck_leaves_a_client_that_is_read(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 100000"))
    backend = talk.backend()
    backend.stalls()
    client.sends(b"x" * 100_000)
    assert client.held_back()
    backend.sends(OK)
    assert (client.takes(), client.held_back()) == (OK, False)
    assert backend.state == "aborted", "its request is not sent yet, so it is no connection for another one"
    client.sends(GET)
    assert talk.backend().takes() == ASKED


def test_a_pipelined_flood_is_read_up_to_a_bound(talk: Conversation):
    client = talk.client()
    for _ in range(50):
        client.sends(GET * 100)
    assert client.held_back()
    backend = talk.backend()
    for _ in range(5000):
        assert len(client.transport.protocol.tail) <= 65536 + len(GET) * 100
        assert backend.takes() == ASKED
        backend.sends(OK)
    assert client.takes() == OK * 5000
    assert (backend.takes(), client.held_back()) == (b"", False)


def test_a_flood_before_a_body_does_not_stop_the_body(talk: Conversation):
    client, backend = talk.exchange()
    put = message("PUT / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"ab")
    client.sends(GET * 2620 + put)
    client.sends(b"cd" + GET)
    assert client.held_back()
    for _ in range(2620):
        assert backend.takes() == ASKED
        backend.sends(OK)
    assert backend.takes().endswith(b"\r\n\r\nabcd")
    backend.sends(OK)
    assert backend.takes() == ASKED


def test_a_head_larger_than_the_buffer_is_read_to_its_end(start: Start):
    talk = start(buffer_bytes=4096)
    client, backend = talk.exchange()
    large_head = message("GET / HTTP/1.1", "Host: a", "X: " + "y" * 20_000)
    client.sends(GET + large_head[:10_000])
    client.sends(large_head[10_000:])
    assert client.held_back()
    assert backend.takes() == ASKED
    backend.sends(OK)
    assert len(backend.takes()) > 20_000


def test_a_flood_of_local_answers_that_nobody_reads_stops(start: Start):
    talk = start(rule(matches=(MatchPlan(path=b"/shop"),)))
    client = talk.client()
    client.stalls()
    for _ in range(100):
        client.sends(GET * 100)
    assert client.held_back()
    assert client.transport.kept < 65536 * 2
    assert len(client.transport.protocol.tail) < 65536 * 2
    client.reads()
    assert not client.held_back()
    assert client.takes().count(b"HTTP/1.1 404 ") == 10_000


def test_a_tiny_buffer_moves_large_bodies(start: Start):
    talk = start(buffer_bytes=4096)
    client = talk.client()
    client.stalls()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(large(10_000, b"x" * 5000))
    assert backend.held_back()
    client.reads()
    backend.sends(b"x" * 5000)
    assert client.takes().count(b"x") == 10_000


# -- the connections of a backend --------------------------------------------------------------------------------------


def test_requests_wait_for_a_connection(start: Start):
    talk = start(upstream_connections=1, upstream_pending=1)
    first, second, third = talk.client(), talk.client(), talk.client()
    first.sends(GET)
    backend = talk.backend()
    second.sends(GET)
    third.sends(GET)
    assert talk.asks == 0
    assert third.takes().startswith(b"HTTP/1.1 503 ")
    assert talk.line["reason"] == "upstream_overflow"
    backend.takes()
    backend.sends(OK)
    assert (first.takes(), backend.takes()) == (OK, ASKED)
    backend.sends(OK)
    assert second.takes() == OK


def test_an_idle_connection_makes_room_for_one_to_another_endpoint(start: Start):
    talk = start(upstream_connections=1, endpoints={"shop": (("10.0.0.1", 80), ("10.0.0.2", 80))})
    client, backend = talk.exchange()
    peers = set()
    for _ in range(40):
        client.sends(GET)
        backend = talk.backend() if talk.asks else backend
        peers.add(backend.transport.peer)
        backend.sends(OK)
        assert client.takes() == OK
        assert talk.runtime.backends["shop"].open == 1
    assert len(peers) == 2


@pytest.mark.parametrize("pick", [0.0, 0.9], ids=["there", "elsewhere"])
def test_a_tunnel_takes_the_place_of_an_idle_connection(start: Start, pick: float, monkeypatch: pytest.MonkeyPatch):
    talk = start(upstream_connections=1, endpoints={"shop": (("10.0.0.1", 80), ("10.0.0.2", 80))})
    monkeypatch.setattr("gatewayd.upstream.backend.random", lambda: 0.0)
    _, backend = talk.exchange()
    monkeypatch.setattr("gatewayd.upstream.backend.random", lambda: pick)
    upgrade = ("Connection: upgrade", "Upgrade: websocket")
    client = talk.client()
    client.sends(message("GET / HTTP/1.1", "Host: a", *upgrade))
    assert (talk.asks, backend.state) == ((1, "closed") if pick else (0, "open"))
    backend = talk.backend() if pick else backend
    backend.sends(message("HTTP/1.1 101 Switching Protocols", *upgrade))
    assert client.takes().startswith(b"HTTP/1.1 101 ")
    backend.takes()
    client.sends(b"ping")
    assert backend.takes() == b"ping"


@pytest.mark.parametrize("end", ["time", "leaves"])
def test_who_waits_no_more_leaves_the_place_to_others(start: Start, end: str):
    rules = (rule(matches=(MatchPlan("exact", b"/short"),), timeouts=Timeouts(request=1.0)), rule(index=1))
    talk = start(*rules, upstream_connections=1, upstream_pending=2)
    first, patient, other, last = (talk.client() for _ in range(4))
    first.sends(GET)
    backend = talk.backend()
    patient.sends(GET)
    other.sends(GET.replace(b" / ", b" /short "))
    if end == "time":
        talk.passes(1)
    else:
        other.leaves()
    last.sends(GET)
    for client in (first, patient, last):
        backend.sends(OK)
        assert client.takes() == OK


def test_a_place_that_becomes_free_is_taken(start: Start):
    talk = start(upstream_connections=1)
    first, second = talk.client(), talk.client()
    first.sends(GET)
    backend = talk.backend()
    second.sends(GET)
    backend.sends(message("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"))
    assert talk.backend().takes() == ASKED


def test_those_who_wait_too_long_are_told(start: Start):
    talk = start(upstream_connections=1, connect_timeout=2.0)
    first, second = talk.client(), talk.client()
    first.sends(GET)
    talk.backend()
    second.sends(GET)
    talk.passes(2.5)
    assert second.takes().startswith(b"HTTP/1.1 503 ")
    assert talk.runtime.backends["shop"].endpoints[0].active == 1


def test_the_pool_keeps_so_many_connections(start: Start):
    talk = start(upstream_idle_connections=1)
    clients = [talk.client(), talk.client()]
    for client in clients:
        client.sends(GET)
    backends = [talk.backend(), talk.backend()]
    for backend in backends:
        backend.sends(OK)
    assert sorted(backend.state for backend in backends) == ["closed", "open"]


def test_zero_is_no_limit_of_connections(start: Start):
    talk = start(upstream_connections=0, upstream_idle_connections=0)
    clients = [talk.client() for _ in range(3)]
    for client in clients:
        client.sends(GET)
    backends = [talk.backend() for _ in clients]
    for backend in backends:
        backend.sends(OK)
    assert [client.takes() for client in clients] == [OK] * 3
    assert [backend.state for backend in backends] == ["open"] * 3


def test_zero_is_no_limit_of_those_who_wait(start: Start):
    talk = start(upstream_connections=1, upstream_pending=0)
    clients = [talk.client() for _ in range(5)]
    for client in clients:
        client.sends(GET)
    backend = talk.backend()
    for client in clients:
        backend.sends(OK)
        assert client.takes() == OK


def test_the_rest_of_a_stuck_request_is_read_and_dropped_after_its_answer(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 130000"))
    backend = talk.backend()
    backend.stalls()
    client.sends(b"x" * 100_000)
    assert client.held_back()
    backend.sends(OK)
    assert (client.takes(), client.held_back()) == (OK, False)
    client.sends(b"x" * 30_000 + GET)
    assert talk.backend().takes() == ASKED


def test_what_comes_although_reading_rests_is_kept(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 4", body=b"ab"))
    client.transport.protocol.data_received(b"cd")
    assert talk.backend().takes().endswith(b"\r\n\r\nabcd")


def test_connections_are_counted(talk: Conversation):
    _, pooled = talk.exchange()
    backend = talk.runtime.backends["shop"]
    (endpoint,) = backend.endpoints
    assert (backend.open, endpoint.open, len(endpoint.idle)) == (1, 1, 1)
    pooled.leaves()
    assert (backend.open, endpoint.open, len(endpoint.idle)) == (0, 0, 0)


def test_the_pool_of_an_endpoint_that_is_gone_is_closed(talk: Conversation):
    idle_client, idle = talk.exchange()
    busy_client = talk.client()
    idle_client.sends(GET)
    busy_client.sends(GET)
    busy = talk.backend()
    idle.takes()
    idle.sends(OK)
    talk.runtime.backends["shop"].update((("10.0.0.9", 80),))
    talk.settle()
    assert (idle.state, busy.state) == ("closed", "open")
    busy.sends(OK)
    assert (busy_client.takes(), busy.state) == (OK, "closed")
    busy_client.sends(GET)
    assert talk.backend().transport.peer == "10.0.0.9"


def test_a_place_that_a_refusal_frees_is_taken(start: Start):
    talk = start(upstream_connections=1)
    first, second = talk.client(), talk.client()
    first.sends(GET)
    second.sends(GET)
    talk.refuses()
    assert first.takes().startswith(b"HTTP/1.1 503 ")
    talk.backend().sends(OK)
    assert second.takes() == OK


def test_a_tiny_buffer_holds_uploads_too(start: Start):
    talk = start(buffer_bytes=4096)
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 10000"))
    backend = talk.backend()
    backend.stalls()
    client.sends(b"x" * 5000)
    assert client.held_back()
    backend.reads()
    assert not client.held_back()
