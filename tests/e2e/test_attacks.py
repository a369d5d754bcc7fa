"""Attacks on a real gateway through raw sockets: the answer, the close, and that no backend sees any of it."""

from __future__ import annotations

import resource
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.attack_rows import HARMLESS, REFUSED, SMUGGLED, chunks, get, post
from tests.e2e.attacked import Site, children, cpu_seconds, last_words, manifests
from tests.e2e.recorder import LARGE, Recorder
from tests.manifests import Folder
from tests.processes import Gateway, Process, affordable, free_port, wait_until
from tests.talk import fetch, read_all


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("attacks"), stack)


@pytest.fixture(autouse=True)
def forget(site: Site) -> Iterator[None]:
    """Each test looks at what itself has sent to the backend."""
    yield
    site.backend.bytes.clear()


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("section", "data", "status"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(site: Site, section: str, data: bytes, status: int):
    """One answer, a close, and nothing at the backend: neither of the message nor of what hides behind it."""
    answer = site.talk(data + SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 %d " % status), section
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"\r\nconnection: close\r\n" in answer
    assert b"attack" not in site.backend.bytes
    assert b"smuggled" not in site.backend.bytes.lower()


def test_names_of_rows_are_distinct():
    assert len({row[0] for row in REFUSED}) == len(REFUSED)


@pytest.mark.parametrize("data", [get(), post("Content-Length: 2", body="hi")])
def test_a_request_after_connection_close_is_none(site: Site, data: bytes):
    first = data.replace(b"/attack", b"/closing").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1)
    answer = site.talk(first + SMUGGLED)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in site.backend.bytes


# -- what is made harmless ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("data", "start", "absent"), [row[1:] for row in HARMLESS], ids=[row[0] for row in HARMLESS])
def test_made_harmless(site: Site, data: bytes, start: bytes, absent: list[bytes]):
    """Served as one request, and the one after it as another."""
    seen = len(site.backend.requests)
    with site.connect() as connection:
        connection.sendall(data + get("Connection: close", target="/next"))
        answers = read_all(connection)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 2
    first, second = site.backend.requests[seen:]
    assert first.startswith(start)
    assert not [part for part in absent if part in first]
    assert b"\r\nx-forwarded-for: 127.0.0.1\r\n" in first
    assert second.startswith(b"GET /next HTTP/1.1\r\n")


def test_the_body_of_a_local_answer_is_no_request(site: Site):
    """0.CL: the gateway answers without reading the body, which looks like a request."""
    body = SMUGGLED
    head = f"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    answer = site.talk(head + body + get("Connection: close", target="/after"))
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"500", b"200"]
    assert b"smuggled" not in site.backend.bytes


def test_a_large_body_of_a_local_answer_closes(site: Site):
    head = b"POST /nowhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    answer = site.talk(head + SMUGGLED * 10)
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in site.backend.bytes


def test_a_response_nobody_asked_for_reaches_nobody(site: Site):
    """Response queue poisoning: the second response would be the answer to the next client's request."""
    for _ in range(3):
        answer = site.talk(get("Connection: close", target="/twice"))
        assert answer.count(b"HTTP/1.1 ") == 1
        assert fetch(site.ports[80], "/innocent").body == b"ok"


def test_a_cut_response_never_looks_complete(site: Site):
    with site.connect() as connection:
        connection.sendall(get(target="/cut"))
        assert last_words(connection).endswith(b"\r\n\r\nhalf")


def test_a_cut_body_never_looks_complete(site: Site):
    with site.connect() as connection:
        connection.sendall(chunks("4\r\nhalf\r\n").replace(b"/attack", b"/cut-body"))
        wait_until(lambda: b"half" in site.backend.bytes, "the backend has the first chunk")
    site.gateway.line(r'"path":"/cut-body".*"reason":"client_closed"')
    assert not [request for request in site.backend.requests if b"/cut-body" in request]


# -- slowness ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (get()[:20], "head_timeout"),
        (post("Content-Length: 9", body="x"), "body_timeout"),
        (post("Transfer-Encoding: chunked", body="9\r\nx"), "body_timeout"),
    ],
)
def test_what_stops_is_refused(site: Site, data: bytes, reason: str):
    answer = site.talk(data.replace(b"/attack", b"/stops"), 81)
    assert answer.startswith(b"HTTP/1.1 408 ")
    site.gateway.line(f'"status":408,.*"reason":"{reason}"')


