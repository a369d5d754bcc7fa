"""A plan after many others is the plan that a new Planner would make, in any order of files, and shares what it can."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.api.objects import Object, Objects
from gatewayd.plan import parents, policies
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.backends import Backend
from gatewayd.plan.build import Options, Planner
from gatewayd.plan.parents import Answer, Asked
from gatewayd.plan.reads import Reads
from gatewayd.plan.routes import Compiled, RouteDraft
from gatewayd.routing.change import SECTIONS, apply, difference
from gatewayd.routing.snapshot import RetryBudgetPlan, Snapshot
from tests.plan.manifests import (
    API,
    CART,
    backend,
    document,
    endpoint_slice,
    gateway,
    gateway_class,
    grant,
    http,
    https,
    namespace,
    outside,
    route,
    rule,
    service,
    traffic_policy,
    xbackend,
)
from tests.plan.secrets import good_secret, secret
from tests.plan.yaml_objects import parse, world

OURS = "gatewayd.dev/gateway-controller"
SELECTED = {"namespaces": {"from": "Selector", "selector": {"matchLabels": {"team": "red"}}}}
ALL = {"namespaces": {"from": "All"}}
HOPELESS = [{"path": {"type": "RegularExpression", "value": "/a("}}]
PARENT = [{"name": "edge", "namespace": "shop"}]
PARAMETERS = {"parametersRef": {"group": "gatewayd.dev", "kind": "GatewayConfig", "name": "limits"}}
POLICY = document(
    API,
    "BackendTLSPolicy",
    "tls",
    "shop",
    spec={
        "targetRefs": [{"group": "", "kind": "Service", "name": "cart"}],
        "validation": {"hostname": "a.com", "wellKnownCACertificates": "System"},
    },
)
CONFIG = "gatewayd.dev/v1alpha1"
SESSIONS = {"type": "Header", "header": {"name": "x-session"}}

# One file for each entry; its variants, of which "" is an empty file.
FILES: dict[str, list[str]] = {
    "class": [gateway_class("gatewayd", OURS), gateway_class("gatewayd", OURS, **PARAMETERS), ""],
    "config": ["", document(CONFIG, "GatewayConfig", "limits", "default", spec={"limits": {"head": "16Ki"}})],
    "edge": [
        gateway(),
        gateway("edge", http(allowedRoutes=ALL), http("b", 81, hostname="*.a.com")),
        gateway("edge", http(allowedRoutes=SELECTED), https("s", "tls")),
        gateway("edge", {"name": "tcp", "port": 80, "protocol": "TCP"}),
        gateway("edge", http(), http("more", 82), http("b", 81, hostname="*.a.com")),
        gateway("edge", http("more", 82, hostname="x.a.com"), https("s", "none")),
        "",
    ],
    "rival": [
        "",
        gateway("rival"),
        gateway("rival", created="2020-01-01T00:00:00Z", addresses=[{"value": "127.0.0.9"}]),
    ],
    "namespace": ["", namespace("stock", team="red"), namespace("stock", team="blue")],
    "cart": [
        route(),
        route("cart", rule(matches=[{"path": {"value": "/x"}}])),
        route(hostnames=["x.a.com", "b.org"]),
        route("cart", rule(backend(namespace="stock"))),
        route("cart", rule(backend(), outside())),
        "",
    ],
    # Those that ask what others ask: their answers are the same, but one is served by no listener for its own fault.
    "twins": [
        "",
        route("twin") + route("twin-2", rule(backend(port=81))) + route("hopeless", rule(matches=HOPELESS)),
        route("twin", hostnames=["x.a.com", "b.org"]) + route("hopeless") + route("twin-2", rule(matches=HOPELESS)),
    ],
    "rent": ["", route("rent", rule(backend()), ns="stock", parents=PARENT), route("rent", parents=[{"name": "gone"}])],
    "calls": ["", route("calls", kind="GRPCRoute"), route("calls", rule(backend(namespace="stock")), kind="GRPCRoute")],
    "tcp": ["", route("raw", kind="TCPRoute"), route("raw", kind="TCPRoute", parents=[{"name": "rival"}])],
    "service": [service(), service("cart", {"port": 80, "name": "web"}), service("cart", {"port": 81}), ""],
    "stock": ["", service(ns="stock"), service("cart", {"port": 80, "appProtocol": "kubernetes.io/h2c"}, ns="stock")],
    "slice": [
        endpoint_slice("127.0.0.1"),
        endpoint_slice("127.0.0.2", ports=[{"name": "web", "port": 1}]),
        endpoint_slice("127.0.0.3", of="cart", ns="stock"),
        "",
    ],
    "slice2": ["", endpoint_slice("127.0.0.4", name="cart-2")],
    "grant": ["", grant(), grant(of="stock"), grant(kind="GRPCRoute")],
    "secret": [good_secret("tls", "shop", "a.com"), secret("tls", "shop", b"junk", b"junk"), ""],
    "policy": ["", "", POLICY],
    "far": [xbackend(), "", xbackend(protocol="H2C"), xbackend(hostname="other.com", tls={"mode": "ServerOnly"})],
    "calm": [
        "",
        traffic_policy("calm", "cart", "XBackend/far", retryConstraint={}),
        traffic_policy("calm", "XBackend/far", created="2024-01-01T00:00:00Z", retryConstraint={}),
    ],
    "strict": [
        "",
        traffic_policy("strict", retryConstraint={"budget": {"percent": 1}}),
        traffic_policy("strict", "XBackend/far", "cart", created="2020-01-01T00:00:00Z"),
        traffic_policy("strict", "gone", ns="stock"),
        traffic_policy("strict", created="2020-01-01T00:00:00Z", sessionPersistence=SESSIONS),
    ],
}


def variants_of(name: str) -> list[list[Object]]:
    """Every variant of a file, and each once more with its objects further down, as an edit above leaves them."""
    found = [parse(text, f"{name}.yaml") for text in FILES[name]]
    return [*found, *([item.further(7) for item in items] for items in found)]


PARSED: dict[str, list[list[Object]]] = {name: variants_of(name) for name in FILES}
choices = st.tuples(*[st.integers(0, len(variants) - 1) for variants in PARSED.values()])
edits = st.lists(st.tuples(st.sampled_from(list(FILES)), st.integers(0, 13)), min_size=1, max_size=3)


def objects(state: dict[str, int], order: list[str]) -> Objects:
    """The objects of all files; those of an unchanged file are the same instances."""
    return Objects([item for name in order for item in PARSED[name][state[name]]])


def shared(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Whether all that did not change is the same instance."""
    return all(after[key] is before[key] for key in before if after.get(key) == before[key])


