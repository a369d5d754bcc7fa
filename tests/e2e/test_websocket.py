"""WebSockets through real processes: every pairing of HTTP versions, over TLS and in clear text, and many at once."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.certificates import self_signed
from tests.e2e.websocket2 import WebSocket2
from tests.manifests import Folder, gateway, gateway_class, http_route, https, listener, rule, secret, service
from tests.processes import PATIENCE, Echo, Gateway, affordable

HOST = "shop.test"
PATHS = ["/one/ws", "/two/ws"]  # to a backend that speaks HTTP/1.1, and to one that speaks HTTP/2
IDLE = affordable(1000, 4)  # two of the gateway for each, and what else is open
STRIP = {"type": "URLRewrite", "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}}}


class Site:
    """A gateway, in clear text and with TLS, before two echo backends."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        one, two = Echo("one"), Echo("two")
        stack.callback(one.stop)
        stack.callback(two.stop)
        certificate, key = scratch / "c.pem", scratch / "k.pem"
        self_signed(HOST, certificate, key)
        folder = Folder(scratch / "manifests")
        over_h2 = service("two", two.port)
        for port in over_h2[0]["spec"]["ports"]:
            port["appProtocol"] = "kubernetes.io/h2c"
        folder.write(
            "web.yaml",
            gateway_class(),
            gateway(listener("http", 80), https("https", 443, "web")),
            secret("web", certificate.read_bytes(), key.read_bytes()),
            http_route("all", rule("one", "/one", [STRIP]), rule("two", "/two", [STRIP])),
            *service("one", one.port),
            *over_h2,
        )
        self.gateway = Gateway(folder.path, ports=[80, 443])
        stack.callback(self.gateway.stop)
        self.trusted = ssl.create_default_context(cafile=certificate)

    def open1(self, scheme: str, path: str) -> connect:
        """A WebSocket over HTTP/1.1. Not through the library's client that reads in a thread: two threads of
        Python 3.11 must not use one TLS connection, and one in a thousand broke.
        """
        port = self.gateway.ports[443 if scheme == "wss" else 80]
        options: dict[str, Any] = {"ssl": self.trusted, "server_hostname": HOST} if scheme == "wss" else {}
        return connect(f"{scheme}://127.0.0.1:{port}{path}", max_size=None, open_timeout=PATIENCE, **options)

    def open2(self, scheme: str, path: str) -> WebSocket2:
        """A WebSocket over HTTP/2."""
        context = None
        if scheme == "wss":
            context = ssl.create_default_context(cadata=self.trusted.get_ca_certs(binary_form=True)[0])
            context.set_alpn_protocols(["h2"])
        return WebSocket2(HOST, self.gateway.ports[443 if scheme == "wss" else 80], path, context)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("websocket"), stack)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_over_http1(site: Site, scheme: str, path: str):
    async def converse() -> None:
        async with site.open1(scheme, path) as client:
            for length in (0, 1, 125, 126, 65_535, 65_536, 2_000_000):
                await client.send("x" * length)
                assert await client.recv() == "x" * length
            await asyncio.wait_for(await client.ping(), PATIENCE)
            await client.close(1000)
            assert client.close_code == 1000

    asyncio.run(converse())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_over_http2(site: Site, scheme: str, path: str):
    client = site.open2(scheme, path)
    assert client.status == 200
    for length in (0, 1, 125, 126, 65_535, 65_536, 2_000_000):
        client.send("x" * length)
        assert client.recv() == "x" * length
    assert client.ping() == b"are you there?"
    assert client.close() == 1000


def test_a_thousand_idle_ones_stay_open(site: Site):
    async def hold() -> list[str | bytes]:
        port = site.gateway.ports[80]
        clients: list[ClientConnection] = []
        try:
            for number in range(IDLE):
                url = f"ws://127.0.0.1:{port}{PATHS[number % 2]}"
                clients.append(await connect(url, open_timeout=PATIENCE, ping_interval=None))
            # All are open at the same time; each is asked for a word, the first ones after a thousand others came.
            await asyncio.gather(*(client.send(f"{number}") for number, client in enumerate(clients)))
            return [await client.recv() for client in clients]
        finally:
            await asyncio.gather(*(client.close() for client in clients))

    assert asyncio.run(hold()) == [f"{number}" for number in range(IDLE)]