@pytest.mark.parametrize("data", [get("X: " + "y" * 10_000), post("Content-Length: 10000", body="x" * 10_000)])
def test_what_drips_is_refused(site: Site, data: bytes):
    """A byte every 20 ms keeps any timeout between two reads away, but not the total, nor the minimum rate."""
    with site.connect(81) as connection:
        connection.sendall(data[:60])
        sent = 60
        while not select.select([connection], [], [], 0.02)[0]:
            connection.sendall(data[sent : sent + 1])
            sent += 1
        assert sent < 5000
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_does_not_read_is_cut(site: Site):
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(60)
        connection.connect(("127.0.0.1", site.ports[81]))
        connection.sendall(get(target="/large"))
        site.gateway.line(r'"path":"/large".*"reason":"write_timeout"')
        assert len(last_words(connection)) < LARGE


def test_a_backend_that_does_not_answer_is_a_timeout(site: Site):
    assert fetch(site.ports[81], "/mute").status == 504


def test_idle_connections_go_away(site: Site):
    with site.connect(81) as connection:
        connection.sendall(get(target="/idle"))
        assert read_all(connection).count(b"HTTP/1.1 200 ") == 1


def test_a_thousand_silent_connections_go_away(site: Site):
    count = affordable(1000, 2)
    with ExitStack() as stack:
        silent = [stack.enter_context(site.connect(81)) for _ in range(count)]
        assert [last_words(connection) for connection in silent] == [b""] * count
    assert fetch(site.ports[81], "/after").body == b"ok"


# -- descriptors -------------------------------------------------------------------------------------------------------


def test_out_of_descriptors_is_a_pause_and_no_storm(tmp_path: Path):
    """150 clients that begin a request come to a worker that may have 45: they wait, and are served in turn."""
    with ExitStack() as stack:
        backend = stack.enter_context(Recorder())
        folder = Folder(tmp_path / "manifests")
        manifests(folder, backend.port, tmp_path)
        ports = {number: free_port() for number in (80, 81, 443, 444)}
        mapped = ",".join(f"{written}={bound}" for written, bound in ports.items())
        process = Process([
            "sh", "-c", 'ulimit -n 100 && exec "$@"', "sh", sys.executable, "-m", "gatewayd", "run", str(folder.path),
            "--workers", "1", "--admin", "off", "--port-map", mapped,
        ])  # fmt: skip
        stack.callback(process.stop)
        process.line("gatewayd ready:")
        (worker,) = children(process.pid)
        before = cpu_seconds(worker)
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", ports[81]), timeout=60)) for _ in range(150)
        ]
        for client in clients:
            client.sendall(get()[:20])
        answers = [last_words(client)[:12] for client in clients]
        assert set(answers) <= {b"HTTP/1.1 408", b""}
        assert answers.count(b"HTTP/1.1 408") >= 45
        assert cpu_seconds(worker) - before < 2.0
        assert fetch(ports[81], "/after").body == b"ok"
        assert process.running


def test_a_worker_whose_limit_is_lowered_recovers(tmp_path: Path):
    """The limit is another one than the worker believes: accept fails, and is tried again four times a second."""
    with ExitStack() as stack:
        backend = stack.enter_context(Recorder())
        folder = Folder(tmp_path / "manifests")
        manifests(folder, backend.port, tmp_path)
        process = Gateway(folder.path, ports=[80, 81, 443, 444])
        stack.callback(process.stop)
        (worker,) = children(process.pid)
        used = len(list(Path(f"/proc/{worker}/fd").iterdir()))
        limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 10, limits[1]))
        before = cpu_seconds(worker)
        clients = [
            stack.enter_context(socket.create_connection(("127.0.0.1", process.ports[81]), timeout=60))
            for _ in range(50)
        ]
        for client in clients[:25]:
            client.sendall(get()[:20])
        assert {last_words(client)[:12] for client in clients} <= {b"HTTP/1.1 408", b""}
        assert cpu_seconds(worker) - before < 2.0
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
        assert fetch(process.ports[81], "/after").body == b"ok"


# -- afterwards --------------------------------------------------------------------------------------------------------


def test_after_all_that_the_same_worker_serves_and_has_nothing_to_report(site: Site):
    assert children(site.gateway.pid) == [site.worker]
    assert fetch(site.ports[80], "/after").body == b"ok"
    assert not [request for request in site.backend.requests if b"smuggled" in request]
    assert not [line for line in site.gateway.lines if "defect" in line or "Traceback" in line]
