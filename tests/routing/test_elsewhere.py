"""A route that is compiled once stands on any number of listeners: all of it but the counters is shared."""

from __future__ import annotations

from gatewayd.routing.match import Match, compile_route, elsewhere
from gatewayd.routing.rule import Rule
from gatewayd.routing.snapshot import Condition, MatchPlan, RoutePlan, RulePlan, SharePlan


def test_every_part_is_the_same_but_the_rule_and_its_counters() -> None:
    header = Condition(name=b"x-a", value=b"a|b", regex=True)
    rules = (
        RulePlan(
            index=0,
            name="first",
            matches=(
                MatchPlan(path=b"/a", method=b"GET", headers=(header,)),
                MatchPlan(path_kind="regex", path=b"/b+"),
            ),
            shares=(SharePlan(backend="b", weight=1), SharePlan(backend="c", weight=3)),
        ),
        RulePlan(index=1, shares=(SharePlan(backend="b"),)),
    )
    made = compile_route(RoutePlan(key="r", kind="HTTPRoute", namespace="n", name="r", rules=rules))
    for match in made:
        match.rule.counters = object()
    others = elsewhere(made)
    assert len(others) == len(made) == 3
    for one, other in zip(made, others, strict=True):
        parts = [name for name in Match.__slots__ if name != "rule"]
        assert [getattr(other, name) for name in parts] == [getattr(one, name) for name in parts]
        parts = [name for name in Rule.__slots__ if name != "counters"]
        assert [getattr(other.rule, name) for name in parts] == [getattr(one.rule, name) for name in parts]
        assert other.rule is not one.rule
        assert other.rule.counters is None
    assert others[0].rule is others[1].rule
    assert others[0].rule is not others[2].rule
