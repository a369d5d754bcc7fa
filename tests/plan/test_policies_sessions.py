"""sessionPersistence of XBackendTrafficPolicies (GEP-1619): which rules get it, and what goes before it."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from gatewayd.routing.snapshot import Persistence
from tests.plan.manifests import (
    CART,
    backend,
    endpoint_slice,
    gateway,
    grant,
    outside,
    route,
    rule,
    service,
    traffic_policy,
    xbackend,
)
from tests.plan.verdicts import short
from tests.plan.yaml_objects import world

PAY = service("pay") + endpoint_slice("127.0.0.2", of="pay")


def field(name: str) -> dict[str, Any]:
    return {"type": "Header", "header": {"name": name}}


def cookie(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "Cookie", "cookie": {"name": name, **more}}


def plan(*texts: str) -> Result:
    return Planner().plan(world(gateway(), *texts), Options())


def kept(result: Result, key: str = "HTTPRoute/shop/cart") -> Persistence | None:
    return result.snapshot.routes[key].rules[0].persistence


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_rules_keep_sessions_as_the_policy_of_their_backend_says(kind: str) -> None:
    policy = traffic_policy("calm", sessionPersistence=cookie("seat", path="/x") | {"absoluteTimeout": "1h"})
    result = plan(route(kind=kind), CART, policy)
    assert kept(result, f"{kind}/shop/cart") == Persistence(
        name=b"seat", path=b"/x", timeout=3600.0, policy="shop/calm"
    )
    assert result.problems == []


def test_streams_have_no_sessions() -> None:
    tcp = gateway("edge", {"name": "tcp", "port": 9000, "protocol": "TCP"})
    texts = [tcp, route(kind="TCPRoute"), CART, traffic_policy(sessionPersistence=field("x-seat"))]
    assert kept(Planner().plan(world(*texts), Options()), "TCPRoute/shop/cart") is None


def test_xbackends_have_policies_too_and_those_of_other_namespaces_theirs() -> None:
    refs = [outside(), backend("pay", namespace="stock")]
    far = traffic_policy("far", "XBackend/far", retryConstraint={})
    pay = traffic_policy("pay", "pay", ns="stock", sessionPersistence=field("x-seat"))
    others = [xbackend(), service("pay", ns="stock"), endpoint_slice(of="pay", ns="stock"), grant()]
    result = plan(route("cart", rule(*refs)), far, pay, *others)
    assert kept(result) == Persistence(kind="header", name=b"x-seat", policy="stock/pay")


def test_the_rule_itself_goes_before_policies() -> None:
    inline = rule(sessionPersistence=field("x-own"))
    result = plan(route("cart", inline), CART, traffic_policy(sessionPersistence=field("x-seat")))
    assert kept(result) == Persistence(kind="header", name=b"x-own")
    assert result.problems == []


def test_one_backend_with_a_policy_decides_for_all_of_the_rule() -> None:
    both = route("cart", rule(backend("pay", weight=9), backend()))
    result = plan(both, CART, PAY, traffic_policy(sessionPersistence=field("x-seat")))
    assert kept(result) == Persistence(kind="header", name=b"x-seat", policy="shop/calm")
    assert result.problems == []


def test_of_several_that_differ_the_first_backend_decides_and_the_author_is_told() -> None:
    both = route("cart", rule(backend("pay"), backend()))
    policies = traffic_policy("a", sessionPersistence=field("x-a")) + traffic_policy(
        "b", "pay", sessionPersistence=field("x-b")
    )
    result = plan(both, CART, PAY, policies)
    assert kept(result) == Persistence(kind="header", name=b"x-b", policy="shop/b")
    (problem,) = result.problems
    assert (problem.object, problem.field) == ("HTTPRoute shop/cart", "spec.rules[0].backendRefs")
    assert (problem.severity, "shop/b is followed; shop/a says" in problem.message) == ("warning", True)
    for name in "ab":
        (ancestor,) = result.statuses[f"XBackendTrafficPolicy/shop/{name}"]["ancestors"]
        assert short(ancestor["conditions"])["Accepted"] == "True/Accepted", "other rules may use it"


def test_several_that_say_the_same_are_no_conflict() -> None:
    both = route("cart", rule(backend("pay"), backend()))
    policies = traffic_policy("a", sessionPersistence=field("x-a")) + traffic_policy(
        "b", "pay", sessionPersistence=field("X-A")
    )
    assert plan(both, CART, PAY, policies).problems == []


def test_a_backend_that_cannot_be_used_decides_nothing() -> None:
    both = route("cart", rule(backend("gone"), backend()))
    policies = [traffic_policy("a", "gone", sessionPersistence=field("x-a")), traffic_policy("b", retryConstraint={})]
    assert kept(plan(both, CART, *policies)) is None


def test_a_mirror_decides_nothing() -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("pay")}}
    policy = traffic_policy("a", "pay", sessionPersistence=field("x-a"))
    assert kept(plan(route("cart", rule(filters=[mirror])), CART, PAY, policy)) is None


BAD = [
    (cookie("seat", path="no"), "cookie.path"),
    (field("cookie"), "header.name"),
    (cookie("seat") | {"absoluteTimeout": "0s"}, "absoluteTimeout"),
]


@pytest.mark.parametrize(("sessions", "member"), BAD)
def test_one_that_cannot_be_served_is_not_in_force_and_leaves_the_place_to_the_next(
    sessions: dict[str, Any], member: str
) -> None:
    bad = traffic_policy("a", "cart", "gone", sessionPersistence=sessions, retryConstraint={})
    good = traffic_policy("b", retryConstraint={"budget": {"percent": 3}}, sessionPersistence=field("x-b"))
    result = plan(route(), CART, bad, good)
    assert kept(result) == Persistence(kind="header", name=b"x-b", policy="shop/b")
    retries = result.snapshot.backends["shop/cart:80"].retries
    assert retries is not None
    assert retries.percent == 3
    (problem,) = result.problems
    assert (problem.object, problem.field) == ("XBackendTrafficPolicy shop/a", f"spec.sessionPersistence.{member}")
    accepted = {
        name: short(result.statuses[f"XBackendTrafficPolicy/shop/{name}"]["ancestors"][0]["conditions"])["Accepted"]
        for name in "ab"
    }
    assert accepted == {"a": "False/Invalid", "b": "True/Accepted"}


def test_rules_with_one_backend_have_each_their_own_sessions_and_a_named_cookie_clashes() -> None:
    two = route("cart", rule(matches=[{"path": {"value": "/a"}}]), rule(matches=[{"path": {"value": "/b"}}]))
    named = plan(two, CART, traffic_policy(sessionPersistence=cookie("seat")))
    assert [one.field for one in named.problems] == ["spec.rules[1]"]
    made = plan(two, CART, traffic_policy(sessionPersistence={"type": "Cookie", "cookie": {}}))
    assert made.problems == []
    assert all(one.persistence is not None for one in made.snapshot.routes["HTTPRoute/shop/cart"].rules)
