"""Timeouts, retries, CORS and mirrors of rules through a real gateway, before a backend that fails as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.fragile import Fragile, fragile
from tests.manifests import Folder, gateway, gateway_class, http_route, listener, rule, service
from tests.processes import Gateway, wait_until
from tests.talk import exchange, fetch, keep_alive

RETRY = {"codes": [500, 503], "attempts": 2, "backoff": "20ms"}
CORS = {"type": "CORS", "cors": {"allowOrigins": ["https://*.example.com"], "allowMethods": ["PUT"]}}
MIRROR = {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "copies", "port": 80}}}


class Site:
    """A gateway on one port with a rule for each kind of limit, all before the same backend."""

    def __init__(self, folder: Folder, stack: ExitStack) -> None:
        self.backend: Fragile = stack.enter_context(fragile())
        self.copies: Fragile = stack.enter_context(fragile())
        folder.write(
            "all.yaml",
            gateway_class(),
            gateway(listener("http", 80)),
            *service("shop", self.backend.port),
            *service("copies", self.copies.port),
            http_route(
                "site",
                rule("shop", "/request", timeouts={"request": "300ms"}),
                rule("shop", "/backend", timeouts={"backendRequest": "300ms"}),
                rule("shop", "/retry", retry=RETRY),
                rule("shop", "/cors", [CORS]),
                rule("shop", "/mirror", [MIRROR]),
                rule("shop", "/both", retry=RETRY, timeouts={"request": "60s", "backendRequest": "500ms"}),
            ),
        )
        self.gateway = Gateway(folder.path, ports=[80])
        stack.callback(self.gateway.stop)
        self.port = self.gateway.ports[80]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(Folder(tmp_path_factory.mktemp("site") / "manifests"), stack)


ROWS = [
    ("/request/1xmute", 504, 1),
    ("/backend/1xmute", 504, 1),
    ("/retry/2x500", 200, 3),
    ("/retry/9x503", 503, 3),
    ("/retry/1x404", 404, 1),
    ("/retry/2xreset", 200, 3),
    ("/retry/9xreset", 503, 3),
    ("/both/1xmute", 200, 2),
    ("/both/9xmute", 504, 3),
]


@pytest.mark.parametrize(("path", "status", "attempts"), ROWS)
def test_what_becomes_of_a_request(site: Site, path: str, status: int, attempts: int):
    assert fetch(site.port, path).status == status
    assert site.backend.attempts[path] == attempts


def test_the_body_goes_along(site: Site):
    body = b"x" * 50_000
    assert fetch(site.port, "/retry/body/1x503", method="POST", body=body).status == 200
    assert site.backend.bodies["/retry/body/1x503"] == [body, body]


def test_a_preflight_never_reaches_the_backend(site: Site):
    asks = {"Origin": "https://shop.example.com", "Access-Control-Request-Method": "PUT"}
    answer = fetch(site.port, "/cors/preflight", method="OPTIONS", headers=asks)
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "https://shop.example.com"
    assert answer.headers["access-control-allow-methods"] == "PUT"
    assert site.backend.attempts["/cors/preflight"] == 0
    allowed = fetch(site.port, "/cors/put", method="PUT", body=b"x", headers=asks)
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example.com"
    other = fetch(site.port, "/cors/put", headers={"Origin": "https://shop.example.org"})
    assert other.status == 200
    assert "access-control-allow-origin" not in other.headers


def test_a_mirror_gets_the_same_and_changes_nothing(site: Site):
    with keep_alive(site.port) as connection:
        assert exchange(connection, "/mirror/body", method="POST", body=b"x" * 1000).status == 200
        paths = [f"/mirror/{number}" for number in range(10)]
        for path in paths:
            assert exchange(connection, path).status == 200
    wait_until(lambda: {"/mirror/body", *paths} <= site.copies.attempts.keys(), "all copies came")
    assert site.copies.bodies["/mirror/body"] == site.backend.bodies["/mirror/body"] == [b"x" * 1000]


def test_mirrors_that_never_answer_delay_nothing(tmp_path: Path):
    with ExitStack() as stack:
        _delay_nothing(Site(Folder(tmp_path / "manifests"), stack))


def _delay_nothing(site: Site) -> None:
    paths = [f"/mirror/mute/{number}/1xmute" for number in range(80)]
    for path in paths:  # the backend has seen each before: it answers
        site.backend.attempts[path] = 1
    with keep_alive(site.port) as connection:
        assert all(exchange(connection, path).status == 200 for path in paths)
