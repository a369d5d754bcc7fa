"""Listeners share what routes compile to, each with counters of its own."""

from __future__ import annotations

from gatewayd.routing.pool import Pool
from gatewayd.routing.snapshot import Edit, Filters, ListenerPlan, MatchPlan, PortPlan, RoutePlan, RulePlan, SharePlan
from gatewayd.routing.table import ListenerTable, PortTable, compile_port

KEY = "HTTPRoute/ns/r"


def a_route(value: bytes = b"1") -> RoutePlan:
    """A route whose one rule has two matches and a filter."""
    matches = (MatchPlan(path=b"/a"), MatchPlan(path=b"/b"))
    filters = Filters(request=Edit(set=((b"x-a", value),)))
    rule = RulePlan(index=0, matches=matches, filters=filters, shares=(SharePlan("ns/s:80"),))
    return RoutePlan(key=KEY, kind="HTTPRoute", namespace="ns", name="r", rules=(rule,))


def a_port(*names: str, number: int = 80) -> PortPlan:
    """A port with a listener for each name; the route stands on all of them."""
    listeners = [
        ListenerPlan(f"ns/gw/{name}", "ns/gw", name, "HTTP", name.encode(), {name.encode(): (KEY,)}) for name in names
    ]
    return PortPlan(f":{number}", "", number, number, "http", tuple(listeners))


def tables(port: PortTable) -> list[ListenerTable]:
    """The listeners of a port, by their names."""
    return sorted(port.listeners.values(), key=lambda table: table.key)


def test_listeners_share_steps_and_backends_but_no_counters() -> None:
    one, other = tables(compile_port(a_port("a", "b"), {KEY: a_route()}))
    first, second = one.routes[KEY], other.routes[KEY]
    assert first[0].rule is first[1].rule
    assert second[0].rule is second[1].rule
    assert first[0].rule is not second[0].rule
    assert first[0].rule.step is second[0].rule.step is not None
    assert first[0].rule.shares is second[0].rule.shares
    first[0].rule.counters = object()
    assert second[0].rule.counters is None


def test_a_new_listener_takes_what_others_have_also_from_another_port() -> None:
    routes = {KEY: a_route()}
    before = compile_port(a_port("a"), routes)
    (old,) = tables(before)
    old.routes[KEY][0].rule.counters = object()
    near = [old.routes]
    for made in (
        tables(compile_port(a_port("a", "b"), routes, before, set(), Pool(near)))[1],
        tables(compile_port(a_port("c", number=81), routes, pool=Pool(near)))[0],
    ):
        assert made.routes[KEY][0].rule.step is old.routes[KEY][0].rule.step
        assert made.routes[KEY][0].rule.counters is None
        assert [match.path for match in made.routes[KEY]] == [b"/a", b"/b"]


def test_what_changed_is_never_taken_from_others() -> None:
    routes = {KEY: a_route()}
    (old,) = tables(compile_port(a_port("a"), routes))
    fresh = {KEY: a_route(b"2")}
    (made,) = tables(compile_port(a_port("c"), fresh, pool=Pool([old.routes])))
    assert made.routes[KEY][0].rule.plan is fresh[KEY].rules[0]
    assert made.routes[KEY][0].rule.step is not old.routes[KEY][0].rule.step
