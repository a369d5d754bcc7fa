"""From parentRefs to listeners: which reason, in which order of checks (Gateway API, ParentReference)."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from tests.plan.manifests import CART, backend, gateway, http, namespace, route, rule, service
from tests.plan.verdicts import holds, short
from tests.plan.yaml_objects import world


def plan(*texts: str, **options: Any) -> Result:
    return Planner().plan(world(*texts), Options(**options))


ANY = {"namespaces": {"from": "All"}}
TEAM = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "red"}}}}
NOT_BLUE = {
    "namespaces": {
        "from": "Selector",
        "selector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["blue"]}]},
    }
}
BY_NAME = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"kubernetes.io/metadata.name": "other"}}}}
TCP = {"name": "tcp", "port": 9000, "protocol": "TCP"}

REASONS = [
    # (listeners, parentRef beside the name, namespace, hostnames, reason of Accepted)
    ([http()], {}, "shop", [], "True/Accepted"),
    ([http()], {"sectionName": "http"}, "shop", [], "True/Accepted"),
    ([http()], {"port": 80}, "shop", [], "True/Accepted"),
    ([http()], {"sectionName": "other"}, "shop", [], "False/NoMatchingParent"),
    ([http()], {"port": 81}, "shop", [], "False/NoMatchingParent"),
    (
        [http(), http("b", 81)],
        {"sectionName": "http", "port": 81},
        "shop",
        [],
        "False/NoMatchingParent",
    ),  # both must fit
    ([http()], {}, "other", [], "False/NotAllowedByListeners"),  # Same is the default
    ([http(allowedRoutes=ANY)], {}, "other", [], "True/Accepted"),
    ([http(allowedRoutes=TEAM)], {}, "other", [], "True/Accepted"),
    ([http(allowedRoutes=TEAM)], {}, "shop", [], "False/NotAllowedByListeners"),  # has no such label
    ([http(allowedRoutes=NOT_BLUE)], {}, "shop", [], "True/Accepted"),  # NotIn holds without the label
    ([http(allowedRoutes=BY_NAME)], {}, "other", [], "True/Accepted"),  # Kubernetes labels every namespace so
    ([http(allowedRoutes=ANY | {"kinds": [{"kind": "GRPCRoute"}]})], {}, "shop", [], "False/NotAllowedByListeners"),
    ([TCP], {}, "shop", [], "False/NotAllowedByListeners"),  # an HTTPRoute on a TCP listener
    ([http(hostname="a.com")], {}, "shop", ["b.com"], "False/NoMatchingListenerHostname"),
    ([http(hostname="a.com"), http("b", hostname="b.com")], {}, "shop", ["b.com"], "True/Accepted"),  # one is enough
    ([http(hostname="a.com")], {"port": 81}, "other", ["b.com"], "False/NoMatchingParent"),  # the order of checks:
    ([http(hostname="a.com")], {}, "other", ["b.com"], "False/NotAllowedByListeners"),  # name, permission, hostname
]


@pytest.mark.parametrize(("listeners", "ref", "home", "hostnames", "expected"), REASONS)
def test_reason(
    listeners: list[dict[str, Any]], ref: dict[str, Any], home: str, hostnames: list[str], expected: str
) -> None:
    parent = {"name": "edge", "namespace": "shop", **ref}
    result = plan(
        gateway("edge", *listeners),
        namespace("other", team="red"),
        route(ns=home, parents=[parent], hostnames=hostnames),
        service(ns=home),
    )
    (entry,) = result.statuses[f"HTTPRoute/{home}/cart"]["parents"]
    assert short(entry["conditions"])["Accepted"] == expected
    assert holds("ResolvedRefs=True/ResolvedRefs", entry["conditions"])  # a refused route carries it too
    assert entry["parentRef"] == {"group": "gateway.networking.k8s.io", "kind": "Gateway", **parent}
    told = [one for one in result.problems if one.object == f"HTTPRoute {home}/cart"]
    assert bool(told) == expected.startswith("False")


def test_one_entry_for_each_parent() -> None:
    parents = [{"name": "edge", "sectionName": "a"}, {"name": "edge", "sectionName": "gone"}]
    result = plan(gateway("edge", http("a"), http("b", 81)), route(parents=parents), CART)
    entries = result.statuses["HTTPRoute/shop/cart"]["parents"]
    assert [short(one["conditions"])["Accepted"] for one in entries] == ["True/Accepted", "False/NoMatchingParent"]
    ports = result.snapshot.ports
    assert ports[":80"].listeners[0].hosts == {b"": ("HTTPRoute/shop/cart",)}
    assert ports[":81"].listeners[0].hosts == {}


def test_a_parent_that_does_not_exist_gets_no_status() -> None:
    """As in a cluster, where no controller feels responsible; the problem says so."""
    result = plan(gateway(), route(parents=[{"name": "egde"}]), CART)
    assert "HTTPRoute/shop/cart" not in result.statuses
    (problem,) = result.problems
    assert problem.field == "spec.parentRefs[0]"
    assert "Gateway shop/egde does not exist" in problem.message
    assert "shop/edge" in problem.hint


def test_a_route_without_parents_is_told() -> None:
    result = plan(gateway(), route(parents=[]), CART)
    assert ["attached to nothing" in one.message for one in result.problems] == [True]


def test_hosts_are_the_intersection() -> None:
    listeners = [http("any"), http("wild", hostname="*.a.com"), http("exact", hostname="x.a.com")]
    result = plan(gateway("edge", *listeners), route(hostnames=["*.a.com", "b.com"]), CART)
    hosts = {one.name: set(one.hosts) for one in result.snapshot.ports[":80"].listeners}
    assert hosts == {"any": {b"*.a.com", b"b.com"}, "wild": {b"*.a.com"}, "exact": {b"x.a.com"}}


def test_the_oldest_tcp_route_comes_first() -> None:
    """Two TCPRoutes on one listener are both accepted and counted; only the older one is served."""
    tcp: dict[str, Any] = {"kind": "TCPRoute"}
    result = plan(
        gateway("edge", TCP),
        route("a", rule(backend()), created="2026-01-02T00:00:00Z", **tcp),
        route("b", rule(backend()), created="2026-01-01T00:00:00Z", **tcp),
        route("c", rule(backend()), **tcp),
        CART,
    )
    (listener,) = result.snapshot.ports[":9000"].listeners
    assert listener.hosts == {b"": ("TCPRoute/shop/b", "TCPRoute/shop/a", "TCPRoute/shop/c")}
    assert result.statuses["Gateway/shop/edge"]["listeners"][0]["attachedRoutes"] == 3


def test_rules_beyond_the_first_of_a_tcp_route_are_told() -> None:
    text = route("a", rule(backend()), rule(backend("other")), kind="TCPRoute").replace("/v1", "/v1alpha2", 1)
    result = plan(gateway("edge", TCP), text, CART, service("other"))
    assert len(result.snapshot.routes["TCPRoute/shop/a"].rules) == 1
    (entry,) = result.statuses["TCPRoute/shop/a"]["parents"]
    assert holds("gatewayd.dev/NotServed=True/UnsupportedField", entry["conditions"])


UNSERVED = [
    ("UDPRoute", {"rules": [{"backendRefs": [backend("dns", 53)]}]}),
]


@pytest.mark.parametrize(("kind", "spec"), UNSERVED)
def test_kinds_that_are_not_served_yet_say_so(kind: str, spec: dict[str, Any]) -> None:
    dns = service("dns", {"port": 53, "protocol": "UDP"})
    result = plan(gateway(), route("x", *spec.pop("rules"), kind=kind, **spec), CART, dns)
    (entry,) = result.statuses[f"{kind}/shop/x"]["parents"]
    assert holds("Accepted=False/NotAllowedByListeners ResolvedRefs=True/ResolvedRefs", entry["conditions"])
    assert f"{kind} is not served yet" in entry["conditions"][0]["message"]
    assert result.snapshot.routes == {}
    assert any(one.message == f"{kind} is not served yet" for one in result.problems)


def test_parents_that_are_no_gateways_are_told() -> None:
    parents = [{"kind": "ListenerSet", "name": "more"}, {"group": "", "kind": "Service", "name": "cart"}]
    result = plan(gateway(), route(parents=parents), CART)
    assert [one.severity for one in result.problems] == ["warning", "warning"]
    assert "HTTPRoute/shop/cart" not in result.statuses