def shares_what_it_can(old: Snapshot, new: Snapshot) -> bool:
    """Whether every record that did not change is the same instance."""
    return all(shared(getattr(old, section), getattr(new, section)) for section in SECTIONS)


@settings(deadline=None, max_examples=150)
@given(choices, st.lists(edits, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_a_plan_after_others_is_the_plan_of_a_new_planner(
    start: tuple[int, ...], steps: list[list[tuple[str, int]]], chance: random.Random
) -> None:
    planner = Planner()
    state, order = dict(zip(FILES, start, strict=True)), list(FILES)
    before = planner.plan(objects(state, order), Options())
    for step in steps:
        state |= {name: variant % len(PARSED[name]) for name, variant in step}
        chance.shuffle(order)
        found = planner.plan(objects(state, order), Options())
        fresh = Planner().plan(objects(state, sorted(order)), Options())
        assert found.snapshot == fresh.snapshot
        assert found.statuses == fresh.statuses
        assert found.problems == fresh.problems
        assert shares_what_it_can(before.snapshot, found.snapshot)
        assert shared(before.statuses, found.statuses)
        assert apply(before.snapshot, difference(before.snapshot, found.snapshot)) == found.snapshot
        before = found


@settings(deadline=None, max_examples=60)
@given(choices)
def test_every_plan_can_be_sent(start: tuple[int, ...]) -> None:
    """A snapshot survives the way to a worker, and names nothing that it does not hold."""
    state = dict(zip(FILES, start, strict=True))
    snapshot = Planner().plan(objects(state, list(FILES)), Options()).snapshot
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot
    listeners = [one for port in snapshot.ports.values() for one in port.listeners]
    assert {key for one in listeners for keys in one.hosts.values() for key in keys} == set(snapshot.routes)
    assert {one.settings for one in listeners} <= set(snapshot.settings)
    assert {key for one in listeners for key in one.certificates} == set(snapshot.certificates)
    shares = [share for one in snapshot.routes.values() for each in one.rules for share in each.shares]
    assert {share.backend for share in shares if share.backend} == set(snapshot.backends)
    assert all(bool(share.backend) != bool(share.failure) for share in shares)


CHANGES = [
    # (file, its new text, sections in which something changes)
    ("slice", endpoint_slice("127.0.0.9"), {"backends"}),
    ("cart", route("cart", rule(matches=[{"method": "GET"}])), {"routes"}),
    ("cart", "# a comment\n", {"routes", "ports", "backends"}),
    ("secret", good_secret("tls", "shop", "b.com"), {"certificates"}),
    ("edge", gateway("edge", http(), https("s", "tls"), http("new", 81)), {"ports"}),
    ("other", route("other", hostnames=["o.com"]), {"routes", "ports"}),
    ("namespace", namespace("nobody", team="red"), set()),
    ("policy", traffic_policy("calm", "cart", retryConstraint={}), {"backends"}),
    ("policy", traffic_policy("calm", "gone", retryConstraint={}), set()),
    ("policy", traffic_policy("calm", "cart", sessionPersistence=SESSIONS), {"routes"}),
]


@pytest.mark.parametrize(("name", "text", "sections"), CHANGES)
def test_a_change_touches_what_it_is_about(name: str, text: str, sections: set[str]) -> None:
    files = {
        "class": gateway_class("gatewayd", OURS),
        "edge": gateway("edge", http(), https("s", "tls")),
        "cart": route(),
        "service": service(),
        "slice": endpoint_slice("127.0.0.1"),
        "secret": good_secret("tls", "shop", "a.com"),
        "rest": route("rest", rule(backend("rest")), hostnames=["rest.com"])
        + service("rest")
        + endpoint_slice(of="rest"),
    }
    parsed = {file: parse(content, file) for file, content in files.items()}
    planner = Planner()
    old = planner.plan(Objects([item for items in parsed.values() for item in items]), Options(generation=1)).snapshot
    parsed[name] = parse(text, name)
    new = planner.plan(Objects([item for items in parsed.values() for item in items]), Options(generation=2)).snapshot
    change = difference(old, new)
    touched = {section for section in SECTIONS if getattr(change, section) or section in change.dropped}
    assert touched == sections
    assert new.routes["HTTPRoute/shop/rest"] is old.routes["HTTPRoute/shop/rest"]
    assert new.backends["shop/rest:80"] is old.backends["shop/rest:80"]


def test_the_plan_does_not_hold_on_to_keys_of_secrets_that_are_gone() -> None:
    planner = Planner()
    tls = gateway("edge", https("s", "tls"))
    assert planner.plan(world(tls, good_secret("tls", "shop", "a.com"), CART), Options()).snapshot.certificates
    result = planner.plan(world(tls, CART), Options())
    assert result.snapshot.certificates == {}
    assert [one.field for one in result.problems] == ["spec.listeners[0].tls.certificateRefs[0]"]


def test_one_route_of_many_costs_one_route(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {f"r{n}": parse(route(f"r{n}", hostnames=[f"h{n}.com"]), f"r{n}.yaml") for n in range(300)}
    rest = parse(gateway_class("gatewayd", OURS) + gateway() + CART)
    planner = Planner()
    old = planner.plan(Objects([*rest, *(item for items in files.values() for item in items)]), Options())
    compiled: list[str] = []
    compile_route = RouteDraft.compile

    def count(draft: RouteDraft) -> Compiled:
        compiled.append(draft.item.name)
        return compile_route(draft)

    monkeypatch.setattr(RouteDraft, "compile", count)
    files["r7"] = parse(route("r7", hostnames=["other.com"]), "r7.yaml")
    new = planner.plan(Objects([*rest, *(item for items in files.values() for item in items)]), Options())
    assert compiled == ["r7"]
    assert len(difference(old.snapshot, new.snapshot).ports) == 1
    (listener,) = new.snapshot.ports[":80"].listeners
    assert len(listener.hosts) == 300
    assert b"other.com" in listener.hosts
    assert b"h7.com" not in listener.hosts


MANY = {f"r{n}": parse(route(f"r{n}"), f"r{n}.yaml") for n in range(20)}
AROUND = [
    # (gateway, namespaces and grants before; the same after): changes of what stands around routes
    (gateway("edge", http(hostname="a.com")), gateway("edge", http(hostname="b.com"))),
    (gateway("edge", http()), gateway("edge", http(), http("new", 81))),
    (gateway("edge", http()), gateway("edge", http(allowedRoutes=ALL))),
    (gateway("edge", http(allowedRoutes=SELECTED)), gateway("edge", http(allowedRoutes=SELECTED)) + namespace("shop")),
    (gateway(), gateway() + grant(of="stock")),
]


@pytest.mark.parametrize(("before", "after"), AROUND)
def test_what_stands_around_routes_compiles_none_of_them(
    before: str, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = [*parse(gateway_class("gatewayd", OURS) + CART), *(item for items in MANY.values() for item in items)]
    planner = Planner()
    old = planner.plan(Objects([*rest, *parse(before, "edge.yaml")]), Options())
    asked: list[Asked] = []
    judge = parents.judge

    def count(one: Asked, views: Mapping[str, GatewayView], reads: Reads) -> Answer:
        asked.append(one)
        return judge(one, views, reads)

    monkeypatch.setattr("gatewayd.plan.routeset.judge", count)
    monkeypatch.setattr(RouteDraft, "compile", None)
    new = planner.plan(Objects([*rest, *parse(after, "edge.yaml")]), Options())
    assert len(asked) <= 1  # all of them ask the same
    assert difference(old.snapshot, new.snapshot).routes == {}
    routes = [key for key in new.statuses if key.startswith("HTTPRoute/")]
    assert len(routes) == len(MANY)
    assert all(new.statuses[key] is old.statuses[key] for key in routes)


def test_lines_that_shift_change_nothing_but_where_problems_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rest = parse(gateway_class("gatewayd", OURS) + gateway() + CART)
    good = [item for items in MANY.values() for item in items]
    bad = parse(route("bad", rule(backend("gone"))), "bad.yaml")
    planner = Planner()
    old = planner.plan(Objects([*rest, *good, *bad]), Options())
    compiled: list[str] = []
    compile_route = RouteDraft.compile

    def count(draft: RouteDraft) -> Compiled:
        compiled.append(draft.item.name)
        return compile_route(draft)

    monkeypatch.setattr(RouteDraft, "compile", count)
    new = planner.plan(Objects([item.further(3) for item in (*rest, *good, *bad)]), Options())
    assert compiled == ["bad"]
    change = difference(old.snapshot, new.snapshot)
    assert (change.routes, change.backends, change.dropped) == ({}, {}, {})
    moved = [(one.line, one.message) for one in new.problems if one.file == "bad.yaml"]
    assert moved == [(one.line + 3, one.message) for one in old.problems if one.file == "bad.yaml"] != []


BUDGETS = [
    # (another policy than before, the backends that are compiled again, and with them the routes that use these)
    (traffic_policy("calm", "cart", retryConstraint={"budget": {"percent": 5}}), ["cart"]),
    (traffic_policy("calm", "rest", retryConstraint={}), ["cart", "rest"]),
    (traffic_policy("calm", "cart", "gone", retryConstraint={}), ["cart"]),
    ("", ["cart"]),
]


@pytest.mark.parametrize(("text", "expected"), BUDGETS)
def test_a_policy_costs_its_targets(text: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rest = [
        *parse(
            gateway_class("gatewayd", OURS)
            + gateway()
            + CART
            + route()
            + route("rest", rule(backend("rest")), hostnames=["rest.com"])
        ),
        *parse(service("rest") + endpoint_slice("127.0.0.9", of="rest"), "rest.yaml"),
    ]
    before = parse(traffic_policy("calm", "cart", retryConstraint={}), "policy.yaml")
    planner = Planner()
    old = planner.plan(Objects([*rest, *before]), Options())
    located: list[str] = []
    compiled: list[str] = []
    budget_of, compile_route = policies.budget_of, RouteDraft.compile

    def locate(target: Backend, reads: Reads) -> RetryBudgetPlan | None:
        located.append(target.name)
        return budget_of(target, reads)

    def count(draft: RouteDraft) -> Compiled:
        compiled.append(draft.item.name)
        return compile_route(draft)

    monkeypatch.setattr(policies, "budget_of", locate)
    monkeypatch.setattr(RouteDraft, "compile", count)
    new = planner.plan(Objects([*rest, *parse(text, "policy.yaml")]), Options())
    assert (sorted(located), sorted(compiled)) == (expected, expected)
    assert all(new.snapshot.routes[key] is one for key, one in old.snapshot.routes.items())
    assert new.snapshot.backends["shop/cart:80"].endpoints == (("127.0.0.1", 8080),)
    assert set(difference(old.snapshot, new.snapshot).backends) <= {f"shop/{name}:80" for name in expected}


def test_statuses_that_say_the_same_are_the_same() -> None:
    rest = parse(
        gateway_class("gatewayd", OURS) + gateway() + CART + xbackend() + route("cart", rule(backend(), outside()))
    )
    policy = parse(traffic_policy("calm", retryConstraint={}), "policy.yaml")
    planner = Planner()
    old = planner.plan(Objects([*rest, *policy]), Options()).statuses
    new = planner.plan(Objects([*rest, *policy, *parse(namespace("stock"), "other.yaml")]), Options()).statuses
    for key in ("XBackend/shop/far", "XBackendTrafficPolicy/shop/calm"):
        assert new[key] is old[key]
        assert new[key].get("parents", new[key].get("ancestors"))
