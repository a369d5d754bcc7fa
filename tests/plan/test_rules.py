"""HTTPRoute rules -> RulePlan: matches, filters, and what happens to a rule that cannot be served as written."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from gatewayd.routing.snapshot import (
    Condition,
    Cors,
    Edit,
    Filters,
    MatchPlan,
    MirrorPlan,
    PathEdit,
    Redirect,
    Retry,
    RulePlan,
    Timeouts,
)
from tests.plan.manifests import CART, backend, endpoint_slice, gateway, route, rule, service
from tests.plan.verdicts import holds, short
from tests.plan.yaml_objects import world


def plan(*rules: dict[str, Any]) -> Result:
    return Planner().plan(world(gateway(), route("cart", *rules), CART), Options())


def compiled(one: dict[str, Any]) -> RulePlan:
    (found,) = plan(one).snapshot.routes["HTTPRoute/shop/cart"].rules
    return found


def conditions(result: Result) -> list[dict[str, Any]]:
    (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
    found: list[dict[str, Any]] = entry["conditions"]
    return found


MATCHES = [
    ({}, MatchPlan()),  # the default: PathPrefix /
    ({"path": {"value": "/cart"}}, MatchPlan(path=b"/cart")),
    ({"path": {"value": "/cart/"}}, MatchPlan(path=b"/cart")),  # a trailing slash of a prefix does not count
    (
        {"path": {"type": "Exact", "value": "/cart/"}},
        MatchPlan(path_kind="exact", path=b"/cart/"),
    ),  # of an exact one does
    ({"path": {"value": "/%63art"}}, MatchPlan(path=b"/cart")),  # the normal form of RFC 3986 6.2.2
    ({"path": {"type": "RegularExpression", "value": "/v[0-9]+"}}, MatchPlan(path_kind="regex", path=b"/v[0-9]+")),
    ({"method": "GET"}, MatchPlan(method=b"GET")),
    ({"headers": [{"name": "X-Tag", "value": "A"}]}, MatchPlan(headers=(Condition(name=b"x-tag", value=b"A"),))),
    (
        {"headers": [{"name": "x", "value": "a+", "type": "RegularExpression"}]},
        MatchPlan(headers=(Condition(name=b"x", value=b"a+", regex=True),)),
    ),
    (
        {"queryParams": [{"name": "Q", "value": "a"}]},
        MatchPlan(query=(Condition(name=b"Q", value=b"a"),)),
    ),  # case counts
]


@pytest.mark.parametrize(("match", "expected"), MATCHES)
def test_match(match: dict[str, Any], expected: MatchPlan) -> None:
    assert compiled(rule(matches=[match])).matches == (expected,)


TWINS = [{"name": "X-Tag", "value": "a"}, {"name": "y", "value": "b"}, {"name": "x-tag", "value": "c"}]


def test_of_names_that_differ_by_case_the_first_counts_and_the_others_are_told() -> None:
    edit = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": TWINS}}
    result = plan(rule(matches=[{"headers": TWINS}], filters=[edit]))
    (match,) = result.snapshot.routes["HTTPRoute/shop/cart"].rules[0].matches
    assert match.headers == (Condition(name=b"x-tag", value=b"a"), Condition(name=b"y", value=b"b"))
    places = ["matches[0].headers[2]", "filters[0].requestHeaderModifier.set[2]"]
    assert sorted(one.field for one in result.problems) == sorted(f"spec.rules[0].{place}" for place in places)
    assert {one.severity for one in result.problems} == {"warning"}


@pytest.mark.parametrize("path", ["/a?b=1", "/a#b"])
def test_what_is_no_path_alone_is_told(path: str) -> None:
    edit = {"type": "ReplaceFullPath", "replaceFullPath": path}
    redirect = {"type": "RequestRedirect", "requestRedirect": {"path": edit}}
    for one in (rule(filters=[{"type": "URLRewrite", "urlRewrite": {"path": edit}}]), {"filters": [redirect]}):
        (problem,) = plan(one).problems
        assert problem.field.endswith(".path.replaceFullPath")
        assert (problem.severity, path in problem.message) == ("warning", True)


def modifier(kind: str, **edit: Any) -> dict[str, Any]:
    return {"type": kind, kind[0].lower() + kind[1:]: edit}


def rewrite(**fields: Any) -> dict[str, Any]:
    return {"type": "URLRewrite", "urlRewrite": fields}


def full(path: str) -> dict[str, str]:
    return {"type": "ReplaceFullPath", "replaceFullPath": path}


def prefix(path: str) -> dict[str, str]:
    return {"type": "ReplacePrefixMatch", "replacePrefixMatch": path}


FILTERS = [
    (
        [modifier("RequestHeaderModifier", set=[{"name": "X-A", "value": "1"}], remove=["X-B"])],
        Filters(request=Edit(set=((b"x-a", b"1"),), remove=(b"x-b",))),
    ),
    (  # names that differ only by case: the first counts (HTTPHeader.name)
        [modifier("ResponseHeaderModifier", add=[{"name": "X-A", "value": "1"}, {"name": "x-a", "value": "2"}])],
        Filters(response=Edit(add=((b"x-a", b"1"),))),
    ),
    ([rewrite(hostname="b.org", path=full("/x"))], Filters(hostname=b"b.org", path=PathEdit(value=b"/x"))),
    ([rewrite(path=prefix("/"))], Filters(path=PathEdit(value=b"/", prefix=b"/cart"))),  # the rule's own prefix
    ([rewrite(path=prefix(""))], Filters(path=PathEdit(value=b"", prefix=b"/cart"))),
    ([rewrite(path=full("/a b/ü?"))], Filters(path=PathEdit(value=b"/a%20b/%C3%BC%3F"))),  # what a URI cannot carry
    ([{"type": "CORS", "cors": {"allowOrigins": ["*"]}}], Filters(cors=Cors(origins=(b"*",)))),
    (
        [
            {
                "type": "CORS",
                "cors": {
                    "allowOrigins": ["https://A.com", "http://*.b.org:8080"],
                    "allowCredentials": True,
                    "allowMethods": ["GET", "PUT"],
                    "allowHeaders": ["X-A"],
                    "exposeHeaders": ["X-B"],
                    "maxAge": 60,
                },
            }
        ],
        Filters(
            cors=Cors((b"https://a.com", b"http://*.b.org:8080"), True, (b"GET", b"PUT"), (b"X-A",), (b"X-B",), 60)
        ),
    ),
    (  # both modifiers and a rewrite make one record
        [
            modifier("RequestHeaderModifier", remove=["a"]),
            rewrite(hostname="b.org"),
            modifier("ResponseHeaderModifier", remove=["b"]),
        ],
        Filters(request=Edit(remove=(b"a",)), response=Edit(remove=(b"b",)), hostname=b"b.org"),
    ),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS)
def test_filters(filters: list[dict[str, Any]], expected: Filters) -> None:
    found = compiled(rule(matches=[{"path": {"value": "/cart/"}}], filters=filters))
    assert found.filters == expected
    at_backend = compiled(rule(backend(filters=filters), matches=[{"path": {"value": "/cart/"}}]))
    assert at_backend.shares[0].filters == expected
    assert at_backend.filters is None


REDIRECTS = [
    ({}, Redirect()),
    ({"hostname": "b.org", "statusCode": 301}, Redirect(status=301, hostname=b"b.org")),
    ({"scheme": "https", "port": 8443}, Redirect(scheme=b"https", port=8443)),
    ({"path": prefix("/x")}, Redirect(path=PathEdit(value=b"/x", prefix=b"/"))),
]


@pytest.mark.parametrize(("spec", "expected"), REDIRECTS)
def test_redirect(spec: dict[str, Any], expected: Redirect) -> None:
    found = compiled({"filters": [{"type": "RequestRedirect", "requestRedirect": spec}]})
    assert found.filters == Filters(redirect=expected)
    assert found.shares == ()


def test_rules_carry_index_name_and_weights() -> None:
    text = """
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{name: edge}]
  rules:
  - name: first
    backendRefs: [{name: cart, port: 80}]
  - backendRefs: [{name: cart, port: 80, weight: 0}, {name: cart, port: 80, weight: 7}]
