"""The official manifests as a whole: every one makes a snapshot whose parts fit."""

from __future__ import annotations

import pytest

from gatewayd.api.objects import Objects
from gatewayd.plan.build import Planner, Result
from tests.plan.official import FOLDER, HEALTHY, OPTIONS, READY, base, planned
from tests.plan.verdicts import holds

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the official manifests are not here")


def test_every_condition_carries_the_generation() -> None:
    """The suite takes a condition with another observedGeneration for a stale one."""
    result = planned("gateway-with-attached-routes")
    gateways = [status for key, status in result.statuses.items() if key.startswith("Gateway/")]
    routes = [status for key, status in result.statuses.items() if key.startswith("HTTPRoute/")]
    conditions = [
        *(one for status in gateways for one in status["conditions"]),
        *(one for status in gateways for entry in status["listeners"] for one in entry["conditions"]),
        *(one for status in routes for entry in status["parents"] for one in entry["conditions"]),
    ]
    assert conditions
    assert {one["observedGeneration"] for one in conditions} == {1}
    assert all(set(one) == {"type", "status", "reason", "message", "observedGeneration"} for one in conditions)


def test_every_gateway_of_the_base_is_ready() -> None:
    """Accepted and Programmed on all four Gateways, each with an address of its own."""
    statuses = Planner().plan(Objects(base()), OPTIONS).statuses
    gateways = {key: status for key, status in statuses.items() if key.startswith("Gateway/")}
    assert len(gateways) == 4
    for status in gateways.values():
        assert holds(READY, status["conditions"])
        assert all(holds(HEALTHY, one["conditions"]) for one in status["listeners"])
    assert len({status["addresses"][0]["value"] for status in gateways.values()}) == 4


def names_what_it_holds(result: Result) -> bool:
    """Whether every route, backend and certificate that a listener names is in the snapshot, and nothing else."""
    snapshot = result.snapshot
    rules = [rule for route in snapshot.routes.values() for rule in route.rules]
    listeners = [one for port in snapshot.ports.values() for one in port.listeners]
    routes = {key for one in listeners for keys in one.hosts.values() for key in keys}
    shares = {share.backend for rule in rules for share in rule.shares}
    filters = [each for rule in rules for each in (rule.filters, *(share.filters for share in rule.shares))]
    mirrors = {mirror.backend for each in filters if each is not None for mirror in each.mirrors}
    certificates = {key for one in listeners for key in one.certificates}
    return (routes, (shares | mirrors) - {""}, certificates) == (
        set(snapshot.routes),
        set(snapshot.backends),
        set(snapshot.certificates),
    )


def test_every_manifest_of_the_suite_makes_a_snapshot() -> None:
    names = sorted(path.stem for path in (FOLDER / "tests").glob("*.yaml"))
    assert len(names) > 100
    assert [name for name in names if not names_what_it_holds(planned(name))] == []
