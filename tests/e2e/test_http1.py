"""HTTP/1.1 through real processes and sockets, where the network's own ways matter: ends, resets, slow readers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.attack_rows import get
from tests.e2e.attacked import Site
from tests.e2e.recorder import LARGE
from tests.talk import exchange, fetch, keep_alive, read_all, talk


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("http1"), stack)


def test_a_half_closed_client_gets_all_pipelined_answers(site: Site):
    seen = len(site.backend.requests)
    count = 50
    answer = talk(site.ports[80], b"".join(get(target=f"/{number}") for number in range(count)))
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == count
    targets = [request.split(b" ")[1] for request in site.backend.requests[seen:]]
    assert targets == [f"/{number}".encode() for number in range(count)]


def test_a_pipelined_flood_is_served_in_order_without_being_kept(site: Site):
    """Ten megabytes of requests from a client that reads only while it cannot write."""
    count = 5000
    request = get("X: " + "y" * 2000, target="/flood")
    with site.connect() as connection:

        def send() -> None:
            connection.sendall(request * count)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        answers = read_all(connection).count(b"HTTP/1.1 200 OK\r\n")
        sender.join(60)
    assert answers == count


@pytest.mark.parametrize("length", [100_000, 1_000_000])
def test_a_slow_reader_leaves_sound_connections_behind(site: Site, length: int):
    """A response that the client does not take stops the backend's connection, which must not stay so in the pool."""
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.settimeout(60)
        slow.connect(("127.0.0.1", site.ports[80]))
        slow.sendall(get(target=f"/bytes?{length}") * 3)
        for _ in range(20):
            assert fetch(site.ports[80], "/between").body == b"ok"
        slow.shutdown(socket.SHUT_WR)
        received = read_all(slow)
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert received.count(b"x") == 3 * length
    for _ in range(20):
        assert fetch(site.ports[80], "/afterwards").body == b"ok"


def test_many_large_responses_at_once(site: Site):
    with ExitStack() as stack:
        clients = [stack.enter_context(site.connect()) for _ in range(4)]
        for client in clients:
            client.sendall(get("Connection: close", target="/large"))
        for client in clients:
            head, _, body = read_all(client).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert len(body) == LARGE


def test_pooled_connections_that_the_backend_closed_are_not_noticed(site: Site):
    with keep_alive(site.ports[80]) as connection:
        for _ in range(20):
            assert exchange(connection, "/once").body == b"ok"
            site.backend.hang_up()
            assert exchange(connection, "/again").body == b"ok"


def test_a_backend_that_closes_in_place_of_an_answer(site: Site):
    reply = fetch(site.ports[80], "/reset")
    assert (reply.status, reply.body) == (502, b"502 Bad Gateway\n")
