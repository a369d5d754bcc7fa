"""GRPCRoutes: their matches, their backends, and how they stand beside HTTPRoutes."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from gatewayd.routing.snapshot import Condition, Edit, Filters, MatchPlan
from tests.plan.manifests import CART, backend, endpoint_slice, gateway, grant, http, route, rule, service
from tests.plan.verdicts import holds
from tests.plan.yaml_objects import world

KEY = "GRPCRoute/shop/cart"


def plan(*texts: str) -> Result:
    return Planner().plan(world(gateway(), *texts), Options())


def calls(*rules: dict[str, Any], **spec: Any) -> str:
    return route("cart", *rules, kind="GRPCRoute", **spec)


def call(kind: Any, path: bytes, of: bytes = b"", headers: tuple[Condition, ...] = ()) -> MatchPlan:
    return MatchPlan(path_kind=kind, path=path, method=b"POST", headers=headers, grpc=True, call=of)


REGEX = "RegularExpression"
MATCHES = [
    ({"method": {"service": "shop.Cart", "method": "Add"}}, call("exact", b"/shop.Cart/Add")),
    ({"method": {"service": "shop.Cart"}}, call("prefix", b"/shop.Cart")),
    ({"method": {"method": "Add"}}, call("prefix", b"/", b"Add")),
    ({"method": {"type": REGEX, "service": "a|b", "method": "Add"}}, call("regex", b"/(?:a|b)/(?:Add)")),
    ({"method": {"type": REGEX, "service": "a|b"}}, call("regex", b"/(?:a|b)/[^/]+")),
    ({"method": {"type": REGEX, "method": "Add|Get"}}, call("regex", b"/[^/]+/(?:Add|Get)")),
    ({"headers": [{"name": "V", "value": "2"}]}, call("prefix", b"/", headers=(Condition(b"v", b"2"),))),
    (
        {"headers": [{"name": "v", "value": "2.*", "type": REGEX}]},
        call("prefix", b"/", headers=(Condition(b"v", b"2.*", True),)),
    ),
    ({}, call("prefix", b"/")),
]


@pytest.mark.parametrize(("match", "expected"), MATCHES)
def test_match(match: dict[str, Any], expected: MatchPlan):
    result = plan(calls(rule(matches=[match])), CART)
    assert not result.problems
    (found,) = result.snapshot.routes[KEY].rules
    assert found.matches == (expected,)


def test_a_rule_without_matches_takes_every_call():
    (found,) = plan(calls(rule()), CART).snapshot.routes[KEY].rules
    assert found.matches == (call("prefix", b"/"),)


BAD = [{"service": "a("}, {"method": "a)|(b"}, {"service": "a)|(b", "method": "c"}]


@pytest.mark.parametrize("method", BAD)
def test_an_expression_that_does_not_stand_alone_drops_its_rule(method: dict[str, str]):
    result = plan(calls(rule(matches=[{"method": {"type": REGEX, **method}}]), rule()), CART)
    assert [one.index for one in result.snapshot.routes[KEY].rules] == [1]
    (entry,) = result.statuses[KEY]["parents"]
    assert holds("Accepted=True/Accepted PartiallyInvalid=True/UnsupportedValue", entry["conditions"])


def test_filters_of_rules_and_backends():
    edit = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "A", "value": "1"}]}}
    result = plan(calls(rule(backend(filters=[edit]), filters=[edit])), CART)
    (found,) = result.snapshot.routes[KEY].rules
    expected = Filters(request=Edit(set=((b"a", b"1"),)))
    assert (found.filters, found.shares[0].filters) == (expected, expected)


def speaking(protocol: str | None) -> str:
    port = {"port": 80, **({"appProtocol": protocol} if protocol else {})}
    return service("cart", port) + endpoint_slice("127.0.0.1")


@pytest.mark.parametrize("protocol", [None, "http", "HTTP"])
def test_calls_are_http2_also_where_the_service_speaks_http1(protocol: str | None):
    result = plan(calls(), route("cart"), speaking(protocol))
    assert {key: one.protocol for key, one in result.snapshot.backends.items()} == {
        "shop/cart:80": "http1",  # the HTTPRoute's
        "shop/cart:80/h2c": "h2c",
    }
    assert result.snapshot.routes[KEY].rules[0].shares[0].backend == "shop/cart:80/h2c"
    assert len({one.endpoints for one in result.snapshot.backends.values()}) == 1


def test_a_port_that_is_http2_is_one_backend_for_both():
    result = plan(calls(), route("cart"), speaking("kubernetes.io/h2c"))
    assert {key: one.protocol for key, one in result.snapshot.backends.items()} == {"shop/cart:80": "h2c"}


def test_an_external_name_is_called_with_http2():
    result = plan(calls(), service("cart", type="ExternalName", externalName="cart.example.com"))
    (found,) = result.snapshot.backends.values()
    assert (found.protocol, found.dns) == ("h2c", ("cart.example.com", 80))


def test_a_websocket_port_carries_no_calls():
    result = plan(calls(), speaking("kubernetes.io/ws"))
    (entry,) = result.statuses[KEY]["parents"]
    assert holds("Accepted=True/Accepted ResolvedRefs=False/UnsupportedProtocol", entry["conditions"])
    assert result.snapshot.routes[KEY].rules[0].shares[0].failure == "UnsupportedProtocol"


GRANTS = [("HTTPRoute", "False/RefNotPermitted"), ("GRPCRoute", "True/ResolvedRefs")]


@pytest.mark.parametrize(("kind", "expected"), GRANTS)
def test_a_grant_is_for_one_kind(kind: str, expected: str):
    other = service(ns="stock") + endpoint_slice("127.0.0.1", ns="stock")
    result = plan(calls(rule(backend(namespace="stock"))), other, grant(kind=kind))
    (entry,) = result.statuses[KEY]["parents"]
    assert holds(f"Accepted=True/Accepted ResolvedRefs={expected}", entry["conditions"])


def test_a_backend_without_endpoints_is_told_once():
    result = plan(calls(), route("cart"), service())
    assert [one.object for one in result.problems] == ["Service shop/cart"]


def test_both_kinds_on_one_listener():
    result = plan(calls(), route("cart"), CART)
    (port,) = result.snapshot.ports.values()
    assert set(port.listeners[0].hosts[b""]) == {"HTTPRoute/shop/cart", KEY}
    (listener,) = result.statuses["Gateway/shop/edge"]["listeners"]
    assert listener["attachedRoutes"] == 2


def test_a_listener_may_admit_calls_alone():
    listener = http(allowedRoutes={"kinds": [{"kind": "GRPCRoute"}]})
    result = Planner().plan(world(gateway("edge", listener), calls(), route("cart"), CART), Options())
    assert set(result.snapshot.routes) == {KEY}
    (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
    assert holds("Accepted=False/NotAllowedByListeners", entry["conditions"])


def test_hostnames_meet_those_of_listeners():
    listeners = [http("a", hostname="*.a.com"), http("b", hostname="b.com")]
    result = Planner().plan(world(gateway("edge", *listeners), calls(hostnames=["x.a.com"]), CART), Options())
    hosts = {one.name: set(one.hosts) for port in result.snapshot.ports.values() for one in port.listeners}
    assert hosts == {"a": {b"x.a.com"}, "b": set()}
