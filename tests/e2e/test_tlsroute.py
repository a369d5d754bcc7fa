"""TLSRoute through a real gateway: who gets a connection, what passes, and what the access line says."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.tlsroute import Site
from tests.manifests import service, tls_route
from tests.processes import Process, free_port, wait_until
from tests.talk import curl, fetch, program, read_all


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("tlsroute"), stack)


def _receive(connection: socket.socket, size: int) -> bytes:
    """So many bytes; of TLS, MSG_WAITALL knows nothing."""
    received = b""
    while len(received) < size and (data := connection.recv(size - len(received))):
        received += data
    return received


def _bare(connection: ssl.SSLSocket) -> socket.socket:
    """The TCP connection: through TLS a reset and an end may look the same."""
    raw = socket.socket(fileno=os.dup(connection.fileno()))
    raw.settimeout(60)
    return raw


def test_three_kinds_of_listeners_share_one_port(site: Site):
    port = site.ports[443]
    through = fetch(port, "/x", host="one.a.example.com", context=site.trusting("a"))
    assert (through.json["name"], through.json["tls"]["sni"]) == ("behind", "one.a.example.com")
    assert "x-forwarded-for" not in through.json["headers"]
    web = fetch(port, "/x", host="b.example.com", context=site.trusting("b"))
    assert (web.json["name"], web.json["headers"]["x-forwarded-proto"]) == ("web", ["https"])
    with site.connect(443, "t.example.com", "t") as connection:
        connection.sendall(b"hello")
        assert _receive(connection, 5) == b"hello"


def test_the_most_specific_hostname_of_a_route_wins(site: Site):
    with site.connect(443, "exact.a.example.com", "a") as connection:
        assert _receive(connection, 8) == b"greeter\n"


def test_a_request_for_a_name_that_passes_through_is_misdirected_on_an_https_connection(site: Site):
    """RFC 9110 section 15.5.20. It must never be served by the TLSRoute, whose backend speaks TLS."""
    with site.connect(443, "b.example.com", "b") as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: one.a.example.com\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 421 ")


def test_curl_negotiates_http_2_with_the_backend_itself(site: Site):
    port = site.ports[443]
    said = curl(
        "--cacert", str(site.scratch / "a.crt"), "--resolve", f"two.a.example.com:{port}:127.0.0.1",
        "-w", "\n%{http_version}", f"https://two.a.example.com:{port}/y",
    )  # fmt: skip
    body, _, version = said.rpartition("\n")
    assert (version, json.loads(body)["name"]) == ("2", "behind")


def test_no_protocol_is_agreed_on_for_a_backend_that_is_not_known(site: Site):
    """What the gateway decrypts may be anything: ALPN is left out, and clients fall back (RFC 7301 section 3.2)."""
    context = site.trusting("t")
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", site.ports[443]), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname="t.example.com") as connection,
    ):
        assert connection.selected_alpn_protocol() is None


@pytest.mark.parametrize("option", ["-tls1_2", "-tls1_3"])
def test_openssl_reaches_a_backend_of_openssl(site: Site, option: str):
    port = free_port()
    server = Process([
        program("openssl"), "s_server", "-accept", str(port), "-www", "-naccept", "1",
        "-cert", str(site.scratch / "a.crt"), "-key", str(site.scratch / "a.key"),
    ])  # fmt: skip
    try:
        server.line("ACCEPT")
        route = tls_route("openssl", "openssl", "openssl.a.example.com", section="through")
        site.folder.write("openssl.yaml", route, *service("openssl", port))
        wait_until(lambda: b"openssl.a" in _config(site), "the route is served")
        said = subprocess.run(
            [
                program("openssl"), "s_client", "-connect", f"127.0.0.1:{site.ports[443]}", option, "-quiet",
                "-servername", "openssl.a.example.com", "-verify_return_error", "-CAfile", str(site.scratch / "a.crt"),
            ],
            input=b"GET / HTTP/1.0\r\n\r\n", capture_output=True, check=False, timeout=60,
        ).stdout  # fmt: skip
        assert b"HTTP/1.0 200 ok" in said
    finally:
        site.folder.remove("openssl.yaml")
        server.stop()


def _config(site: Site) -> bytes:
    return fetch(site.gateway.admin, "/config").body


@pytest.mark.parametrize(("name", "short"), [("raw.a.example.com", "a"), ("t.example.com", "t")])
def test_a_long_stream_in_both_directions_at_once(site: Site, name: str, short: str):
    data = random.Random(1).randbytes(1 << 20) * 8
    port = site.ports[8443 if short == "a" else 443]

    async def both() -> bytes:
        context = site.trusting(short)
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        writer.write(data)
        received = await reader.readexactly(len(data))
        writer.close()
        await writer.wait_closed()
        return received

    assert asyncio.run(asyncio.wait_for(both(), 60)) == data


def test_the_end_of_what_the_client_sends_arrives_and_the_answer_still_comes(site: Site):
    """close_notify ends one direction (RFC 8446 section 6.1)."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = site.trusting("t").wrap_bio(incoming, outgoing, server_hostname="t.example.com")
    with socket.create_connection(("127.0.0.1", site.ports[443]), timeout=60) as raw:

        def step(work: Callable[[], Any]) -> Any:
            while True:
                try:
                    return work()
                except ssl.SSLZeroReturnError:
                    return b""
                except ssl.SSLWantReadError:
                    if outgoing.pending:
                        raw.sendall(outgoing.read())
                    data = raw.recv(65536)
                    incoming.write(data) if data else incoming.write_eof()

        step(client.do_handshake)
        client.write(b"last words")
        with pytest.raises(ssl.SSLWantReadError):
            client.unwrap()
        raw.sendall(outgoing.read())
        raw.shutdown(socket.SHUT_WR)
        received = b""
        while data := step(lambda: client.read(100)):
            received += data
        assert received == b"last words"
        assert raw.recv(10) == b""


