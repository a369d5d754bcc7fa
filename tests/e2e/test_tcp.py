"""TCPRoute through a real gateway: bytes as they are, half-close, weights for each connection."""

from __future__ import annotations

import random
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.manifests import Folder, gateway, gateway_class, listener, service, tcp_route
from tests.processes import Echo, Gateway, free_port
from tests.talk import curl, read_all, talk


class Site:
    """Ports: 1 to one raw echo, 2 to two by weights, 3 to a TLS backend, 4 to nobody, 5 without a route."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.certificate = scratch / "tls.crt"
        self_signed("secure.example.com", self.certificate, scratch / "tls.key")
        backends = {
            "plain": Echo("plain", "--tcp"),
            "heavy": Echo("heavy", "--tcp", "--greet"),
            "light": Echo("light", "--tcp", "--greet"),
            "secure": Echo("secure", "--tls-cert", str(self.certificate), "--tls-key", str(scratch / "tls.key")),
        }
        for process in backends.values():
            stack.callback(process.stop)
        folder = Folder(scratch / "manifests")
        listeners = [listener(name, number, "TCP") for number, name in enumerate("abcde", 1)]
        folder.write("gateway.yaml", gateway_class(), gateway(*listeners))
        services = [part for name, process in backends.items() for part in service(name, process.port)]
        folder.write("backends.yaml", *services, *service("dead", free_port()))
        folder.write(
            "routes.yaml",
            tcp_route("a", {"plain": 1}, "a"),
            tcp_route("b", {"heavy": 3, "light": 1}, "b"),
            tcp_route("c", {"secure": 1}, "c"),
            tcp_route("d", {"dead": 1}, "d"),
        )
        self.gateway = Gateway(folder.path, ports=[1, 2, 3, 4, 5])
        stack.callback(self.gateway.stop)
        self.ports = self.gateway.ports


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("tcp"), stack)


def test_bytes_pass_and_the_half_close_arrives(site: Site):
    """talk() closes its half first: the answer comes all the same, and its end is the backend's."""
    assert talk(site.ports[1], b"\0\xff\r\n\r\nGET") == b"\0\xff\r\n\r\nGET"


def test_a_conversation_of_many_small_messages(site: Site):
    with socket.create_connection(("127.0.0.1", site.ports[1]), timeout=60) as connection:
        for number in range(200):
            message = b"%06d" % number
            connection.sendall(message)
            assert connection.recv(6, socket.MSG_WAITALL) == message


def test_a_long_stream_in_both_directions_at_once(site: Site):
    data = random.Random(1).randbytes(1 << 20) * 40
    with socket.create_connection(("127.0.0.1", site.ports[1]), timeout=60) as connection:

        def send() -> None:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        received = read_all(connection)
        sender.join()
    assert received == data


def test_each_connection_is_weighed(site: Site):
    counted = Counter(talk(site.ports[2], b"").decode().strip() for _ in range(80))
    assert set(counted) == {"heavy", "light"}
    assert abs(counted["heavy"] / 80 - 0.75) <= 0.1


def test_tls_passes_through_untouched(site: Site):
    port = site.ports[3]
    answer = curl(
        "--http1.1", "--cacert", str(site.certificate), "--resolve", f"secure.example.com:{port}:127.0.0.1",
        f"https://secure.example.com:{port}/x",
    )  # fmt: skip
    assert '"sni": "secure.example.com"' in answer


@pytest.mark.parametrize("number", [4, 5])
def test_without_a_backend_the_connection_ends(site: Site, number: int):
    try:
        answer = talk(site.ports[number], b"hello")
    except ConnectionError:
        answer = b""
    assert answer == b""


def test_many_connections_at_once(site: Site):
    with ExitStack() as stack:
        connections = [
            stack.enter_context(socket.create_connection(("127.0.0.1", site.ports[1]), timeout=60)) for _ in range(100)
        ]
        for number, connection in enumerate(connections):
            connection.sendall(b"%04d" % number)
        for number, connection in enumerate(connections):
            assert connection.recv(4, socket.MSG_WAITALL) == b"%04d" % number
