"""What every proxy is told to serve: hosts and paths, one backend, one certificate, and on which ports."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.processes import free_port

CALLS = "/bench.Greeter"  # a gRPC service is the first segment of the path
PATHS = ("/api", "/cart", "/shop", "/files", "/upload")
GREETING = b'{"name":"backend","message":"a small answer of sixty-six bytes !"}'
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Site:
    """`routes` routes, five paths for each host. The first host is localhost: that is what wrk asks for by SNI.

    `backend` and `backend_h2` are the ports of the one backend, for HTTP/1.1 and for HTTP/2 in clear text; on
    `backend_grpc` a gRPC server listens. `connections` is how many a proxy must be able to hold at once.
    """

    folder: Path
    backend: int
    backend_h2: int
    backend_grpc: int
    routes: int = 5
    access_log: bool = False
    connections: int = 1024

    @property
    def hosts(self) -> tuple[str, ...]:
        count = max(1, self.routes // len(PATHS))
        return ("localhost", *(f"t{number}.example.com" for number in range(1, count)))

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Each host with each path: one route."""
        return ((host, path) for host in self.hosts for path in PATHS)

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def private_key(self) -> Path:
        return self.folder / "private.key"


@dataclass(frozen=True)
class Ports:
    """Where one proxy listens on the loopback address.

    HTTP; HTTPS, with HTTP/2 by ALPN; raw TCP to the backend; HTTP/2 in clear text by prior knowledge (a port of its
    own, as not every proxy tells it from HTTP/1.1); the same, but to the backend's HTTP/2 port, and to the gRPC server.
    The last three serve the first host only.
    """

    http: int
    https: int
    tcp: int
    h2c: int
    h2_h2: int
    grpc: int


@dataclass(frozen=True)
class Layer:
    """One way to ask a proxy: which of its `Ports`, and what is spoken there. With `calls`, it is gRPC."""

    port: str
    tls: bool = False
    http2: bool = False
    all_hosts: bool = True
    calls: bool = False


LAYERS = {
    "http": Layer("http"),
    "https": Layer("https", tls=True),
    "tcp": Layer("tcp"),
    "h2c": Layer("h2c", http2=True, all_hosts=False),
    "h2": Layer("https", tls=True, http2=True),
    "h2-h2": Layer("h2_h2", http2=True, all_hosts=False),
    "grpc": Layer("grpc", http2=True, all_hosts=False, calls=True),
}


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, and that no other run on this machine gives away."""
    return [free_port() for _ in range(count)]


def write_certificate(site: Site) -> None:
    """A self-signed P-256 certificate for localhost and *.example.com, as certificate.pem and private.key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.DNSName("localhost"), x509.DNSName("*.example.com"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    site.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    site.private_key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
