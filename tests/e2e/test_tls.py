"""HTTPS listeners through a real gateway, asked by Python's ssl, curl and openssl."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509

from tests.certificates import self_signed
from tests.manifests import Folder, gateway, gateway_class, http_route, https, listener, rule, secret, service
from tests.processes import Echo, Gateway, wait_until
from tests.talk import curl, fetch, program


class Site:
    """One port with certificates for shop.example.com and *.example.com, one listener with a broken certificate."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.scratch = scratch
        self.echo = Echo("echo-a")
        stack.callback(self.echo.stop)
        self.folder = Folder(scratch / "manifests")
        self.folder.write(
            "gateway.yaml",
            gateway_class(),
            gateway(
                https("shop", 443, "shop", hostname="shop.example.com"),
                https("wildcard", 443, "wildcard", hostname="*.example.com"),
                https("broken", 443, "broken", hostname="broken.example.org"),
                https("any", 8443, "shop"),
                listener("http", 80),
            ),
        )
        self.folder.write("routes.yaml", *service("echo-a", self.echo.port), http_route("all", rule("echo-a")))
        self.folder.write("shop.yaml", self.certificate("shop", "shop.example.com"))
        self.folder.write("wildcard.yaml", self.certificate("wildcard", "*.example.com"))
        self.folder.write("broken.yaml", secret("broken", b"no certificate", b"no key"))
        self.gateway = Gateway(self.folder.path, ports=[443, 8443, 80])
        stack.callback(self.gateway.stop)

    def certificate(self, name: str, host: str) -> dict[str, object]:
        certificate, key = self.scratch / f"{name}.crt", self.scratch / f"{name}.key"
        self_signed(host, certificate, key)
        return secret(name, certificate.read_bytes(), key.read_bytes())

    def trusting(self, name: str) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.scratch / f"{name}.crt"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("tls"), stack)


@pytest.mark.parametrize(
    ("host", "certificate"),
    [("shop.example.com", "shop"), ("SHOP.example.com", "shop"), ("blog.example.com", "wildcard")],
)
def test_the_name_asked_for_chooses_the_certificate(site: Site, host: str, certificate: str):
    reply = fetch(site.gateway.ports[443], "/x", host=host, context=site.trusting(certificate))
    assert reply.status == 200
    assert reply.json["headers"]["x-forwarded-proto"] == ["https"]
    assert reply.json["tls"] is None  # the gateway ends TLS; the backend is asked in clear


def test_curl_verifies_and_negotiates_http_2(site: Site):
    port = site.gateway.ports[443]
    said = curl(
        "--cacert", str(site.scratch / "shop.crt"), "--resolve", f"shop.example.com:{port}:127.0.0.1",
        "-w", "\n%{http_version} %{ssl_verify_result}", f"https://shop.example.com:{port}/",
    )  # fmt: skip
    body, _, facts = said.rpartition("\n")
    assert facts == "2 0"
    assert json.loads(body)["host"] == f"shop.example.com:{port}"


@pytest.mark.parametrize(("option", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_openssl_speaks_both_versions(site: Site, option: str, version: str):
    said = _s_client(site.gateway.ports[443], "-servername", "shop.example.com", option, "-alpn", "h2,http/1.1")
    assert f"Protocol  : {version}" in said or f"New, {version}" in said
    assert "ALPN protocol: h2" in said


def test_tls_1_1_is_refused(site: Site):
    said = _s_client(
        site.gateway.ports[443], "-servername", "shop.example.com", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"
    )
    assert "Cipher is (NONE)" in said


def _s_client(port: int, *options: str) -> str:
    done = subprocess.run(
        [program("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", *options],
        input="", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.stdout + done.stderr


def test_a_listener_for_any_name_serves_clients_without_sni(site: Site):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # no name, nothing to verify by
    with (
        socket.create_connection(("127.0.0.1", site.gateway.ports[8443]), timeout=60) as raw,
        context.wrap_socket(raw) as connection,
    ):
        connection.sendall(b"GET /status/204 HTTP/1.1\r\nHost: anything\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 204 ")


def test_a_broken_certificate_takes_down_its_own_listener_only(site: Site):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        fetch(site.gateway.ports[443], host="broken.example.org", context=site.trusting("shop"))
    assert fetch(site.gateway.ports[443], host="shop.example.com", context=site.trusting("shop")).status == 200
    items = fetch(site.gateway.admin, "/status").json["items"]
    (web,) = [item for item in items if item["kind"] == "Gateway"]
    states = {
        entry["name"]: {found["type"]: found["status"] for found in entry["conditions"]}
        for entry in web["status"]["listeners"]
    }
    assert states["broken"]["ResolvedRefs"] == "False"
    assert states["shop"]["Programmed"] == "True"


def test_a_host_of_another_listener_is_misdirected(site: Site):
    """RFC 9110 section 15.5.20: the connection was made for the certificate of shop.example.com."""
    context = site.trusting("shop")
    with (
        socket.create_connection(("127.0.0.1", site.gateway.ports[443]), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname="shop.example.com") as connection,
    ):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: blog.example.com\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 421 ")


def test_clear_text_on_a_tls_port_is_closed(site: Site):
    with socket.create_connection(("127.0.0.1", site.gateway.ports[443]), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
        try:
            answer = connection.recv(4096)
        except ConnectionError:
            answer = b""
        assert b" 200 " not in answer


def test_a_renewed_certificate_is_shown_at_once_and_open_connections_live(site: Site):
    port = site.gateway.ports[443]
    before = _shown(port, "blog.example.com")
    context = site.trusting("wildcard")
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname="blog.example.com") as connection,
    ):
        site.folder.write("wildcard.yaml", site.certificate("wildcard", "*.example.com"))
        wait_until(lambda: _shown(port, "blog.example.com") != before, "the new certificate is shown")
        connection.sendall(b"GET /status/204 HTTP/1.1\r\nHost: blog.example.com\r\nConnection: close\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 204 ")


def _shown(port: int, host: str) -> int:
    """The serial number of the certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only looked at
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname=host) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number
