"""XBackendTrafficPolicy (GEP-3388): the budget that a backend gets, which policy is in force, and what status says."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from gatewayd.routing.snapshot import RetryBudgetPlan
from tests.plan.manifests import (
    CART,
    backend,
    endpoint_slice,
    gateway,
    http,
    outside,
    route,
    rule,
    service,
    traffic_policy,
    xbackend,
)
from tests.plan.verdicts import short
from tests.plan.yaml_objects import world

OLD, NEW = "2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z"


def plan(*texts: str) -> Result:
    return Planner().plan(world(gateway(), *texts), Options())


def budgets(result: Result) -> dict[str, int | None]:
    """The percentage of each backend, None without a policy."""
    found = result.snapshot.backends.items()
    return {key: None if one.retries is None else one.retries.percent for key, one in found}


def accepted(result: Result, name: str = "calm") -> dict[str, str]:
    found = {}
    for ancestor in result.statuses[f"XBackendTrafficPolicy/shop/{name}"]["ancestors"]:
        assert set(ancestor["ancestorRef"]) == {"group", "kind", "namespace", "name"}
        assert ancestor["controllerName"] == "gatewayd.dev/gateway-controller"
        found[ancestor["ancestorRef"]["name"]] = short(ancestor["conditions"])["Accepted"]
    return found


def retry(percent: int) -> dict[str, Any]:
    return {"retryConstraint": {"budget": {"percent": percent}}}


CONSTRAINTS: list[tuple[dict[str, Any], tuple[int, float, int, float]]] = [
    # (retryConstraint, (percent, interval, count, every))
    ({}, (20, 10.0, 10, 1.0)),
    ({"budget": {}}, (20, 10.0, 10, 1.0)),
    ({"budget": {"percent": 0}}, (0, 10.0, 10, 1.0)),
    ({"budget": {"percent": 100, "interval": "1h"}}, (100, 3600.0, 10, 1.0)),
    ({"budget": {"interval": "1m30s"}, "minRetryRate": {"count": 3, "interval": "500ms"}}, (20, 90.0, 3, 0.5)),
    ({"minRetryRate": {"count": 1}}, (20, 10.0, 1, 1.0)),
    ({"minRetryRate": {"interval": "10s"}}, (20, 10.0, 10, 10.0)),
    ({"minRetryRate": {}}, (20, 10.0, 10, 1.0)),
]


@pytest.mark.parametrize(("constraint", "expected"), CONSTRAINTS)
def test_budget(constraint: dict[str, Any], expected: tuple[int, float, int, float]) -> None:
    result = plan(route(), CART, traffic_policy(retryConstraint=constraint))
    assert result.snapshot.backends["shop/cart:80"].retries == RetryBudgetPlan(
        "shop/calm", "Service/shop/cart", *expected
    )
    assert accepted(result) == {"edge": "True/Accepted"}
    assert result.problems == []


def test_no_budget_without_a_constraint() -> None:
    result = plan(route(), CART, traffic_policy())
    assert budgets(result) == {"shop/cart:80": None}
    assert accepted(result) == {"edge": "True/Accepted"}


def test_every_port_and_protocol_of_a_target() -> None:
    two = service("cart", {"port": 80, "name": "a"}, {"port": 81, "name": "b"})
    slices = endpoint_slice("127.0.0.1", ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}])
    calls = route("calls", kind="GRPCRoute")
    policy = traffic_policy("calm", "cart", **retry(5))
    result = plan(route("cart", rule(backend(), backend(port=81))), calls, two, slices, policy)
    assert budgets(result) == {"shop/cart:80": 5, "shop/cart:81": 5, "shop/cart:80/h2c": 5}
    assert len({one.retries for one in result.snapshot.backends.values()}) == 1


def test_xbackends_are_targets_and_another_kind_of_the_same_name_is_not() -> None:
    both = route("cart", rule(backend(), outside("cart")))
    result = plan(both, CART, xbackend("cart"), traffic_policy("calm", "XBackend/cart", **retry(5)))
    assert budgets(result) == {"shop/cart:80": None, "XBackend/shop/cart:80": 5}
    retries = result.snapshot.backends["XBackend/shop/cart:80"].retries
    assert retries is not None
    assert retries.target == "XBackend/shop/cart"


def test_a_policy_is_for_its_own_namespace() -> None:
    result = plan(route(), CART, service(ns="stock"), traffic_policy(ns="stock", **retry(5)))
    assert budgets(result) == {"shop/cart:80": None}


CONFLICTS = [
    # (creation of `a`, creation of `b`, the winner)
    ("", "", "a"),
    (OLD, NEW, "a"),
    (NEW, OLD, "b"),
    ("", OLD, "b"),  # unknown age is the youngest
    (OLD, OLD, "a"),
]


@pytest.mark.parametrize(("first", "second", "winner"), CONFLICTS)
def test_the_oldest_wins_then_the_name(first: str, second: str, winner: str) -> None:
    policies = [traffic_policy("b", created=second, **retry(2)), traffic_policy("a", created=first, **retry(1))]
    result = plan(route(), CART, *policies)
    loser = "ab".replace(winner, "")
    assert budgets(result) == {"shop/cart:80": 1 if winner == "a" else 2}
    assert accepted(result, winner) == {"edge": "True/Accepted"}
    assert accepted(result, loser) == {"edge": "False/Conflicted"}
    (problem,) = result.problems
    assert (problem.object, problem.field) == (f"XBackendTrafficPolicy shop/{loser}", "spec.targetRefs[0]")
    assert f"XBackendTrafficPolicy shop/{winner}" in problem.message


def test_nothing_is_merged() -> None:
    persistence = {"type": "Header", "header": {"name": "x-session"}}
    policies = traffic_policy("a", sessionPersistence=persistence) + traffic_policy("b", **retry(1))
    result = plan(route(), CART, policies)
    assert budgets(result) == {"shop/cart:80": None}
    assert accepted(result, "b") == {"edge": "False/Conflicted"}


BAD = [
    # (targets, verdict on the Gateway that uses the first of them)
    (("gone",), "False/TargetNotFound"),
    (("XBackend/gone",), "False/TargetNotFound"),
    (("ServiceImport/far",), "False/Invalid"),
    (("Gateway/edge",), None),  # no backend: nobody uses it as one
]


@pytest.mark.parametrize(("targets", "verdict"), BAD)
def test_a_target_that_cannot_be(targets: tuple[str, ...], verdict: str | None) -> None:
    group = "gateway.networking.x-k8s.io"
    refs = [backend("gone"), outside("gone"), {"group": group, "kind": "ServiceImport", "name": "far"}]
    result = plan(route("cart", rule(*refs)), traffic_policy("calm", *targets, **retry(5)))
    assert accepted(result) == ({} if verdict is None else {"edge": verdict})
    (problem,) = [one for one in result.problems if one.object.startswith("XBackendTrafficPolicy")]
    assert (problem.field, problem.severity) == ("spec.targetRefs[0]", "error")


def test_a_policy_with_a_bad_target_holds_for_the_good_one() -> None:
    result = plan(route(), CART, traffic_policy("calm", "gone", "cart", **retry(5)))
    assert budgets(result) == {"shop/cart:80": 5}
    assert accepted(result) == {"edge": "True/Accepted"}
    assert [one.field for one in result.problems] == ["spec.targetRefs[0]"]


def test_each_gateway_is_told_of_its_own_targets() -> None:
    other = service("pay") + endpoint_slice(of="pay")
    routes = route() + route("pay", rule(backend("pay")), parents=[{"name": "rival"}])
    policies = traffic_policy("a", "pay", **retry(1)) + traffic_policy("b", "cart", "pay", **retry(2))
    result = plan(routes, gateway("rival", http(port=81)), CART, other, policies)
    assert budgets(result) == {"shop/cart:80": 2, "shop/pay:80": 1}
    assert accepted(result, "b") == {"edge": "True/Accepted", "rival": "False/Conflicted"}
    assert accepted(result, "a") == {"rival": "True/Accepted"}


def test_what_is_wrong_with_one_of_several_targets_is_said() -> None:
    both = route("cart", rule(backend(), backend("gone")))
    result = plan(both, CART, traffic_policy("calm", "cart", "gone"))
    (ancestor,) = result.statuses["XBackendTrafficPolicy/shop/calm"]["ancestors"]
    (condition,) = ancestor["conditions"]
    assert (condition["status"], condition["message"]) == ("True", "Service shop/gone does not exist")


def test_a_policy_that_nobody_needs() -> None:
    result = plan(route(), CART, service("idle") + endpoint_slice(of="idle"), traffic_policy("calm", "idle"))
    assert accepted(result) == {}
    assert result.problems == []


def test_no_more_ancestors_than_the_api_allows() -> None:
    names = [f"g{number}" for number in range(20)]
    routes = [route(f"r{name}", parents=[{"name": name}]) for name in names]
    result = plan(CART, traffic_policy(), *routes, *(gateway(name) for name in names))
    assert len(accepted(result)) == 16
    (problem,) = [one for one in result.problems if one.object.startswith("XBackendTrafficPolicy")]
    assert (problem.severity, problem.message) == ("warning", "20 Gateways use it, and its status can name 16")