def test_an_end_that_the_backend_sent_first_is_no_end_for_the_client(site: Site):
    """Each direction ends on its own."""
    with socket.create_server(("127.0.0.1", 0)) as backend:
        backend.settimeout(60)
        port = backend.getsockname()[1]
        route = tls_route("ending", "ending", "t.example.com", section="here")
        route["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
        site.folder.write("ending.yaml", route, *service("ending", port))
        wait_until(lambda: b"default/ending" in _config(site), "the route is served")
        try:
            with site.connect(443, "t.example.com", "t") as connection:
                server = backend.accept()[0]
                with server:
                    server.settimeout(60)
                    server.sendall(b"bye")
                    server.shutdown(socket.SHUT_WR)
                    assert read_all(connection) == b"bye"
                    connection.sendall(b"after all")
                    assert server.recv(100, socket.MSG_PEEK) == b"after all"
                    connection.unwrap()
                    assert read_all(server) == b"after all"
            site.gateway.line(r'"bytes_in":9,"bytes_out":3,.*"route":"TLSRoute/default/ending".*"reason":""')
        finally:
            site.folder.remove("ending.yaml")
            wait_until(lambda: b"default/ending" not in _config(site), "the route is gone")


@pytest.mark.parametrize(
    ("name", "reason", "route"),
    [
        ("dead.a.example.com", "upstream_refused", "TLSRoute/default/dead"),
        ("missing.a.example.com", "BackendNotFound", "TLSRoute/default/missing"),
        ("empty.a.example.com", "no_endpoints", "TLSRoute/default/empty"),
        ("unknown.example.org", "no_route", ""),
    ],
)
def test_who_cannot_be_served_is_closed_without_an_alert(site: Site, name: str, reason: str, route: str):
    """Nobody here may speak TLS for the backend: the client sees the end, or a reset (Gateway API, TLSRoute)."""
    with pytest.raises((ConnectionError, ssl.SSLEOFError)), site.connect(8443, name, "a"):
        pass
    line = json.loads(site.gateway.line(f'"host":"{name}"').string)
    assert (line["protocol"], line["reason"], line["route"]) == ("TLS", reason, route)
    assert line["listener"] == "default/web/only"


def test_a_client_without_a_name_goes_to_what_takes_any_and_no_route_has_none(site: Site):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # no name, nothing to verify by
    with (
        pytest.raises((ConnectionError, ssl.SSLEOFError)),
        socket.create_connection(("127.0.0.1", site.ports[8443]), timeout=60) as raw,
        context.wrap_socket(raw),
    ):
        pass
    assert json.loads(site.gateway.line('"protocol":"TLS","host":""').string)["reason"] == "no_route"


@pytest.mark.parametrize("name", ["unknown.example.org", "broken.example.com"])
def test_where_the_gateway_speaks_tls_it_says_that_it_does_not_know_the_name(site: Site, name: str):
    """RFC 6066 section 3; a listener whose certificate cannot be used is not there."""
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"), site.connect(443, name, "t"):
        pass


def test_what_passed_is_told_with_route_rule_and_backend(site: Site):
    for port, name, short in ((8443, "raw.a.example.com", "a"), (443, "t.example.com", "t")):
        with site.connect(port, name, short) as connection:
            connection.sendall(b"12345")
            assert _receive(connection, 5) == b"12345"
            connection.unwrap()
    line = json.loads(site.gateway.line(r'"host":"raw\.a\.example\.com".*"reason":""').string)
    assert (line["listener"], line["route"]) == ("default/web/only", "TLSRoute/default/raw")
    assert line["backend"] == f"127.0.0.1:{site.backends['behind-raw'].port}"
    assert line["bytes_in"] > 200, "the handshake passes through"
    line = json.loads(site.gateway.line(r'"host":"t\.example\.com".*"bytes_in":5,"bytes_out":5,.*"reason":""').string)
    assert (line["listener"], line["route"], line["rule"]) == ("default/web/here", "TLSRoute/default/here", "0")
    text = fetch(site.gateway.admin, "/metrics").body.decode()
    assert 'route="TLSRoute/default/here"' in text


def test_a_tcproute_may_stand_on_a_listener_that_decrypts(site: Site):
    with site.connect(444, "t.example.com", "t") as connection:
        connection.sendall(b"hello")
        assert _receive(connection, 5) == b"hello"


@pytest.mark.parametrize(("name", "short"), [("x.a.example.com", "a"), ("t.example.com", "t")])
def test_a_stream_that_idles_is_reset(site: Site, name: str, short: str):
    with site.connect(444, name, short) as connection:
        connection.sendall(b"hello")
        assert _receive(connection, 5) == b"hello"
        with _bare(connection) as raw, pytest.raises(ConnectionResetError):
            read_all(raw)
    site.gateway.line(f'"host":"{name}".*"reason":"stream_timeout"')
