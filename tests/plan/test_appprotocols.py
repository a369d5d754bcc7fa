"""appProtocol: what a port asks for is spoken there, or nothing is (KEP-3726, GEP-1911 "Supporting Protocols")."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from tests.plan.manifests import API, backend, document, endpoint_slice, gateway, route, rule, service
from tests.plan.verdicts import holds, short
from tests.plan.yaml_objects import world


def plan(protocol: str | None, kind: str = "HTTPRoute", *more: str, rules: tuple[dict[str, Any], ...] = ()) -> Result:
    port = {"name": "web", "port": 80, **({"appProtocol": protocol} if protocol is not None else {})}
    listener = {"name": "tcp", "port": 9000, "protocol": "TCP"}
    listeners = [listener] if kind == "TCPRoute" else []
    slices = endpoint_slice("127.0.0.1", ports=[{"name": "web", "port": 8080}])
    texts = [gateway("edge", *listeners), route("cart", *rules, kind=kind), service("cart", port), slices, *more]
    return Planner().plan(world(*texts), Options())


def failure(result: Result, kind: str = "HTTPRoute") -> str:
    (found,) = result.snapshot.routes[f"{kind}/shop/cart"].rules[0].shares
    assert bool(found.failure) is not bool(found.backend)
    return found.failure


SPOKEN = [
    # (appProtocol, to requests of an HTTPRoute, whether gRPC goes there too)
    (None, "http1", True),
    ("", "http1", True),
    ("http", "http1", True),
    ("HTTP", "http1", True),
    ("http-alt", "http1", True),
    ("grpc-web", "http1", False),
    ("kubernetes.io/h2c", "h2c", True),
    ("h2c", "h2c", True),
    ("grpc", "h2c", True),
    ("kubernetes.io/ws", "ws", False),
    ("ws", "ws", False),
]


@pytest.mark.parametrize(("protocol", "expected", "calls"), SPOKEN)
def test_what_is_spoken(protocol: str | None, expected: str, calls: bool) -> None:
    result = plan(protocol)
    assert (failure(result), result.problems) == ("", [])
    assert result.snapshot.backends["shop/cart:80"].protocol == expected
    called = plan(protocol, "GRPCRoute")
    assert failure(called, "GRPCRoute") == ("" if calls else "UnsupportedProtocol")
    assert {one.protocol for one in called.snapshot.backends.values()} == ({"h2c"} if calls else set())


REFUSED = [
    # (appProtocol, what is said of it, what to write instead)
    ("https", "asks for TLS", "`appProtocol: http`"),
    ("HTTPS", "asks for TLS", "`appProtocol: http`"),
    ("tls", "asks for TLS", "`appProtocol: http`"),
    ("kubernetes.io/wss", "asks for TLS", "`appProtocol: kubernetes.io/ws`"),
    ("wss", "asks for TLS", "`appProtocol: kubernetes.io/ws`"),
    ("grpcs", "asks for TLS", "`appProtocol: kubernetes.io/h2c`"),
    ("HTTP2", "does not say whether TLS is meant", "`appProtocol: kubernetes.io/h2c`"),
    ("mysql", "is unknown", "leave the field out"),
    ("example.com/own", "is unknown", "leave the field out"),
]


@pytest.mark.parametrize(("protocol", "message", "hint"), REFUSED)
@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_what_cannot_be_spoken_is_refused(protocol: str, message: str, hint: str, kind: str) -> None:
    result = plan(protocol, kind)
    assert failure(result, kind) == "UnsupportedProtocol"
    assert result.snapshot.backends == {}
    (entry,) = result.statuses[f"{kind}/shop/cart"]["parents"]
    assert short(entry["conditions"])["ResolvedRefs"] == "False/UnsupportedProtocol"
    (problem,) = result.problems
    assert (problem.field, problem.severity) == ("spec.rules[0].backendRefs[0]", "error")
    assert f"Service shop/cart port 80: appProtocol {protocol} {message}" in problem.message
    assert (hint if kind == "HTTPRoute" or "leave" in hint else "`appProtocol: kubernetes.io/h2c`") in problem.hint


def test_the_hint_names_the_line_to_change_also_when_it_moves() -> None:
    planner = Planner()
    texts = [gateway(), route(), endpoint_slice("127.0.0.1")]
    own = service("cart", {"port": 80, "appProtocol": "https"})
    lines = []
    for text in (own, f"# a\n# b\n{own}"):
        (problem,) = planner.plan(world(*texts, text), Options()).problems
        place = problem.hint.rpartition("(")[2].rstrip(")")
        lines.append(int(place.rpartition(":")[2]))
    assert lines[1] == lines[0] + 2


@pytest.mark.parametrize("protocol", ["https", "kubernetes.io/wss", "mysql", "kubernetes.io/h2c"])
def test_streams_pass_whatever_their_port_speaks(protocol: str) -> None:
    assert failure(plan(protocol, "TCPRoute"), "TCPRoute") == ""


def test_a_mirror_that_wants_tls_is_left_out() -> None:
    more = service("copy", {"port": 80, "appProtocol": "https"})
    copy = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("copy")}}
    result = plan(None, "HTTPRoute", more, rules=(rule(filters=[copy]),))
    (found,) = result.snapshot.routes["HTTPRoute/shop/cart"].rules
    assert (found.filters and found.filters.mirrors, found.refusal) == ((), "")
    assert [one.field for one in result.problems] == ["spec.rules[0].filters[0].requestMirror.backendRef"]


def policy() -> str:
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": "cart"}],
        "validation": {"hostname": "cart.example.com", "wellKnownCACertificates": "System"},
    }
    return document(API, "BackendTLSPolicy", "tls", "shop", spec=spec)


def test_a_port_that_wants_tls_and_has_a_policy_needs_the_policy() -> None:
    """Only the policy is said to be missing: the appProtocol is right."""
    for protocol in ("https", "kubernetes.io/wss", "HTTP2"):
        result = plan(protocol, "HTTPRoute", policy())
        assert failure(result) == "BackendTLSPolicyNotServed"
        (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
        assert holds("ResolvedRefs=True/ResolvedRefs", entry["conditions"])
    assert failure(plan("mysql", "HTTPRoute", policy())) == "UnsupportedProtocol"