"""
    result = Planner().plan(world(gateway(), text, CART), Options())
    first, second = result.snapshot.routes["HTTPRoute/shop/cart"].rules
    assert (first.index, first.name, second.index, second.name) == (0, "first", 1, "")
    assert [share.weight for share in second.shares] == [0, 7]


def test_a_rule_without_backends_is_resolved() -> None:
    """It is answered 500, while the route is Accepted and its references are resolved."""
    result = plan({"matches": [{"path": {"value": "/x"}}]})
    assert holds("Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs", conditions(result))
    assert result.snapshot.routes["HTTPRoute/shop/cart"].rules[0].shares == ()


UNSERVABLE = [
    {"matches": [{"path": {"type": "RegularExpression", "value": "("}}]},
    {"matches": [{"path": {"type": "RegularExpression", "value": "(?=a)"}}]},  # RE2 has no lookahead
    {"matches": [{"headers": [{"name": "x", "value": "[", "type": "RegularExpression"}]}]},
    {"matches": [{"queryParams": [{"name": "x", "value": "a**", "type": "RegularExpression"}]}]},
    {"matches": [{"path": {"type": "Exact", "value": "/a%00"}}]},  # refused in requests as well
    {"filters": [modifier("RequestHeaderModifier", set=[{"name": "Content-Length", "value": "5"}])]},  # frames the body
    {"filters": [modifier("RequestHeaderModifier", remove=["Host"])]},  # URLRewrite is the way to change it
    {"filters": [modifier("ResponseHeaderModifier", add=[{"name": "Transfer-Encoding", "value": "chunked"}])]},
    {"filters": [modifier("RequestHeaderModifier", remove=["a b"])]},  # no token
]


@pytest.mark.parametrize("bad", UNSERVABLE)
def test_a_rule_that_cannot_be_served_is_dropped_alone(bad: dict[str, Any]) -> None:
    """PartiallyInvalid with a message that starts `Dropped Rule` (HTTPRoute conditions); neighbours stay."""
    result = plan(rule(**bad), rule())
    assert holds("Accepted=True/Accepted PartiallyInvalid=True/UnsupportedValue", conditions(result))
    partly = next(one for one in conditions(result) if one["type"] == "PartiallyInvalid")
    assert partly["message"].startswith("Dropped Rule")
    assert [one.index for one in result.snapshot.routes["HTTPRoute/shop/cart"].rules] == [1]
    (problem,) = result.problems
    assert problem.field == f"spec.rules[0].{next(iter(bad))}[0]"
    assert problem.severity == "error"


@pytest.mark.parametrize(
    ("expression", "said"),
    [("/a(?=b)", "invalid perl operator: (?="), ("/[a", "missing ]: [a"), ("/\u00e9(", "missing ): /\u00e9(")],
)
def test_what_is_wrong_with_an_expression_is_said_as_text(expression: str, said: str) -> None:
    (problem,) = plan(rule(matches=[{"path": {"type": "RegularExpression", "value": expression}}])).problems
    assert problem.message == f"rule dropped: regular expression {expression!r} is none that RE2 takes: {said}"


@pytest.mark.parametrize("bad", UNSERVABLE)
def test_a_route_whose_rules_are_all_dropped_is_refused(bad: dict[str, Any]) -> None:
    result = plan(rule(**bad))
    assert holds("Accepted=False/UnsupportedValue", conditions(result)), short(conditions(result))
    assert "PartiallyInvalid" not in short(conditions(result))
    assert result.snapshot.routes == {}
    assert result.statuses["Gateway/shop/edge"]["listeners"][0]["attachedRoutes"] == 0


BOUNDS: list[tuple[dict[str, Any], Timeouts | None, Retry | None]] = [
    ({"timeouts": {"request": "1m30s", "backendRequest": "500ms"}}, Timeouts(90.0, 0.5), None),
    ({"timeouts": {"request": "0s", "backendRequest": "2s"}}, Timeouts(0.0, 2.0), None),
    ({"timeouts": {"request": "0s"}}, None, None),  # no limit
    ({"timeouts": {}}, None, None),
    ({"retry": {}}, None, Retry(attempts=2, backoff=0.05)),
    ({"retry": {"codes": [503, 500], "attempts": 3, "backoff": "200ms"}}, None, Retry(3, (503, 500), 0.2)),
    ({"retry": {"backoff": "0s"}}, None, Retry(backoff=0.0)),
]


@pytest.mark.parametrize(("fields", "timeouts", "retry"), BOUNDS)
def test_timeouts_and_retries(fields: dict[str, Any], timeouts: Timeouts | None, retry: Retry | None) -> None:
    result = plan(rule(**fields))
    (found,) = result.snapshot.routes["HTTPRoute/shop/cart"].rules
    assert (found.timeouts, found.retry) == (timeouts, retry)
    assert result.problems == []
    assert "gatewayd.dev/NotServed" not in short(conditions(result))


EXTENSION = {"type": "ExtensionRef", "extensionRef": {"group": "x.io", "kind": "Filter", "name": "f"}}
CLOSED = [(EXTENSION, "ExtensionRefNotServed")]


@pytest.mark.parametrize(("spec", "reason"), CLOSED)
def test_filters_that_guard_something_fail_closed(spec: dict[str, Any], reason: str) -> None:
    """A rule must not be served without its guard just because that is not served yet."""
    result = plan(rule(filters=[spec]), rule())
    guarded, free = result.snapshot.routes["HTTPRoute/shop/cart"].rules
    assert (guarded.refusal, free.refusal) == (reason, "")
    assert holds("Accepted=True/Accepted gatewayd.dev/NotServed=True/UnsupportedField", conditions(result))
    told = {one.field: one.severity for one in result.problems}
    assert told["spec.rules[0].filters[0]"] == "error"  # requests are refused


def test_an_extension_is_an_unresolved_reference() -> None:
    assert holds("ResolvedRefs=False/InvalidKind", conditions(plan(rule(filters=[EXTENSION]))))


@pytest.mark.parametrize(("spec", "reason"), CLOSED)
def test_such_filters_on_a_backend_close_its_share_only(spec: dict[str, Any], reason: str) -> None:
    shares = compiled(rule(backend(filters=[spec], weight=3), backend())).shares
    assert [(one.failure, one.backend, one.weight) for one in shares] == [(reason, "", 3), ("", "shop/cart:80", 1)]


MIRRORS: list[tuple[dict[str, Any], MirrorPlan]] = [
    ({}, MirrorPlan("shop/cart:80")),
    ({"percent": 20}, MirrorPlan("shop/cart:80", 20, 100)),
    ({"percent": 0}, MirrorPlan("shop/cart:80", 0, 100)),
    ({"fraction": {"numerator": 5}}, MirrorPlan("shop/cart:80", 5, 100)),
    ({"fraction": {"numerator": 1, "denominator": 3}}, MirrorPlan("shop/cart:80", 1, 3)),
]


@pytest.mark.parametrize(("part", "expected"), MIRRORS)
def test_mirrors(part: dict[str, Any], expected: MirrorPlan) -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend(), **part}}
    result = plan(rule(filters=[mirror, mirror]))
    (found,) = result.snapshot.routes["HTTPRoute/shop/cart"].rules
    assert found.filters == Filters(mirrors=(expected, expected))
    assert result.problems == []
    at_backend = compiled(rule(backend(filters=[modifier("RequestHeaderModifier", remove=["a"]), mirror])))
    assert at_backend.shares[0].filters == Filters(request=Edit(remove=(b"a",)), mirrors=(expected,))


def test_the_backend_of_a_mirror_is_served() -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("copy")}}
    text = route("cart", rule(filters=[mirror])) + CART + service("copy") + endpoint_slice("127.0.0.2", of="copy")
    snapshot = Planner().plan(world(gateway(), text), Options()).snapshot
    assert snapshot.backends["shop/copy:80"].endpoints == (("127.0.0.2", 8080),)


def test_a_mirror_that_leads_nowhere_does_not_stop_the_traffic() -> None:
    mirror = {"type": "RequestMirror", "requestMirror": {"backendRef": backend("gone")}}
    result = plan(rule(filters=[mirror]))
    assert holds("Accepted=True/Accepted ResolvedRefs=False/BackendNotFound", conditions(result))
    (found,) = result.snapshot.routes["HTTPRoute/shop/cart"].rules
    assert (found.filters, found.refusal, found.shares[0].failure) == (Filters(), "", "")
