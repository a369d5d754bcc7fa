from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from gatewayd.routing.snapshot import PortPlan
from gatewayd.server.listening import Sockets, addresses, explain, usable
from tests.processes import free_port


@pytest.fixture
def sockets() -> Iterator[Sockets]:
    subject = Sockets(2)
    yield subject
    subject.close()


def plan(number: int, address: str = "127.0.0.1") -> PortPlan:
    return PortPlan(f"{address}:{number}", address, number, number, "http")


def refused(number: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", number), 5).close()
    except ConnectionRefusedError:
        return True
    return False


def test_every_worker_has_a_socket_of_its_own(sockets: Sockets) -> None:
    port = plan(free_port())
    assert sockets.bind([port]) == []
    ((first,), (second,)) = sockets.of(port.key, 0), sockets.of(port.key, 1)
    assert first is not second
    assert first.getsockname() == second.getsockname() == ("127.0.0.1", port.port)
    assert sockets.bind([port]) == []
    assert sockets.of(port.key, 0) == [first]


def test_the_wildcard_is_two_sockets_so_that_ipv4_clients_have_ipv4_addresses(sockets: Sockets) -> None:
    port = plan(free_port(), "")
    assert sockets.bind([port]) == []
    families = [sock.family for sock in sockets.of(port.key, 0)]
    assert families == [family for family, _ in addresses("")]
    with socket.create_connection(("127.0.0.1", port.port), 5) as client:
        listening = sockets.of(port.key, 0)[0], sockets.of(port.key, 1)[0]
        accepted = None
        while accepted is None:
            for sock in listening:
                try:
                    accepted = sock.accept()
                except BlockingIOError:
                    continue
        accepted[0].close()
        assert accepted[1] == client.getsockname()


def test_a_port_of_somebody_else_is_not_shared_even_when_they_would(sockets: Sockets) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = plan(other.getsockname()[1])
        (failure,) = sockets.bind([port])
        assert (failure.port, failure.reason) == (port, "PortUnavailable")
        assert "another process uses the port" in failure.message
    assert sockets.bind([port]) == []


def test_patience_waits_for_a_port(sockets: Sockets) -> None:
    other = socket.socket()
    other.bind(("127.0.0.1", 0))
    other.listen()
    port = plan(other.getsockname()[1])
    waited = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 3:
            other.close()

    assert sockets.bind([port], patience=60, sleep=sleep) == []
    assert len(waited) == 3


def test_one_address_beside_the_wildcard_on_one_port(sockets: Sockets) -> None:
    number = free_port()
    assert sockets.bind([plan(number, ""), plan(number, "127.0.0.1")]) == []
    assert sockets.of(f"127.0.0.1:{number}", 1)


def test_one_bad_port_does_not_harm_the_others(sockets: Sockets) -> None:
    good = plan(free_port())
    failures = sockets.bind([plan(8080, "192.0.2.1"), good])
    assert [failure.reason for failure in failures] == ["AddressNotUsable"]
    assert sockets.of(good.key, 0)


def test_retain_closes_the_sockets_of_one_worker_only(sockets: Sockets) -> None:
    first, second = plan(free_port()), plan(free_port())
    sockets.bind([first, second])
    sockets.retain(0, {second.key})
    assert sockets.of(first.key, 0) == []
    assert len(sockets.of(first.key, 1)) == 1
    assert not refused(first.port)
    assert sockets.bind([first]) == []  # comes back for the worker that had lost it
    assert len(sockets.of(first.key, 0)) == 1
    for worker in (0, 1):
        sockets.retain(worker, {second.key})
    assert refused(first.port)
    assert not refused(second.port)
    sockets.close()
    assert refused(second.port)


@pytest.mark.parametrize(
    ("number", "reason", "words"),
    [
        (errno.EADDRINUSE, "PortUnavailable", "--port-map 80=OTHER"),
        (errno.EACCES, "PortUnavailable", "--port-map 80=8080"),
        (errno.EPERM, "PortUnavailable", "CAP_NET_BIND_SERVICE"),
        (errno.EADDRNOTAVAIL, "AddressNotUsable", "10.1.2.3"),
        (errno.EMFILE, "PortUnavailable", "ulimit -n"),
        (errno.ENOBUFS, "PortUnavailable", ""),
    ],
)
def test_what_a_person_is_told(number: int, reason: str, words: str) -> None:
    failure = explain(PortPlan("10.1.2.3:80", "10.1.2.3", 80, 80, "http"), number, "no buffers")
    assert failure.reason == reason
    assert "10.1.2.3:80" in failure.message
    assert words in failure.hint


def test_usable_addresses_are_those_of_this_host() -> None:
    assert usable("")
    assert usable("127.0.0.1")
    assert usable("127.1.2.3")
    assert not usable("192.0.2.1")
    assert not usable("2001:db8::1")
