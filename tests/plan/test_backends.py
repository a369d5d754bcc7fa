"""backendRefs, Services and EndpointSlices (core/v1, discovery.k8s.io/v1, KEP-3726)."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from gatewayd.routing.snapshot import BackendPlan
from tests.plan.manifests import API, CART, backend, document, endpoint_slice, gateway, grant, route, rule, service
from tests.plan.verdicts import holds, short
from tests.plan.yaml_objects import world


def plan(*texts: str) -> Result:
    return Planner().plan(world(gateway(), *texts), Options())


def share(result: Result) -> tuple[str, str]:
    (found,) = result.snapshot.routes["HTTPRoute/shop/cart"].rules[0].shares
    return found.failure, found.backend


def resolved(result: Result) -> str:
    (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
    return short(entry["conditions"])["ResolvedRefs"]


H2C = service("cart", {"port": 80, "appProtocol": "kubernetes.io/h2c"})
UDP = service("cart", {"port": 80, "protocol": "UDP"})
FAILURES = [
    # (backendRef, other objects, failure of the share and reason of ResolvedRefs)
    (backend(kind="Widget", group="x.io"), [CART], "InvalidKind"),
    (backend(kind="Service", group="x.io"), [CART], "InvalidKind"),  # group and kind belong together
    (backend("gone"), [CART], "BackendNotFound"),
    (backend(port=81), [CART], "BackendNotFound"),
    (backend(namespace="stock"), [service(ns="stock")], "RefNotPermitted"),
    (backend("gone", namespace="stock"), [], "RefNotPermitted"),  # judged before existence: no probing of names
    (backend("gone", namespace="stock"), [grant()], "BackendNotFound"),
    (backend(), [UDP], "UnsupportedProtocol"),
]


@pytest.mark.parametrize(("ref", "others", "reason"), FAILURES)
def test_an_unresolved_backend_keeps_its_weight_and_is_answered_500(
    ref: dict[str, Any], others: list[str], reason: str
) -> None:
    result = plan(route("cart", rule(ref | {"weight": 5})), *others)
    assert share(result) == (reason, "")
    assert resolved(result) == f"False/{reason}"
    assert result.snapshot.routes["HTTPRoute/shop/cart"].rules[0].shares[0].weight == 5
    assert [one.field for one in result.problems if one.object.startswith("HTTPRoute")] == [
        "spec.rules[0].backendRefs[0]"
    ]


def test_a_tcp_route_does_not_mind_what_its_backend_speaks() -> None:
    listener = {"name": "tcp", "port": 9000, "protocol": "TCP"}
    texts = [gateway("edge", listener), route(kind="TCPRoute"), H2C, endpoint_slice("127.0.0.1")]
    result = Planner().plan(world(*texts), Options())
    (found,) = result.snapshot.routes["TCPRoute/shop/cart"].rules[0].shares
    assert (found.failure, found.backend) == ("", "shop/cart:80")


def at(address: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "conditions": conditions}


NAMED = {"port": 80, "name": "web", "targetPort": "http"}
ENDPOINTS = [
    # (Service, slices, endpoints)
    (service(), [endpoint_slice("10.0.0.1", "10.0.0.2")], [("10.0.0.1", 8080), ("10.0.0.2", 8080)]),
    (service(), [endpoint_slice(at("10.0.0.1"))], [("10.0.0.1", 8080)]),  # ready unset is ready
    (service(), [endpoint_slice(at("10.0.0.1", ready=False), at("10.0.0.2", ready=True))], [("10.0.0.2", 8080)]),
    (  # terminating, but still serving: used when nothing else is ready
        service(),
        [endpoint_slice(at("10.0.0.1", ready=False, serving=True, terminating=True), at("10.0.0.2", ready=False))],
        [("10.0.0.1", 8080)],
    ),
    (service(), [endpoint_slice(at("10.0.0.1", ready=False, serving=False, terminating=True))], []),
    (  # two families, and the same endpoint twice
        service(),
        [
            endpoint_slice("10.0.0.1", "10.0.0.1"),
            endpoint_slice("fd00::1", name="cart-6", family="IPv6"),
        ],
        [("10.0.0.1", 8080), ("fd00::1", 8080)],
    ),
    (
        service(),
        [endpoint_slice({"addresses": ["10.0.0.1", "10.0.0.9"]})],
        [("10.0.0.1", 8080)],
    ),  # only the first counts
    (  # ports meet by name
        service("cart", NAMED),
        [endpoint_slice("10.0.0.1", ports=[{"name": "admin", "port": 1}, {"name": "web", "port": 2}])],
        [("10.0.0.1", 2)],
    ),
    (service("cart", NAMED), [endpoint_slice("10.0.0.1", ports=[{"port": 2}])], []),
    (  # a slice for all ports: the Service's target
        service("cart", {"port": 80, "targetPort": 3000}),
        [endpoint_slice("10.0.0.1", ports=[{"name": ""}])],
        [("10.0.0.1", 3000)],
    ),
    (service("cart", clusterIP="None"), [endpoint_slice("10.0.0.1")], [("10.0.0.1", 8080)]),  # headless
    (service(), [], []),
    (service(), [endpoint_slice("10.0.0.1", ports=[{"port": 53, "protocol": "UDP"}])], []),
]


@pytest.mark.parametrize(("target", "slices", "expected"), ENDPOINTS)
def test_endpoints(target: str, slices: list[str], expected: list[tuple[str, int]]) -> None:
    result = plan(route(), target, *slices)
    assert result.snapshot.backends["shop/cart:80"] == BackendPlan(key="shop/cart:80", endpoints=tuple(expected))
    assert share(result) == ("", "shop/cart:80")  # none of them is a failure: it is answered 503
    assert [one.object for one in result.problems] == ([] if expected else ["Service shop/cart"])


def test_a_service_without_slices_says_what_to_write() -> None:
    result = plan(route(), service("cart", NAMED | {"targetPort": 3000}))
    (problem,) = result.problems
    assert problem.severity == "warning"
    assert "no EndpointSlice" in problem.message
    for part in ("kubernetes.io/service-name: cart", "name: web, port: 3000", "namespace: shop"):
        assert part in problem.hint


def test_a_service_whose_slices_call_the_port_otherwise_says_so() -> None:
    result = plan(route(), service("cart", NAMED), endpoint_slice("10.0.0.1", ports=[{"name": "http", "port": 2}]))
    (problem,) = result.problems
    assert "web" in problem.message
    assert "http" in problem.message


EXTERNAL = [
    (service("cart", type="ExternalName", externalName="api.example.com"), ("api.example.com", 80)),
    (
        service("cart", {"port": 80, "targetPort": 8080}, type="ExternalName", externalName="api.example.com"),
        ("api.example.com", 8080),
    ),
    (
        document("v1", "Service", "cart", "shop", spec={"type": "ExternalName", "externalName": "api.example.com"}),
        ("api.example.com", 80),  # without ports: the port of the reference
    ),
]


@pytest.mark.parametrize(("target", "dns"), EXTERNAL)
def test_external_name(target: str, dns: tuple[str, int]) -> None:
    result = plan(route(), target)
    assert result.snapshot.backends["shop/cart:80"] == BackendPlan(key="shop/cart:80", dns=dns)
    assert result.problems == []


def test_a_slice_of_names_is_resolved_by_dns() -> None:
    result = plan(route(), service(), endpoint_slice("api.example.com", family="FQDN"))
    assert result.snapshot.backends["shop/cart:80"].dns == ("api.example.com", 8080)


def policy(**target: Any) -> str:
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": "cart", **target}],
        "validation": {"hostname": "cart.example.com", "wellKnownCACertificates": "System"},
    }
    return document(API, "BackendTLSPolicy", "tls", "shop", spec=spec)


def test_a_backend_that_must_be_tls_is_refused_not_sent_in_clear() -> None:
    result = plan(route(), CART, policy())
    assert share(result) == ("BackendTLSPolicyNotServed", "")
    assert result.snapshot.backends == {}
    (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
    expected = "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs gatewayd.dev/NotServed=True/UnsupportedField"
    assert holds(expected, entry["conditions"])
    (ancestor,) = result.statuses["BackendTLSPolicy/shop/tls"]["ancestors"]
    assert ancestor["ancestorRef"] == {
        "group": "gateway.networking.k8s.io",
        "kind": "Gateway",
        "namespace": "shop",
        "name": "edge",
    }
    assert holds("Accepted=False/Invalid", ancestor["conditions"])
    assert any(one.object == "BackendTLSPolicy shop/tls" and one.severity == "error" for one in result.problems)


SECTIONS = [("web", "BackendTLSPolicyNotServed"), ("admin", "")]


@pytest.mark.parametrize(("section", "failure"), SECTIONS)
def test_a_policy_for_one_port_leaves_the_others_alone(section: str, failure: str) -> None:
    two = service("cart", NAMED, {"port": 81, "name": "admin"})
    slices = endpoint_slice("10.0.0.1", ports=[{"name": "web", "port": 1}, {"name": "admin", "port": 2}])
    assert share(plan(route(), two, slices, policy(sectionName=section)))[0] == failure


GOES = {"ready": False, "serving": True, "terminating": True}
DRAINING = [
    # Terminating endpoints that still serve keep the sessions that they have (GEP-1619), beside those that are ready.
    ([at("10.0.0.1", **GOES), "10.0.0.2"], ["10.0.0.2"], ["10.0.0.1"]),
    ([at("10.0.0.1", **GOES), at("10.0.0.2", **GOES)], ["10.0.0.1", "10.0.0.2"], []),
    ([at("10.0.0.1", **GOES), "10.0.0.2", at("10.0.0.1", **GOES)], ["10.0.0.2"], ["10.0.0.1"]),
    ([at("10.0.0.1", **GOES), "10.0.0.1"], ["10.0.0.1"], []),  # two slices say different things while they change
    ([at("10.0.0.1", ready=False, serving=True), "10.0.0.2"], ["10.0.0.2"], []),
    ([at("10.0.0.1", ready=False, serving=False, terminating=True), "10.0.0.2"], ["10.0.0.2"], []),
]


@pytest.mark.parametrize(("endpoints", "serving", "draining"), DRAINING)
def test_draining_endpoints(endpoints: list[Any], serving: list[str], draining: list[str]) -> None:
    found = plan(route(), service(), endpoint_slice(*endpoints)).snapshot.backends["shop/cart:80"]
    assert [[host for host, _ in some] for some in (found.endpoints, found.draining)] == [serving, draining]
