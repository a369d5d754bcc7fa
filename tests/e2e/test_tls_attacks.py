"""Attacks on an HTTPS port: bytes that are no hello, names that nobody serves, handshakes that stop."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.e2e.attack_rows import SMUGGLED, get, post
from tests.e2e.attacked import Site, cpu_seconds, last_words
from tests.talk import read_all


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("attacks"), stack)


UNRECOGNIZED_NAME = b"\x15\x03\x01\x00\x02\x02\x70"


class Handshake:
    """A TLS client whose bytes pass through our hands."""

    def __init__(self, name: str | None) -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # what is checked are the bytes
        self.received, self.to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.received, self.to_send, server_hostname=name)

    def hello(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.tls.do_handshake()
        return self.to_send.read()

    def finish(self, connection: socket.socket) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.received.write(connection.recv(65536))
            else:
                connection.sendall(self.to_send.read())
                return

    def ask(self, connection: socket.socket, request: bytes) -> bytes:
        self.tls.write(request)
        connection.sendall(self.to_send.read())
        while True:
            try:
                return self.tls.read()
            except ssl.SSLWantReadError:
                self.received.write(connection.recv(65536))


@pytest.mark.parametrize(
    "junk",
    [
        get(),
        b"\0" * 100,
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\xff\xff" + b"\1" * 100,
        b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00",
        b"\x16\x03\x01\x00\x04\x01\xff\xff\xff",
        b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
        b"\x80\x2e\x01\x00\x02",
        b"SSH-2.0-x\r\n",
    ],
)
def test_junk_in_place_of_a_hello_is_closed_without_a_word(site: Site, junk: bytes):
    with site.connect(443) as connection:
        connection.sendall(junk)
        assert last_words(connection) == b""


@pytest.mark.parametrize("name", ["unknown.example.com", "evil.shop.example.com", None])
def test_an_unknown_name_is_told_so_and_sees_no_certificate(site: Site, name: str | None):
    with site.connect(443) as connection:
        connection.sendall(Handshake(name).hello())
        assert read_all(connection) == UNRECOGNIZED_NAME


@pytest.mark.parametrize("part", [0, 1, 5, 40, -1])
def test_a_stalled_hello_goes_away(site: Site, part: int):
    with site.connect(444) as connection:
        hello = Handshake("shop.example.com").hello()
        connection.sendall(hello[:part])
        assert last_words(connection) == b""


def test_a_stalled_handshake_goes_away(site: Site):
    with site.connect(444) as connection:
        connection.sendall(Handshake("shop.example.com").hello())
        assert read_all(connection).startswith(b"\x16\x03\x03")


def test_a_hello_that_ends_within_costs_nothing(site: Site):
    """The end of the stream is an event that stays: looking again and again would burn a core until the timeout."""
    before = cpu_seconds(site.worker)
    for _ in range(20):
        with site.connect(443) as connection:
            connection.sendall(Handshake("shop.example.com").hello()[:50])
            connection.shutdown(socket.SHUT_WR)
            assert last_words(connection) == b""
    assert cpu_seconds(site.worker) - before < 1.0


def test_a_hello_in_pieces_of_one_byte_is_understood(site: Site):
    with site.connect(443) as connection:
        client = Handshake("shop.example.com")
        for byte in client.hello():
            connection.sendall(bytes((byte,)))
        client.finish(connection)
        answer = client.ask(connection, get(host="shop.example.com", target="/over-tls"))
        assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_hello_in_records_of_one_byte_is_understood(site: Site):
    with site.connect(443) as connection:
        client = Handshake("shop.example.com")
        hello = client.hello()
        connection.sendall(b"".join(hello[:3] + b"\0\1" + hello[at : at + 1] for at in range(5, len(hello))))
        client.finish(connection)
        assert client.ask(connection, get(host="shop.example.com", target="/records")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("host", "status"), [("shop.example.com", b"200"), ("other.example.com", b"404")])
def test_host_and_server_name(site: Site, host: str, status: bytes):
    with site.connect(443) as connection:
        client = Handshake("shop.example.com")
        connection.sendall(client.hello())
        client.finish(connection)
        assert client.ask(connection, get(host=host, target="/sni"))[9:12] == status


@pytest.mark.parametrize(
    "data", [get(version="HTTP/2.0"), get("X : y"), b"\0", post("Content-Length: +1", body="x"), b"\r\n\r\n"]
)
def test_the_same_rules_behind_tls(site: Site, data: bytes):
    with site.connect(443) as connection:
        client = Handshake("shop.example.com")
        connection.sendall(client.hello())
        client.finish(connection)
        answer = client.ask(connection, data + SMUGGLED)
        assert answer[9:12] in (b"400", b"505")
        assert b"smuggled" not in site.backend.bytes
