"""What the tests of TLSRoute start: TLS that passes through, TLS that ends at the gateway, and HTTPS, on one port."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.certificates import self_signed
from tests.e2e.attacked import children, config, parameters
from tests.manifests import (
    Folder,
    gateway,
    gateway_class,
    http_route,
    https,
    rule,
    secret,
    service,
    tcp_route,
    tls,
    tls_route,
)
from tests.processes import Echo, Gateway, free_port

HASTY = {"timeouts": {"tlsHandshake": "500ms", "tunnelIdle": "500ms", "halfClosed": "500ms", "connect": "2s"}}
NAMES = {"a": "*.a.example.com", "b": "b.example.com", "t": "t.example.com"}


class Site:
    """Port 443: *.a.example.com passes through to `behind`, b.example.com is HTTPS, t.example.com ends here and goes on
    to `raw`. Port 8443: only what passes through, to `behind-raw` for raw.a.example.com, to nobody for dead, missing
    and empty. Port 444: both modes with short time-outs.
    """

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.scratch = scratch
        self.secrets = {short: self.certificate(short, name) for short, name in NAMES.items()}
        own = ("--tls-cert", str(scratch / "a.crt"), "--tls-key", str(scratch / "a.key"))
        self.backends = {
            "behind": Echo("behind", *own),
            "behind-raw": Echo("behind-raw", *own, "--tcp"),
            "greeter": Echo("greeter", *own, "--tcp", "--greet"),
            "raw": Echo("raw", "--tcp"),
            "web": Echo("web"),
        }
        for process in self.backends.values():
            stack.callback(process.stop)
        self.folder = Folder(scratch / "manifests")
        self.folder.write("gateway.yaml", *self.gateways())
        services = [part for name, process in self.backends.items() for part in service(name, process.port)]
        self.folder.write("backends.yaml", *services, *service("dead", free_port()), *service("empty"))
        self.folder.write("routes.yaml", *routes())
        self.gateway = Gateway(self.folder.path, ports=[443, 444, 8443])
        stack.callback(self.gateway.stop)
        self.ports = self.gateway.ports
        (self.worker,) = children(self.gateway.pid)

    def certificate(self, short: str, name: str) -> dict[str, object]:
        certificate, key = self.scratch / f"{short}.crt", self.scratch / f"{short}.key"
        self_signed(name, certificate, key)
        return secret(short, certificate.read_bytes(), key.read_bytes())

    def gateways(self) -> list[dict[str, object]]:
        return [
            gateway_class(),
            *self.secrets.values(),
            secret("broken", b"no certificate", b"no key"),
            gateway(
                tls("through", 443, hostname="*.a.example.com"),
                https("web", 443, "b", hostname="b.example.com"),
                tls("here", 443, "t", hostname="t.example.com"),
                tls("broken", 443, "broken", hostname="broken.example.com"),
                tls("only", 8443),
            ),
            gateway(
                tls("through", 444, hostname="*.a.example.com"),
                tls("here", 444, "t", hostname="t.example.com"),
                name="hasty",
                infrastructure=parameters("hasty"),
            ),
            config("hasty", HASTY),
        ]

    def trusting(self, short: str) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.scratch / f"{short}.crt"))

    @contextmanager
    def connect(self, port: int, name: str, short: str) -> Iterator[ssl.SSLSocket]:
        """A client that verifies the certificate of `short`."""
        with (
            socket.create_connection(("127.0.0.1", self.ports[port]), timeout=60) as raw,
            self.trusting(short).wrap_socket(raw, server_hostname=name) as connection,
        ):
            yield connection


def routes() -> list[dict[str, object]]:
    return [
        tls_route("through", "behind", "*.a.example.com", section="through"),
        tls_route("exact", "greeter", "exact.a.example.com", section="through"),
        http_route("web", rule("web"), section="web"),
        tls_route("here", "raw", "t.example.com", section="here"),
        tls_route("broken", "raw", "broken.example.com", section="broken"),
        tls_route("raw", "behind-raw", "raw.a.example.com", section="only"),
        tls_route("dead", "dead", "dead.a.example.com", section="only"),
        tls_route("missing", "missing", "missing.a.example.com", section="only"),
        tls_route("empty", "empty", "empty.a.example.com", section="only"),
        tls_route("hasty", "behind-raw", "*.a.example.com", section="through", parent="hasty"),
        tcp_route("hasty", {"raw": 1}, "here", parent="hasty"),
    ]
