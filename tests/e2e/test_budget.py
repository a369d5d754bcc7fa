"""Budgets of retries with real workers: a storm of requests that all fail, counted at the backend."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.fragile import Fragile, fragile
from tests.manifests import Folder, gateway, gateway_class, http_route, listener, rule, service, traffic_policy
from tests.processes import Echo, Gateway, wait_until
from tests.talk import exchange, fetch, keep_alive

WORKERS = 2
CLIENTS, EACH = 8, 75
RETRY = {"codes": [500], "attempts": 1, "backoff": "1ms"}
LEAST = 2  # retries an hour in any case
FAILING = "1000000x500"


class Site:
    """Two workers before one backend, with a policy that can be written anew."""

    def __init__(self, folder: Folder, stack: ExitStack) -> None:
        self.folder = folder
        self.backend: Fragile = stack.enter_context(fragile())
        folder.write(
            "site.yaml",
            gateway_class(),
            gateway(listener("http", 80)),
            *service("shop", self.backend.port),
            http_route("site", rule("shop", retry=RETRY)),
        )
        self.allow(5)
        self.gateway = Gateway(folder.path, ports=[80], workers=WORKERS)
        stack.callback(self.gateway.stop)
        self.port = self.gateway.ports[80]

    def allow(self, percent: int) -> None:
        """So many percent may be retries."""
        constraint = {
            "budget": {"percent": percent, "interval": "1h"},
            "minRetryRate": {"count": LEAST, "interval": "1h"},
        }
        self.folder.write("policy.yaml", traffic_policy("calm", "shop", retryConstraint=constraint))

    def counts(self) -> str:
        """The metrics of all workers."""
        return fetch(self.gateway.admin, "/metrics").body.decode()

    def storm(self, path: str) -> Counter[int]:
        """Many requests on many connections, several at a time; how often which status came."""
        found: list[int] = []

        def ask() -> None:
            found.extend(fetch(self.port, path).status for _ in range(EACH))

        threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Counter(found)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(Folder(tmp_path / "manifests"), stack)


def test_a_storm_adds_no_more_than_the_budget(site: Site):
    path = f"/storm/{FAILING}"
    statuses = site.storm(path)
    asked = CLIENTS * EACH
    attempts = site.backend.attempts[path]
    retries = attempts - asked
    assert retries <= 0.05 * attempts + LEAST
    assert retries >= 0.03 * attempts, "the budget can be used"
    assert statuses == {500: retries, 503: asked - retries}, "over budget it is 503, else what the last attempt said"
    assert f"gatewayd_upstream_retries_total {retries}.0" in site.counts()
    refused = f"gatewayd_upstream_retries_refused_total {asked - retries}.0"
    wait_until(lambda: refused in site.counts(), "the workers looked at the backend once more")


def test_another_budget_holds_from_now_on_and_connections_stay(site: Site):
    with keep_alive(site.port) as client:
        assert exchange(client, f"/before/{FAILING}").status == 500, "the least rate of its worker"
        socket = client.sock
        site.allow(100)
        wait_until(lambda: exchange(client, f"/during/{FAILING}").status == 500, "the new budget is in force")
        for number in range(20):
            assert exchange(client, f"/after/{number}/{FAILING}").status == 500
            assert site.backend.attempts[f"/after/{number}/{FAILING}"] == 2
        assert exchange(client, "/good").status == 200
        assert client.sock is socket


def test_a_policy_keeps_sessions_as_soon_as_it_is_written(tmp_path: Path):
    with ExitStack() as stack:
        backends = [Echo(f"seat-{number}") for number in range(4)]
        for each in backends:
            stack.callback(each.stop)
        folder = Folder(tmp_path / "manifests")
        parts = (gateway_class(), gateway(listener("http", 80)), http_route("site", rule("shop")))
        folder.write("site.yaml", *parts, *service("shop", *(each.port for each in backends)))
        site = Gateway(folder.path, ports=[80], workers=WORKERS)
        stack.callback(site.stop)
        port = site.ports[80]
        assert "x-seat" not in fetch(port, "/").headers
        sessions = {"type": "Header", "header": {"name": "x-seat"}}
        folder.write("policy.yaml", traffic_policy("calm", "shop", sessionPersistence=sessions))
        wait_until(lambda: "x-seat" in fetch(port, "/").headers, "the policy is in force")
        token = {"x-seat": wait_until(lambda: fetch(port, "/").headers.get("x-seat"), "a worker makes a token")}
        seats = {fetch(port, "/", headers=token).json["name"] for _ in range(40)}
        assert len(seats) == 1
