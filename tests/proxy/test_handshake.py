"""TLS of one connection over a fake transport: the hello, the handshake, and when what leaves."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gatewayd.observe.counters import WorkerCounters
from gatewayd.proxy.certificates import build_context
from gatewayd.proxy.tls import TlsConnection
from gatewayd.routing.snapshot import CertificatePlan, Settings
from gatewayd.wire.clienthello import parse_client_hello
from tests.certificates import self_signed
from tests.proxy.fakes import Transport

NEWEST = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Echo(asyncio.Protocol):
    """What speaks over TLS here."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.said: list[bytes] = []
        self.losses: list[Exception | None] = []

    def data_received(self, data: bytes) -> None:
        self.said.append(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.losses.append(error)


class Welcome:
    """One certificate, for the name a.example."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.chosen: list[tuple[str | None, str]] = []
        self.echo = Echo()
        self.counts = WorkerCounters()
        runtime = SimpleNamespace(counts=self.counts, opened=lambda _: None, left=lambda _: None, closed=lambda _: None)
        self.port: Any = SimpleNamespace(runtime=runtime, settings=Settings())
        self._context = context

    def context(self, hello: bytes, connection: TlsConnection) -> tuple[ssl.SSLContext, Any] | None:
        read = parse_client_hello(hello)
        if read is None:
            return None
        if read.server_name != b"a.example":
            raise LookupError
        return self._context, "d/g/https"

    def protocol(self, alpn: str | None, chosen: Any) -> Echo:
        self.chosen.append((alpn, chosen))
        return self.echo


class Client:
    """OpenSSL as the client of a connection. `left` has what the server wrote, one write after the other."""

    def __init__(self, welcome: Welcome, name: str = "a.example", newest: ssl.TLSVersion = NEWEST[1]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = newest
        context.set_alpn_protocols(["http/1.1"])
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.ssl = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)
        self.connection = TlsConnection(welcome)
        self.transport = Transport(self.connection, "198.51.100.7")
        self.connection.connection_made(self.transport)

    def shake(self) -> bytes:
        """One turn; what it sends."""
        self.incoming.write(self.take())
        try:
            self.ssl.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self.outgoing.read()

    def take(self) -> bytes:
        sent = bytes(self.transport.out)
        self.transport.out.clear()
        return sent


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    chain: Path = tmp_path_factory.mktemp("tls") / "chain.pem"
    key = chain.with_name("key.pem")
    self_signed("a.example", chain, key)
    return build_context(CertificatePlan("d/c", chain.read_bytes(), key.read_bytes(), (b"a.example",)))


@pytest.mark.parametrize("size", [1, 7, 100, 10**6])
@pytest.mark.parametrize("newest", NEWEST)
def test_any_split_of_the_clients_bytes(context: ssl.SSLContext, newest: ssl.TLSVersion, size: int):
    welcome = Welcome(context)
    client = Client(welcome, newest=newest)
    for _ in range(3):
        data = client.shake()
        for at in range(0, len(data), size):
            client.connection.data_received(data[at : at + size])
    assert welcome.chosen == [("http/1.1", "d/g/https")]
    client.ssl.write(b"hello")
    data = client.outgoing.read()
    for at in range(0, len(data), size):
        client.connection.data_received(data[at : at + size])
    assert welcome.echo.said == [b"hello"]


def test_a_finished_is_acknowledged_by_bytes_at_once(context: ssl.SSLContext):
    """A client that uses Nagle's algorithm sends its request only when its Finished is acknowledged, which without
    bytes of the server takes as long as the timer of its kernel.
    """
    client = Client(Welcome(context))
    client.connection.data_received(client.shake())
    finished = client.shake()
    assert client.take() == b""
    client.connection.data_received(finished)
    assert client.take()[:1] == b"\x17"


def test_a_name_that_nobody_serves(context: ssl.SSLContext):
    client = Client(Welcome(context), "b.example")
    client.connection.data_received(client.shake())
    assert client.take() == b"\x15\x03\x01\x00\x02\x02\x70"
    assert client.transport.state != "open"


def test_what_is_no_hello(context: ssl.SSLContext):
    welcome = Welcome(context)
    client = Client(welcome)
    client.connection.data_received(b"GET / HTTP/1.1\r\n")
    assert (client.take(), client.transport.state != "open") == (b"", True)
    client.connection.connection_lost(None)
    assert welcome.counts.tls_handshake_failures == 1


def test_an_end_within_the_hello(context: ssl.SSLContext):
    welcome = Welcome(context)
    client = Client(welcome)
    client.connection.data_received(client.shake()[:50])
    assert not client.connection.eof_received()
    client.connection.connection_lost(None)
    assert welcome.counts.tls_handshake_failures == 1


def test_a_forged_record_is_no_end(context: ssl.SSLContext):
    """What a tunnel or a stream tells its other side by is the error."""
    welcome = Welcome(context)
    client = Client(welcome)
    for _ in range(3):
        client.connection.data_received(client.shake())
    client.connection.data_received(b"\x17\x03\x03\x00\x20" + bytes(32))
    assert client.transport.state == "aborted"
    client.connection.connection_lost(None)
    assert [type(error) for error in welcome.echo.losses] == [ssl.SSLError]
