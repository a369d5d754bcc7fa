"""What the tests of attacks start: a gateway with two Gateways, patient and hasty, before a backend that records."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

from tests.certificates import self_signed
from tests.e2e.recorder import Recorder
from tests.manifests import Folder, Manifest, gateway, gateway_class, http_route, https, listener, rule, secret, service
from tests.processes import Gateway
from tests.talk import read_all

HASTY = {
    "timeouts": {
        "head": "500ms", "tlsHandshake": "500ms", "idle": "500ms", "bodyRead": "500ms", "bodyGrace": "500ms",
        "write": "500ms", "firstByte": "2s", "connect": "2s",
    }
}  # fmt: skip


def config(name: str, spec: Manifest) -> Manifest:
    return {"apiVersion": "gatewayd.dev/v1alpha1", "kind": "GatewayConfig", "metadata": {"name": name}, "spec": spec}


def parameters(name: str) -> Manifest:
    return {"parametersRef": {"group": "gatewayd.dev", "kind": "GatewayConfig", "name": name}}


def manifests(folder: Folder, backend: int, scratch: Path) -> None:
    """Gateway web with the defaults on ports 80 and 443; Gateway hasty with short timeouts on 81 and 444."""
    names = ("shop.example.com", scratch / "tls.crt", scratch / "tls.key")
    self_signed(*names)
    folder.write(
        "all.yaml",
        gateway_class(),
        gateway(listener("http", 80), https("https", 443, "tls", hostname="shop.example.com")),
        gateway(
            listener("http", 81),
            https("https", 444, "tls", hostname="shop.example.com"),
            name="hasty",
            infrastructure=parameters("hasty"),
        ),
        config("hasty", HASTY),
        secret("tls", names[1].read_bytes(), names[2].read_bytes()),
        *service("backend", backend),
        http_route("web", rule("backend", "/")),
        http_route("hasty", rule("backend", "/"), parent="hasty"),
        http_route("nowhere", rule("missing", "/nowhere")),
    )


class Site:
    """A gateway before a backend that records."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.backend = stack.enter_context(Recorder())
        folder = Folder(scratch / "manifests")
        manifests(folder, self.backend.port, scratch)
        self.gateway = Gateway(folder.path, ports=[80, 81, 443, 444])
        stack.callback(self.gateway.stop)
        self.ports = self.gateway.ports
        (self.worker,) = children(self.gateway.pid)

    def connect(self, port: int = 80) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self.ports[port]), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def talk(self, data: bytes, port: int = 80) -> bytes:
        """Send and read until the gateway closes; our half stays open."""
        with self.connect(port) as connection:
            connection.sendall(data)
            return read_all(connection)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def last_words(connection: socket.socket) -> bytes:
    """What comes before the gateway closes (unread bytes of ours make that a reset); then we close too."""
    received = bytearray()
    with connection:
        try:
            while data := connection.recv(1 << 20):
                received += data
        except ConnectionResetError:
            pass
    return bytes(received)
