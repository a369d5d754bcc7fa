"""XBackends through a real gateway: hosts that are found by their names, in every protocol that is served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.call_server import CallServer, channel
from tests.e2e.fragile import Fragile, fragile
from tests.manifests import (
    Folder,
    Manifest,
    gateway,
    gateway_class,
    grpc_route,
    http_route,
    listener,
    outside,
    service,
    tcp_route,
    xbackend,
)
from tests.manifests import rule as manifest_rule
from tests.processes import PATIENCE, Echo, Gateway, wait_until
from tests.talk import exchange, fetch, keep_alive, talk


def rule(prefix: str, *refs: Manifest, **more: Any) -> Manifest:
    return {"matches": [{"path": {"type": "PathPrefix", "value": prefix}}], "backendRefs": list(refs), **more}


class Site:
    """HTTP on 80, TCP on 90; all backends are called localhost."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.echo, raw = Echo("far"), Echo("raw", "--tcp")
        self.calls = CallServer("calls")
        self.copies: Fragile = stack.enter_context(fragile())
        for part in (self.echo, raw, self.calls):
            stack.callback(part.stop)
        self.folder = Folder(scratch / "manifests")
        mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": outside("copies")}}
        rename = {"type": "URLRewrite", "urlRewrite": {"hostname": "far.example.com"}}
        self.folder.write(
            "routes.yaml",
            gateway_class(),
            gateway(listener("http", 80), listener("tcp", 90, "TCP")),
            http_route(
                "site",
                rule("/http", outside("far")),
                rule("/named", outside("far", filters=[rename])),
                rule("/h2c", outside("far-h2c")),
                rule("/mirror", outside("far"), filters=[mirror]),
                rule("/tls", outside("far-tls")),
                rule("/moves", outside("moves")),
            ),
            grpc_route("calls", {"backendRefs": [outside("calls")]}),
            {**tcp_route("raw", {"raw": 1}, "tcp"), "spec": _stream()},
            *service("raw", raw.port),
        )
        port = self.echo.port
        self.folder.write(
            "backends.yaml",
            xbackend("far", "localhost", port),
            xbackend("far-h2c", "localhost", port, protocol="H2C"),
            xbackend("far-tls", "localhost", port, tls={"mode": "ServerOnly"}),
            xbackend("calls", "localhost", self.calls.port),
            xbackend("copies", "localhost", self.copies.port, protocol="HTTP11"),
            xbackend("raw", "localhost", raw.port, protocol="TCP"),
        )
        self.move("gatewayd.invalid")
        self.gateway = Gateway(self.folder.path, ports=[80, 90])
        stack.callback(self.gateway.stop)
        self.port = self.gateway.ports[80]

    def move(self, hostname: str) -> None:
        """Give the backend of /moves this name."""
        self.folder.write("moves.yaml", xbackend("moves", hostname, self.echo.port))


def _stream() -> Manifest:
    parent = {"name": "web", "sectionName": "tcp"}
    return {"parentRefs": [parent], "rules": [{"backendRefs": [outside("raw")]}]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("site"), stack)


ROWS = [
    ("/http", "HTTP/1.1", "shop.example.com"),
    ("/named", "HTTP/1.1", "far.example.com"),
    ("/h2c", "HTTP/2", "shop.example.com"),
]


@pytest.mark.parametrize(("path", "protocol", "host"), ROWS)
def test_requests(site: Site, path: str, protocol: str, host: str):
    reply = fetch(site.port, path, host="shop.example.com")
    assert reply.status == 200
    assert (reply.json["name"], reply.json["protocol"], reply.json["host"]) == ("far", protocol, host)


def test_what_asks_for_tls_gets_nothing_in_clear(site: Site):
    assert fetch(site.port, "/tls").status == 500


def test_calls(site: Site):
    with channel(site.port, "calls.example.com") as opened:
        call = opened.unary_unary("/any.Service/Unary").future(b"hello", timeout=PATIENCE)
        assert call.result(PATIENCE) == b"hello"
        assert ("server", "calls") in {(entry.key, entry.value) for entry in call.initial_metadata()}


def test_streams(site: Site):
    assert talk(site.gateway.ports[90], b"\0\xff hello") == b"\0\xff hello"


def test_copies(site: Site):
    assert fetch(site.port, "/mirror/this", method="POST", body=b"body").status == 200
    wait_until(lambda: site.copies.bodies.get("/mirror/this") == [b"body"], "the copy came")


def test_a_name_that_nobody_knows_is_503_until_it_is_another(site: Site):
    with keep_alive(site.port) as client:
        assert exchange(client, "/moves").status == 503
        site.gateway.line("backend XBackend/default/moves:[0-9]+: the name gatewayd.invalid cannot be resolved")
        site.move("localhost")
        wait_until(lambda: exchange(client, "/moves").status == 200, "the new name is known")
        assert exchange(client, "/moves").json["name"] == "far"


def test_the_admin_api_is_nobodys_backend(site: Site):
    """Neither by a name nor by an address, though clients may say whatever host it wants to hear."""
    admin = site.gateway.admin
    own = {"path": {"type": "PathPrefix", "value": "/status"}}
    site.folder.write(
        "deputy.yaml",
        xbackend("deputy", "localhost", admin),
        *service("deputy", admin),
        http_route("by-name", {"matches": [own], "backendRefs": [outside("deputy")]}, hostnames=["localhost"]),
        http_route("by-address", manifest_rule("deputy", "/status"), hostnames=["127.0.0.1"]),
    )
    site.gateway.line("backend XBackend/default/deputy:[0-9]+ leads to the admin API")
    site.gateway.line("backend default/deputy:80 leads to the admin API")
    for host in ("localhost", "127.0.0.1"):
        assert fetch(site.port, "/status", host=host).status == 503
    assert fetch(admin, "/status").status == 200
