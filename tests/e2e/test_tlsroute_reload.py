"""TLSRoute and changes of the files: what is open stays, what comes next goes by the new routes; and a drain."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.tlsroute import Site, routes
from tests.manifests import tls_route
from tests.processes import wait_until
from tests.talk import fetch

CASES = [(8443, "raw.a.example.com", "a", "only"), (443, "t.example.com", "t", "here")]


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("tlsroute"), stack)


def _reached(site: Site, port: int, name: str, short: str) -> bytes:
    try:
        with site.connect(port, name, short) as connection:
            connection.sendall(b"hello")
            return connection.recv(100)
    except OSError:
        return b""


def _refused(port: int) -> bool:
    """Not by TLS: Python forgets the socket of one that was reset before its handshake began."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=60).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize(("port", "name", "short", "section"), CASES)
def test_open_streams_stay_and_new_ones_follow_the_files(site: Site, port: int, name: str, short: str, section: str):
    other = tls_route("first", "missing", name, section=section)
    other["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    with site.connect(port, name, short) as connection:
        connection.sendall(b"one")
        assert connection.recv(100) == b"one"
        site.folder.write("first.yaml", other)
        wait_until(lambda: _reached(site, port, name, short) == b"", "the new route takes what comes")
        connection.sendall(b"two")
        assert connection.recv(100) == b"two"
        site.folder.remove("first.yaml")
        wait_until(lambda: _reached(site, port, name, short) == b"hello", "the old route is back")
        site.folder.write("routes.yaml", *(one for one in routes() if one["kind"] == "HTTPRoute"))
        wait_until(lambda: _reached(site, port, name, short) == b"", "no route is left")
        connection.sendall(b"three")
        assert connection.recv(100) == b"three"
    assert fetch(site.ports[443], host="b.example.com", context=site.trusting("b")).status == 200


def test_a_drain_lets_streams_finish(site: Site):
    with ExitStack() as stack:
        connections = [stack.enter_context(site.connect(port, name, short)) for port, name, short, _ in CASES]
        site.gateway.signal(signal.SIGTERM)
        wait_until(lambda: _refused(site.ports[8443]), "no new connections are taken")
        for connection in connections:
            connection.sendall(b"still here")
            assert connection.recv(100) == b"still here"
    assert site.gateway.wait() == 0
