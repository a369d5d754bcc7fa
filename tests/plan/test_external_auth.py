"""ExternalAuth (GEP-1494) from the manifest to the record of the traffic path, and what happens where it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from gatewayd.routing.snapshot import AuthPlan, RulePlan
from tests.plan.manifests import (
    API,
    CART,
    backend,
    document,
    endpoint_slice,
    gateway,
    grant,
    outside,
    route,
    rule,
    service,
    xbackend,
)
from tests.plan.verdicts import holds
from tests.plan.yaml_objects import world

AUTH = service("auth") + endpoint_slice("127.0.0.2", of="auth")
FAR = service("auth", ns="stock") + endpoint_slice("127.0.0.3", of="auth", ns="stock")


def http(ref: dict[str, Any] | None = None, body: int | None = None, **fields: Any) -> dict[str, Any]:
    spec: dict[str, Any] = {"protocol": "HTTP", "backendRef": ref or backend("auth"), "http": fields}
    if body is not None:
        spec["forwardBody"] = {"maxSize": body}
    return {"type": "ExternalAuth", "externalAuth": spec}


def call(ref: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    spec = {"protocol": "GRPC", "backendRef": ref or backend("auth"), "grpc": fields}
    return {"type": "ExternalAuth", "externalAuth": spec}


def plan(*rules: dict[str, Any], more: str = AUTH) -> Result:
    return Planner().plan(world(gateway(), route("cart", *rules), CART, more), Options())


def guarded(result: Result) -> RulePlan:
    return result.snapshot.routes["HTTPRoute/shop/cart"].rules[0]


def conditions(result: Result) -> list[dict[str, Any]]:
    (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
    found: list[dict[str, Any]] = entry["conditions"]
    return found


KEY = "shop/auth:80"
FIELDS: dict[str, Any] = {"allowedHeaders": ["Cookie", "X-A", "cookie"], "allowedResponseHeaders": ["X-User"]}
SERVED = [
    (http(), AuthPlan(KEY)),
    (http(body=0), AuthPlan(KEY)),
    (http(body=100), AuthPlan(KEY, body=100)),
    (http(**FIELDS), AuthPlan(KEY, request=(b"cookie", b"x-a"), response=(b"x-user",))),
    (http(path="/check"), AuthPlan(KEY, path=b"/check")),
    (http(path="check/"), AuthPlan(KEY, path=b"/check")),
    (http(path="/"), AuthPlan(KEY)),
    (http(path="/a/../b/./c%2d%7E"), AuthPlan(KEY, path=b"/b/c-~")),  # to be sanitized (HTTPAuthConfig.path)
    (http(path="/../.."), AuthPlan(KEY)),
    (call(), AuthPlan(f"{KEY}/h2c", grpc=True, authority=b"auth.shop")),
    (call(allowedHeaders=[":path", "Authorization"]),
     AuthPlan(f"{KEY}/h2c", grpc=True, authority=b"auth.shop", request=(b":path", b"authorization"))),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "expected"), SERVED)
def test_served(spec: dict[str, Any], expected: AuthPlan) -> None:
    result = plan(rule(filters=[spec]))
    found = guarded(result)
    assert found.filters is not None
    assert (found.filters.auth, found.refusal) == (expected, "")
    assert result.snapshot.backends[expected.backend].endpoints == (("127.0.0.2", 8080),)
    assert result.snapshot.backends[expected.backend].protocol == ("h2c" if expected.grpc else "http1")
    assert result.problems == []
    assert holds("ResolvedRefs=True/ResolvedRefs", conditions(result))


def test_a_service_that_speaks_h2c() -> None:
    more = service("auth", {"port": 80, "appProtocol": "kubernetes.io/h2c"}) + endpoint_slice("127.0.0.2", of="auth")
    for spec in (call(), http()):
        result = plan(rule(filters=[spec]), more=more)
        found = guarded(result).filters
        assert found is not None
        assert found.auth is not None
        assert found.auth.backend == KEY
        assert result.snapshot.backends[KEY].protocol == "h2c"


UNRESOLVED = [
    (backend("gone"), AUTH, "BackendNotFound"),
    (backend("auth", 81), AUTH, "BackendNotFound"),
    (backend("auth", namespace="stock"), FAR, "RefNotPermitted"),
    (backend("auth", kind="Bucket", group="x.io"), AUTH, "InvalidKind"),
]


@pytest.mark.parametrize(("ref", "more", "reason"), UNRESOLVED)
@pytest.mark.parametrize("make", [http, call])
def test_a_service_that_cannot_be_used_closes_the_rule(make: Any, ref: dict[str, Any], more: str, reason: str) -> None:
    result = plan(rule(filters=[make(ref)]), rule(), more=more)
    closed, free = result.snapshot.routes["HTTPRoute/shop/cart"].rules
    assert (closed.refusal, free.refusal) == (reason, "")
    assert holds(f"Accepted=True/Accepted ResolvedRefs=False/{reason}", conditions(result))
    fields = {problem.field: problem.severity for problem in result.problems}
    assert fields == {"spec.rules[0].filters[0].externalAuth.backendRef": "error"}


def test_a_grant_opens_it() -> None:
    result = plan(rule(filters=[http(backend("auth", namespace="stock"))]), more=FAR + grant())
    assert (guarded(result).refusal, result.problems) == ("", [])
    assert "stock/auth:80" in result.snapshot.backends


def test_no_grpc_over_a_websocket_port() -> None:
    more = service("auth", {"port": 80, "appProtocol": "kubernetes.io/ws"})
    assert guarded(plan(rule(filters=[call()]), more=more)).refusal == "UnsupportedProtocol"


def test_a_service_that_wants_tls_is_not_asked_in_clear() -> None:
    policy = document(
        API, "BackendTLSPolicy", "tls", "shop",
        spec={"targetRefs": [{"group": "", "kind": "Service", "name": "auth"}],
              "validation": {"hostname": "auth.example.com", "wellKnownCACertificates": "System"}},
    )  # fmt: skip
    result = plan(rule(filters=[http()]), more=AUTH + policy)
    assert guarded(result).refusal
    assert KEY not in result.snapshot.backends


INVALID = [
    http(allowedHeaders=["x y"]),
    http(allowedResponseHeaders=["x:y"]),
    call(allowedHeaders=["a b"]),
    http(path="/a%00b"),
    http(path="/a%2f..%2fb"),
]


@pytest.mark.parametrize("spec", INVALID)
def test_what_http_does_not_have_closes_the_rule(spec: dict[str, Any]) -> None:
    """A dropped rule would leave its requests to the next one, which may guard nothing."""
    result = plan(rule(filters=[spec]))
    assert guarded(result).refusal == "ExternalAuthInvalid"
    assert holds("gatewayd.dev/NotServed=True/UnsupportedField", conditions(result))
    (problem,) = result.problems
    assert (problem.field, problem.severity) == ("spec.rules[0].filters[0].externalAuth", "error")


BROKEN = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "Host", "value": "a.com"}]}}


def test_a_rule_that_guards_something_is_closed_where_others_are_dropped() -> None:
    """A dropped rule leaves its requests to the next one that matches."""
    of_backend = rule(backend(filters=[BROKEN, http()]))
    for one, place in ((rule(filters=[BROKEN, http()]), ""), (of_backend, "backendRefs[0].")):
        for rules in ((one,), (one, rule())):
            result = plan(*rules)
            found = guarded(result)
            assert (found.refusal, found.shares, found.index) == ("InvalidRule", (), 0)
            told = (
                "gatewayd.dev/NotServed=True/UnsupportedField"
                if len(rules) == 1
                else "PartiallyInvalid=True/UnsupportedValue"
            )
            assert holds(f"Accepted=True/Accepted {told}", conditions(result))
            (problem,) = result.problems
            assert (problem.field, problem.severity) == (f"spec.rules[0].{place}filters[0]", "error")
    assert guarded(plan(rule(filters=[BROKEN]), rule())).index == 1


def test_two_of_them_close_the_rule() -> None:
    """HTTPRouteRule.filters: the same filter multiple times is not supported unless the filter says so."""
    result = plan(rule(filters=[http(), call()]))
    assert guarded(result).refusal == "ExternalAuthRepeated"
    (problem,) = result.problems
    assert (problem.field, problem.severity) == ("spec.rules[0].filters", "error")
    assert "must not stand more than once" in problem.message
    assert "a backendRef can ask one more" in problem.hint
    result = plan(rule(backend(filters=[http(), call()])))
    assert guarded(result).shares[0].failure == "ExternalAuthRepeated"
    assert "the rule can ask one more" in result.problems[0].hint


def test_one_on_the_rule_and_one_on_a_backend_both_ask() -> None:
    found = guarded(plan(rule(backend(filters=[call()]), filters=[http()])))
    assert found.filters is not None
    assert found.shares[0].filters is not None
    assert (found.filters.auth, found.shares[0].filters.auth) == (SERVED[0][1], SERVED[-2][1])


@pytest.mark.parametrize("wrong", [[http(), call()], [http(allowedHeaders=["x y"])], [BROKEN, http()]])
def test_a_route_with_a_closed_rule_is_partially_invalid(wrong: list[dict[str, Any]]) -> None:
    """HTTPRouteRule.filters: where a portion of the rules is invalid, PartiallyInvalid must be set."""
    result = plan(rule(filters=wrong), rule())
    assert holds("Accepted=True/Accepted PartiallyInvalid=True/UnsupportedValue", conditions(result))
    told = {one["type"]: one["message"] for one in conditions(result)}
    assert told["PartiallyInvalid"].startswith("Dropped Rule: spec.rules[0]")
    assert "gatewayd.dev/NotServed" not in told  # once is enough
    (whole,) = (one for one in conditions(plan(rule(filters=wrong))) if one["type"] == "gatewayd.dev/NotServed")
    assert told["PartiallyInvalid"].endswith(whole["message"])
    assert "yet" not in whole["message"]
    for alone in (plan(rule(filters=wrong)), plan(rule(backend(filters=[http(), call()])), rule())):
        assert "PartiallyInvalid" not in {one["type"] for one in conditions(alone)}


REMARKS = [
    (http(allowedHeaders=["Cookie", "X-*"]), "http.allowedHeaders[1]", "no wildcards"),
    (http(allowedResponseHeaders=["*"]), "http.allowedResponseHeaders[0]", "no wildcards"),
    (call(allowedHeaders=["*"]), "grpc.allowedHeaders[0]", "no wildcards"),
    (http(allowedResponseHeaders=["Host"]), "http.allowedResponseHeaders[0]", "never taken"),
    (http(allowedResponseHeaders=["X-A", "Content_Length"]), "http.allowedResponseHeaders[1]", "never taken"),
    (http(body=(32 << 20) + 1), "forwardBody.maxSize", "33554432"),
]


@pytest.mark.parametrize(("spec", "field", "words"), REMARKS)
def test_what_does_not_do_what_it_looks_like_is_told(spec: dict[str, Any], field: str, words: str) -> None:
    result = plan(rule(filters=[spec]))
    (problem,) = result.problems
    assert problem.field == f"spec.rules[0].filters[0].externalAuth.{field}"
    assert words in problem.message
    assert (problem.severity, guarded(result).refusal) == ("warning", "")
    assert holds("Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs", conditions(result))


def test_no_body_is_longer_than_all_that_are_kept() -> None:
    found = guarded(plan(rule(filters=[http(body=2**31 - 1)]))).filters
    assert found is not None
    assert found.auth == AuthPlan(KEY, body=32 << 20)


def test_on_a_backend() -> None:
    ref = backend(filters=[http()])
    share = guarded(plan(rule(ref))).shares[0]
    assert share.filters is not None
    assert (share.filters.auth, share.failure, share.backend) == (AuthPlan(KEY), "", "shop/cart:80")


def test_on_a_backend_it_closes_its_share_only() -> None:
    ref = backend(filters=[http(backend("gone"))])
    shares = guarded(plan(rule(ref, backend()))).shares
    assert [(share.failure, share.backend) for share in shares] == [("BackendNotFound", ""), ("", "shop/cart:80")]


def test_a_service_outside() -> None:
    result = plan(rule(filters=[call(outside())]), more=xbackend())
    found = guarded(result).filters
    assert found is not None
    assert found.auth is not None
    assert found.auth.authority == b"far.example.com"
    served = result.snapshot.backends[found.auth.backend]
    assert (served.dns, served.protocol) == (("far.example.com", 80), "h2c")
    (parent,) = result.statuses["XBackend/shop/far"]["parents"]  # it is used
    assert holds("Accepted=True/Accepted", parent["conditions"])
    result = plan(rule(filters=[call(outside())]), more=xbackend(protocol="MCP"))
    assert guarded(result).refusal == "UnsupportedProtocol"


def test_a_name_outside() -> None:
    more = service("auth", type="ExternalName", externalName="auth.example.com")
    found = guarded(plan(rule(filters=[call()]), more=more)).filters
    assert found is not None
    assert found.auth is not None
    assert found.auth.authority == b"auth.example.com"
