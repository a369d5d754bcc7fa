"""TLSRoute: where it attaches, with which hostnames, and what its backends become."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from tests.plan.manifests import API, CART, backend, document, gateway, grant, http, https, route, rule, secure, service
from tests.plan.secrets import good_secret
from tests.plan.verdicts import holds
from tests.plan.yaml_objects import world

CERTIFICATE = good_secret("tls", "shop", "*.example.com", "example.com")


def plan(*texts: str) -> Result:
    return Planner().plan(world(*texts, CERTIFICATE), Options())


def tls_route(name: str = "db", *rules: dict[str, Any], hostnames: tuple[str, ...] = ("a.com",), **rest: Any) -> str:
    return route(name, *rules, kind="TLSRoute", hostnames=list(hostnames), **rest)


def conditions(result: Result, name: str = "db", kind: str = "TLSRoute") -> list[dict[str, Any]]:
    (entry,) = result.statuses[f"{kind}/shop/{name}"]["parents"]
    found: list[dict[str, Any]] = entry["conditions"]
    return found


def hosts(result: Result) -> dict[str, dict[bytes, tuple[str, ...]]]:
    return {one.name: one.hosts for port in result.snapshot.ports.values() for one in port.listeners}


INTERSECTIONS = [
    # (hostname of the listener, of the route, what both stand for)
    ("", ("a.com", "*.b.com"), {b"a.com", b"*.b.com"}),
    ("*.a.com", ("x.a.com", "a.com", "*.com"), {b"x.a.com", b"*.a.com"}),
    ("x.a.com", ("*.a.com",), {b"x.a.com"}),
    ("*.a.com", ("*.x.a.com",), {b"*.x.a.com"}),
    ("a.com", ("*.a.com", "b.com"), set()),
]


@pytest.mark.parametrize("certificate", [None, "tls"])
@pytest.mark.parametrize(("own", "others", "both"), INTERSECTIONS)
def test_hostnames(certificate: str | None, own: str, others: tuple[str, ...], both: set[bytes]) -> None:
    named: dict[str, Any] = {"hostname": own} if own else {}
    result = plan(gateway("edge", secure("one", certificate, **named)), tls_route(hostnames=others), CART)
    assert set(hosts(result)["one"]) == both
    expected = "Accepted=True/Accepted" if both else "Accepted=False/NoMatchingListenerHostname"
    assert holds(f"{expected} ResolvedRefs=True/ResolvedRefs", conditions(result))


REFUSED = [
    ([http()], {}, "NotAllowedByListeners"),
    ([https("web", "tls")], {}, "NotAllowedByListeners"),
    ([{"name": "tcp", "port": 9000, "protocol": "TCP"}], {}, "NotAllowedByListeners"),
    ([secure("one", "tls", allowedRoutes={"kinds": [{"kind": "TCPRoute"}]})], {}, "NotAllowedByListeners"),
    ([secure("one", None, allowedRoutes={"namespaces": {"from": "Same"}})], {"ns": "far"}, "NotAllowedByListeners"),
    ([secure("one", None)], {"parents": [{"name": "edge", "sectionName": "two"}]}, "NoMatchingParent"),
    ([secure("one", None)], {"parents": [{"name": "edge", "port": 444}]}, "NoMatchingParent"),
]


@pytest.mark.parametrize(("listeners", "rest", "reason"), REFUSED)
def test_refused(listeners: list[dict[str, Any]], rest: dict[str, Any], reason: str) -> None:
    parents = rest.pop("parents", [{"name": "edge", "namespace": "shop"}])
    space = rest.get("ns", "shop")
    result = plan(gateway("edge", *listeners), tls_route(parents=parents, **rest), CART, service("cart", ns=space))
    (entry,) = result.statuses[f"TLSRoute/{space}/db"]["parents"]
    assert holds(f"Accepted=False/{reason} ResolvedRefs=True/ResolvedRefs", entry["conditions"])


def test_section_and_port_choose_among_listeners_of_one_gateway() -> None:
    listeners = [secure("a", None), secure("b", None, 444), secure("c", "tls", 444, hostname="a.com")]
    by_port = tls_route("port", parents=[{"name": "edge", "port": 444}])
    by_name = tls_route("name", parents=[{"name": "edge", "sectionName": "a"}])
    result = plan(gateway("edge", *listeners), by_port, by_name, CART)
    assert {name: list(found.values()) for name, found in hosts(result).items()} == {
        "a": [("TLSRoute/shop/name",)],
        "b": [("TLSRoute/shop/port",)],
        "c": [("TLSRoute/shop/port",)],
    }


def test_of_one_hostname_the_oldest_route_stands_first_then_the_first_by_name() -> None:
    routes = [
        tls_route("c", created="2020-01-01T00:00:00Z"),
        tls_route("b", created="2021-01-01T00:00:00Z"),
        tls_route("a", created="2021-01-01T00:00:00Z"),
    ]
    result = plan(gateway("edge", secure("one", None)), *routes, CART)
    assert hosts(result)["one"][b"a.com"] == ("TLSRoute/shop/c", "TLSRoute/shop/a", "TLSRoute/shop/b")
    listener = result.statuses["Gateway/shop/edge"]["listeners"][0]
    assert listener["attachedRoutes"] == 3


def test_a_tcproute_attaches_where_tls_ends_and_with_the_name_of_the_listener() -> None:
    listeners = [secure("through", None), secure("here", "tls", 444, hostname="a.com")]
    result = plan(gateway("edge", *listeners), route("raw", rule(), kind="TCPRoute"), CART)
    assert hosts(result) == {"through": {}, "here": {b"a.com": ("TCPRoute/shop/raw",)}}


def test_a_udproute_is_refused_by_a_tls_listener() -> None:
    dns = service("dns", {"port": 53, "protocol": "UDP"})
    result = plan(gateway("edge", secure("one", None)), route("dns", rule(backend("dns", 53)), kind="UDPRoute"), dns)
    assert holds("Accepted=False/NotAllowedByListeners", conditions(result, "dns", "UDPRoute"))


BACKENDS = [
    (backend("gone"), "BackendNotFound", ""),
    (backend("cart", 81), "BackendNotFound", ""),
    (backend("cart", kind="Widget", group="x.io"), "InvalidKind", ""),
    (backend("stock", namespace="stock"), "RefNotPermitted", ""),
    (backend("stock", namespace="stock"), "", grant(kind="TLSRoute")),
    (backend("stock", namespace="stock"), "RefNotPermitted", grant(kind="TCPRoute")),
]


@pytest.mark.parametrize(("ref", "failure", "text"), BACKENDS)
def test_backends(ref: dict[str, Any], failure: str, text: str) -> None:
    """A backend that cannot be used keeps its share of the connections."""
    texts = [CART, service("stock", ns="stock"), text]
    result = plan(gateway("edge", secure("one", None)), tls_route("db", rule(ref, backend(weight=3))), *texts)
    resolved = f"ResolvedRefs=False/{failure}" if failure else "ResolvedRefs=True/ResolvedRefs"
    assert holds(f"Accepted=True/Accepted {resolved}", conditions(result))
    shares = result.snapshot.routes["TLSRoute/shop/db"].rules[0].shares
    assert [(one.failure, one.weight) for one in shares] == [(failure, 1), ("", 3)]


def test_a_policy_that_asks_for_tls_closes_what_was_decrypted_and_no_more() -> None:
    """Without it the gateway would send in clear text what came encrypted."""
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": "cart"}],
        "validation": {"hostname": "a.com", "wellKnownCACertificates": "System"},
    }
    policy = document(API, "BackendTLSPolicy", "tls", "shop", spec=spec)
    result = plan(gateway("edge", secure("one", None)), tls_route(), policy, CART)
    (share,) = result.snapshot.routes["TLSRoute/shop/db"].rules[0].shares
    assert (share.backend, share.failure, share.clear_failure) == ("shop/cart:80", "", "BackendTLSPolicyNotServed")


def test_of_the_rules_of_an_alpha_version_the_first_is_served() -> None:
    text = tls_route("db", rule(), rule()).replace("v1", "v1alpha2", 1)
    result = plan(gateway("edge", secure("one", None)), text, CART)
    assert len(result.snapshot.routes["TLSRoute/shop/db"].rules) == 1
    assert any("served by its first rule" in one.message for one in result.problems)
