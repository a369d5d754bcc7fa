"""sessionPersistence as written -> what the traffic path needs of it (GEP-1619)."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.api.persistence import CookieConfig, HeaderConfig, SessionPersistence
from gatewayd.plan.build import Options, Planner, Result
from gatewayd.plan.filters import UnservableError
from gatewayd.plan.persistence import persistence_of
from gatewayd.routing.snapshot import Persistence
from tests.plan.manifests import CART, gateway, http, route, rule
from tests.plan.verdicts import holds, short
from tests.plan.yaml_objects import world


def cookie(timeout: str | None = None, **fields: Any) -> SessionPersistence:
    return SessionPersistence(cookie=CookieConfig(**fields), absolute_timeout=timeout)


def header(name: str, timeout: str | None = None) -> SessionPersistence:
    return SessionPersistence(type="Header", header=HeaderConfig(name=name), absolute_timeout=timeout)


COMPILED = [
    (None, None),
    (cookie(), Persistence()),  # type Cookie, path / and lifetime Session are the defaults
    (cookie(name="Shop"), Persistence(name=b"Shop")),  # names of cookies keep their case (RFC 6265 section 5.3)
    (cookie(name="__Host-sid"), Persistence(name=b"__Host-sid")),
    (cookie(path="/cart"), Persistence(path=b"/cart")),
    (cookie("1h30m"), Persistence(timeout=5400.0)),
    (cookie("500ms"), Persistence(timeout=0.5)),
    (cookie("24h", lifetime_type="Permanent"), Persistence(permanent=True, timeout=86400.0)),
    (header("X-Session"), Persistence(kind="header", name=b"x-session")),  # those of fields do not (RFC 9110 5.1)
    (header("X-Session", "10s"), Persistence(kind="header", name=b"x-session", timeout=10.0)),
]


@pytest.mark.parametrize(("spec", "expected"), COMPILED)
def test_it_is_compiled(spec: SessionPersistence | None, expected: Persistence | None) -> None:
    assert persistence_of(spec) == expected


REFUSED = [
    (cookie("0s"), "absoluteTimeout 0s"),
    (cookie("0h0ms", lifetime_type="Permanent"), "absoluteTimeout 0h0ms"),
    (cookie(path="cart"), "cookie.path 'cart'"),
    (cookie(path=""), "cookie.path ''"),
    (cookie(path="/a; Domain=example.com"), "cookie.path"),
    (cookie(path="/a\r\nx: y"), "cookie.path"),
    (cookie(path="/caf\xe9"), "cookie.path"),
    (cookie(path="/\x7f"), "cookie.path"),
    (cookie(name="__Host-sid", path="/cart"), "cookie.path of a cookie named __Host-sid must be /"),
    (header("Cookie"), "header.name Cookie"),
    (header("Transfer-Encoding"), "header.name"),
    (header("HOST"), "header.name"),
    (header("X-Request-Id"), "header.name"),
    (header("x_forwarded_for"), "header.name"),  # the gateway takes it for the other one, as some backends do
    (header("TE"), "header.name"),
]


@pytest.mark.parametrize(("spec", "message"), REFUSED)
def test_what_no_cookie_and_no_field_can_carry_is_refused(spec: SessionPersistence, message: str) -> None:
    with pytest.raises(UnservableError) as told:
        persistence_of(spec)
    assert f"sessionPersistence.{message}" in str(told.value)


# -- on rules ----------------------------------------------------------------------------------------------------------


def kept(name: str = "", path: str = "/", prefix: str = "/") -> dict[str, Any]:
    """A rule with a session cookie."""
    spec = {"path": path, **({"name": name} if name else {})}
    return rule(matches=[{"path": {"value": prefix}}], sessionPersistence={"cookie": spec})


def plan(*texts: str) -> Result:
    return Planner().plan(world(gateway(), CART, *texts), Options())


@pytest.mark.parametrize("kind", ["HTTPRoute", "GRPCRoute"])
def test_rules_of_both_kinds_have_it(kind: str) -> None:
    spec = {"type": "Header", "header": {"name": "X-Sid"}, "absoluteTimeout": "1m"}
    result = plan(route("cart", rule(sessionPersistence=spec), rule(), kind=kind))
    one, other = result.snapshot.routes[f"{kind}/shop/cart"].rules
    assert one.persistence == Persistence(kind="header", name=b"x-sid", timeout=60.0)
    assert other.persistence is None
    (entry,) = result.statuses[f"{kind}/shop/cart"]["parents"]
    assert short(entry["conditions"]) == {"Accepted": "True/Accepted", "ResolvedRefs": "True/ResolvedRefs"}
    assert result.problems == []


def test_a_rule_with_a_value_that_cannot_be_served_is_dropped_alone() -> None:
    result = plan(route("cart", kept(path="cart"), kept()))
    (left,) = result.snapshot.routes["HTTPRoute/shop/cart"].rules
    assert left.index == 1
    (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
    assert holds("Accepted=True/Accepted PartiallyInvalid=True/UnsupportedValue", entry["conditions"])
    (problem,) = result.problems
    assert (problem.field, problem.severity) == ("spec.rules[0].sessionPersistence.cookie.path", "error")
    assert "sessionPersistence.cookie.path 'cart' must begin with a slash" in problem.message


def of(name: str, *rules: dict[str, Any], **more: Any) -> str:
    return route(name, *rules, **more)


A, B = "a.example.com", "b.example.com"
CALLS = rule(sessionPersistence={"cookie": {"name": "sid"}})
NAME = ".sessionPersistence.cookie.name"
CLASHES: list[tuple[list[str], list[tuple[str, str, str]]]] = [
    # (routes, [(object, field, whose cookie it is)])
    (
        [of("a", kept("sid", prefix="/x"), kept("sid"))],
        [("a", f"spec.rules[1]{NAME}", "spec.rules[0] of HTTPRoute shop/a")],
    ),
    (
        [of("a", kept("sid")), of("b", kept("sid"))],
        [("b", f"spec.rules[0]{NAME}", "spec.rules[0] of HTTPRoute shop/a")],
    ),
    (  # the older one was there first
        [of("a", kept("sid"), created="2026-02-01T00:00:00Z"), of("b", kept("sid"), created="2026-01-01T00:00:00Z")],
        [("a", f"spec.rules[0]{NAME}", "spec.rules[0] of HTTPRoute shop/b")],
    ),
    (
        [of("a", kept("sid")), of("b", kept("sid")), of("c", kept("sid"))],
        [(name, f"spec.rules[0]{NAME}", "spec.rules[0] of HTTPRoute shop/a") for name in "bc"],
    ),
    ([of("a", kept("sid")), of("b", rule(), kept("Sid"))], []),  # names of cookies keep their case
    ([of("a", kept(), kept(prefix="/x"))], []),  # the gateway makes another name for each rule
    ([of("a", kept("sid"), hostnames=[A]), of("b", kept("sid"), hostnames=[B])], []),
    (
        [of("a", kept("sid"), hostnames=[A, B]), of("b", kept("sid"), hostnames=[B])],
        [("b", f"spec.rules[0]{NAME}", "HTTPRoute shop/a")],
    ),
    # Cookies with paths of which none is above the other never meet (RFC 6265 section 5.4).
    ([of("a", kept("sid", "/x"), kept("sid", "/y"), kept("sid", "/xy"))], []),
    ([of("a", kept("sid", "/x/y"), kept("sid", "/x"))], [("a", f"spec.rules[1]{NAME}", "spec.rules[0]")]),
    ([of("a", kept("sid", "/x/"), kept("sid", "/x/y"))], [("a", f"spec.rules[1]{NAME}", "spec.rules[0]")]),
    ([of("a", kept("sid", "/x"), kept("sid"))], [("a", f"spec.rules[1]{NAME}", "spec.rules[0]")]),
    (
        [of("b", kept("sid")), of("a", CALLS, kind="GRPCRoute")],
        [("b", f"spec.rules[0]{NAME}", "GRPCRoute shop/a")],
    ),
]


@pytest.mark.parametrize(("routes", "expected"), CLASHES)
def test_two_rules_with_one_cookie_are_told(routes: list[str], expected: list[tuple[str, str, str]]) -> None:
    """GEP-1619, "Session Naming Collision"; both are served, for their sessions are never the same."""
    result = plan(*routes)
    assert [(one.object, one.field, one.severity) for one in result.problems] == [
        (f"HTTPRoute shop/{name}", field, "warning") for name, field, _ in expected
    ]
    for problem, (_, _, whose) in zip(result.problems, expected, strict=True):
        assert whose in problem.message
    assert len(result.snapshot.routes) == len(routes)


def test_a_rule_does_not_clash_with_itself_on_two_listeners() -> None:
    both = gateway("edge", http(), http("other", 81))
    result = Planner().plan(world(both, CART, route("cart", kept("sid"))), Options())
    assert result.problems == []


def test_a_clash_goes_with_its_cause() -> None:
    planner = Planner()
    texts = [gateway(), CART, route("a", kept("sid")), route("b", kept("sid"))]
    assert len(planner.plan(world(*texts), Options()).problems) == 1
    assert planner.plan(world(*texts[:3], route("b", kept("sid2"))), Options()).problems == []
    assert len(planner.plan(world(*texts), Options()).problems) == 1
