"""XBackend (GEP-4894) as the backend of every kind of route: what is spoken, what is refused, and what status says."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from gatewayd.routing.snapshot import BackendPlan
from tests.plan.manifests import API, CART, backend, document, gateway, grant, outside, route, rule, xbackend
from tests.plan.verdicts import holds, short
from tests.plan.yaml_objects import world

TCP = {"name": "tcp", "port": 9000, "protocol": "TCP"}
X_GROUP = "gateway.networking.x-k8s.io"


def plan(*texts: str) -> Result:
    return Planner().plan(world(gateway(), *texts), Options())


def share(result: Result, key: str = "HTTPRoute/shop/cart") -> tuple[str, str]:
    (found,) = result.snapshot.routes[key].rules[0].shares
    return found.failure, found.backend


def resolved(result: Result, key: str = "HTTPRoute/shop/cart") -> str:
    (entry,) = result.statuses[key]["parents"]
    return short(entry["conditions"])["ResolvedRefs"]


def accepted(result: Result, name: str = "far") -> dict[str, str]:
    """What status.parents says of Accepted, by the name of the Gateway."""
    found = {}
    for parent in result.statuses[f"XBackend/shop/{name}"]["parents"]:
        ref = dict(parent["parentRef"])
        gateway_name = ref.pop("name")
        assert ref == {"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "shop"}
        assert parent["controllerName"] == "gatewayd.dev/gateway-controller"
        assert all(condition["observedGeneration"] == 1 for condition in parent["conditions"])
        found[gateway_name] = short(parent["conditions"])["Accepted"]
    return found


def test_it_is_found_by_its_name() -> None:
    result = plan(route("cart", rule(outside())), xbackend())
    expected = BackendPlan(key="XBackend/shop/far:80", dns=("far.example.com", 80))
    assert result.snapshot.backends == {"XBackend/shop/far:80": expected}
    assert share(result) == ("", "XBackend/shop/far:80")
    assert resolved(result) == "True/ResolvedRefs"
    assert accepted(result) == {"edge": "True/Accepted"}
    assert result.problems == []


SPOKEN = [
    # (kind of route, protocol, what is spoken; "" for a refusal)
    ("HTTPRoute", None, "http1"),
    ("HTTPRoute", "HTTP", "http1"),
    ("HTTPRoute", "HTTP11", "http1"),
    ("HTTPRoute", "HTTP2", "h2c"),
    ("HTTPRoute", "H2C", "h2c"),
    ("HTTPRoute", "MCP", "http1"),
    ("HTTPRoute", "TCP", ""),
    ("GRPCRoute", None, "h2c"),
    ("GRPCRoute", "HTTP", "h2c"),
    ("GRPCRoute", "HTTP11", ""),
    ("GRPCRoute", "HTTP2", "h2c"),
    ("GRPCRoute", "H2C", "h2c"),
    ("GRPCRoute", "MCP", ""),
    ("GRPCRoute", "TCP", ""),
    *(("TCPRoute", protocol, "any") for protocol in (None, "HTTP", "HTTP11", "HTTP2", "H2C", "MCP", "TCP")),
]


@pytest.mark.parametrize(("kind", "protocol", "expected"), SPOKEN)
def test_protocol(kind: str, protocol: str | None, expected: str) -> None:
    spec: dict[str, Any] = {} if protocol is None else {"protocol": protocol}
    edge = gateway("edge", TCP) if kind == "TCPRoute" else gateway()
    result = Planner().plan(world(edge, route("cart", rule(outside()), kind=kind), xbackend(**spec)), Options())
    key = f"{kind}/shop/cart"
    failure, used = share(result, key)
    if expected:
        assert (failure, resolved(result, key)) == ("", "True/ResolvedRefs")
        plan_ = result.snapshot.backends[used]
        assert plan_.dns == ("far.example.com", 80)
        assert expected in {plan_.protocol, "any"}
    else:
        assert (failure, used, resolved(result, key)) == ("UnsupportedProtocol", "", "False/UnsupportedProtocol")
        assert f"whose protocol is {protocol}" in result.problems[0].message
    assert accepted(result) == {"edge": "True/Accepted"}, "the object is fine"


def test_calls_and_requests_to_one_are_two_backends() -> None:
    calls = route("calls", rule(outside()), kind="GRPCRoute")
    result = plan(route("cart", rule(outside())), calls, xbackend())
    found = {key: one.protocol for key, one in result.snapshot.backends.items()}
    assert found == {"XBackend/shop/far:80": "http1", "XBackend/shop/far:80/h2c": "h2c"}
    assert len(plan(route("cart", rule(outside())), calls, xbackend(protocol="H2C")).snapshot.backends) == 1


PORTS = [({}, ""), ({"port": 80}, ""), ({"port": 81}, "BackendNotFound")]


@pytest.mark.parametrize(("rest", "failure"), PORTS)
def test_a_reference_need_not_name_the_port(rest: dict[str, Any], failure: str) -> None:
    assert share(plan(route("cart", rule(outside(**rest))), xbackend()))[0] == failure


GRANT = grant(to="XBackend", group=X_GROUP)
FAILURES = [
    (outside("gone"), "", "BackendNotFound"),
    (outside(namespace="stock"), "", "RefNotPermitted"),  # judged before existence
    (outside(namespace="stock"), xbackend(ns="stock"), "RefNotPermitted"),
    (outside(namespace="stock"), GRANT, "BackendNotFound"),
    (outside(namespace="stock"), grant() + xbackend(ns="stock"), "RefNotPermitted"),  # that grant is for Services
    (outside(namespace="stock"), grant(to="XBackend") + xbackend(ns="stock"), "RefNotPermitted"),  # of the core group?
    (backend("far", kind="XBackend"), xbackend(), "InvalidKind"),
    (backend("far", kind="XBackend", group="gateway.networking.k8s.io"), xbackend(), "InvalidKind"),
    (backend("far", group=X_GROUP), xbackend(), "InvalidKind"),
    (backend("far"), xbackend(), "BackendNotFound"),  # a Service of that name is another object
]


@pytest.mark.parametrize(("ref", "others", "reason"), FAILURES)
def test_an_unresolved_reference_is_answered_500(ref: dict[str, Any], others: str, reason: str) -> None:
    result = plan(route("cart", rule(ref)), others)
    assert (share(result), resolved(result)) == ((reason, ""), f"False/{reason}")
    assert result.snapshot.backends == {}


def test_across_namespaces_with_a_grant() -> None:
    result = plan(route("cart", rule(outside(namespace="stock"))), xbackend(ns="stock"), GRANT)
    assert share(result) == ("", "XBackend/stock/far:80")
    (parent,) = result.statuses["XBackend/stock/far"]["parents"]
    assert parent["parentRef"]["namespace"] == "shop"


MODES: list[dict[str, Any]] = [
    {"mode": "ServerOnly"},
    {"mode": "ServerOnly", "validation": {"hostname": "far.example.com", "wellKnownCACertificates": "System"}},
    {"mode": "ClientAndServer", "clientCertificateRef": {"name": "ours"}},
]


@pytest.mark.parametrize("tls", MODES)
@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute", "TCPRoute"])
def test_one_that_must_be_tls_is_refused_not_sent_in_clear(kind: str, tls: dict[str, Any]) -> None:
    edge = gateway("edge", TCP) if kind == "TCPRoute" else gateway()
    result = Planner().plan(world(edge, route("cart", rule(outside()), kind=kind), xbackend(tls=tls)), Options())
    assert share(result, f"{kind}/shop/cart") == ("BackendTLSNotServed", "")
    assert result.snapshot.backends == {}
    (entry,) = result.statuses[f"{kind}/shop/cart"]["parents"]
    expected = "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs gatewayd.dev/NotServed=True/UnsupportedField"
    assert holds(expected, entry["conditions"])
    assert accepted(result) == {"edge": "False/Invalid"}
    errors = {(one.object, one.field) for one in result.problems if one.severity == "error"}
    assert errors == {(f"{kind} shop/cart", "spec.rules[0].backendRefs[0]"), ("XBackend shop/far", "spec.tls.mode")}


def test_a_policy_that_asks_for_tls_is_not_passed_over() -> None:
    """Though such a policy must not target an XBackend (GEP-4894), whoever wrote it wants no clear text."""
    spec = {
        "targetRefs": [{"group": X_GROUP, "kind": "XBackend", "name": "far"}],
        "validation": {"hostname": "far.example.com", "wellKnownCACertificates": "System"},
    }
    policy = document(API, "BackendTLSPolicy", "tls", "shop", spec=spec)
    result = plan(route("cart", rule(outside())), xbackend(), policy)
    assert share(result) == ("BackendTLSPolicyNotServed", "")
    assert share(plan(route("cart", rule(outside())), xbackend(), policy.replace('"far"', '"near"'))) == (
        "",
        "XBackend/shop/far:80",
    )


def test_tls_of_mode_none_is_none() -> None:
    result = plan(route("cart", rule(outside())), xbackend(tls={"mode": "None"}))
    assert (share(result)[0], accepted(result)) == ("", {"edge": "True/Accepted"})


def mirror(ref: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RequestMirror", "requestMirror": {"backendRef": ref}}


def test_as_a_mirror() -> None:
    result = plan(route("cart", rule(filters=[mirror(outside())])), CART, xbackend())
    filters = result.snapshot.routes["HTTPRoute/shop/cart"].rules[0].filters
    assert filters is not None
    assert [one.backend for one in filters.mirrors] == ["XBackend/shop/far:80"]
    assert result.snapshot.backends["XBackend/shop/far:80"].dns == ("far.example.com", 80)
    assert accepted(result) == {"edge": "True/Accepted"}


def test_as_the_service_that_permits_requests() -> None:
    auth = {"type": "ExternalAuth", "externalAuth": {"protocol": "GRPC", "backendRef": outside(), "grpc": {}}}
    result = plan(route("cart", rule(filters=[auth])), CART, xbackend())
    filters = result.snapshot.routes["HTTPRoute/shop/cart"].rules[0].filters
    assert filters is not None
    assert filters.auth is not None
    assert (filters.auth.backend, filters.auth.authority) == ("XBackend/shop/far:80/h2c", b"far.example.com")
    assert accepted(result) == {"edge": "True/Accepted"}
    clear = plan(route("cart", rule(filters=[auth])), CART, xbackend(tls={"mode": "ServerOnly"}))
    assert clear.snapshot.routes["HTTPRoute/shop/cart"].rules[0].refusal == "BackendTLSNotServed"


def test_a_mirror_that_must_be_tls_gets_nothing() -> None:
    result = plan(route("cart", rule(filters=[mirror(outside())])), CART, xbackend(tls={"mode": "ServerOnly"}))
    filters = result.snapshot.routes["HTTPRoute/shop/cart"].rules[0].filters
    assert filters is not None
    assert (filters.mirrors, share(result)) == ((), ("", "shop/cart:80"))
    assert "XBackend/shop/far:80" not in result.snapshot.backends


def test_parents_are_the_gateways_that_use_it() -> None:
    both = route("cart", rule(outside()), parents=[{"name": "edge"}, {"name": "rival"}])
    refused = route("other", rule(outside()), parents=[{"name": "third", "sectionName": "gone"}])
    texts = [both, refused, gateway("rival"), gateway("third"), xbackend(), xbackend("idle")]
    result = plan(*texts)
    assert accepted(result) == {"edge": "True/Accepted", "rival": "True/Accepted"}
    assert accepted(result, "idle") == {}


def test_no_more_parents_than_the_api_allows() -> None:
    names = [f"g{number}" for number in range(40)]
    routes = [route(f"r{name}", rule(outside()), parents=[{"name": name}]) for name in names]
    result = plan(xbackend(), *routes, *(gateway(name) for name in names))
    assert len(accepted(result)) == 32
    (problem,) = [one for one in result.problems if one.object.startswith("XBackend")]
    assert (problem.severity, problem.message) == ("warning", "40 Gateways use it, and its status can name 32")


def test_a_wrong_one_harms_nobody() -> None:
    both = route("cart", rule(outside(), outside("good")))
    result = plan(both, xbackend(tls={"mode": "ServerOnly"}), xbackend("good"))
    failures = [one.failure for one in result.snapshot.routes["HTTPRoute/shop/cart"].rules[0].shares]
    assert failures == ["BackendTLSNotServed", ""]
    assert (accepted(result), accepted(result, "good")) == ({"edge": "False/Invalid"}, {"edge": "True/Accepted"})
