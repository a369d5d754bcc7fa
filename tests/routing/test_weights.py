from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.routing.rule import Rule
from gatewayd.routing.snapshot import RoutePlan, RulePlan, SharePlan


def rule(*weights: int, name: str = "r") -> Rule:
    """A rule whose backends are named by their place."""
    shares = tuple(SharePlan(backend=str(place), weight=weight) for place, weight in enumerate(weights))
    route = RoutePlan(key=f"HTTPRoute/ns/{name}", kind="HTTPRoute", namespace="ns", name=name)
    return Rule(route, RulePlan(index=0, shares=shares))


def picked(of: Rule, times: int) -> Counter[str]:
    """How often each backend was picked."""
    counts: Counter[str] = Counter()
    for _ in range(times):
        share = of.pick()
        assert share is not None
        counts[share.key] += 1
    return counts


@pytest.mark.parametrize(
    "weights",
    [(1, 1), (1, 9), (90, 10), (1, 1, 1), (70, 30), (1, 0, 1), (0, 3, 1), (1, 99), (5, 4, 3, 2, 1), (333333, 666667)],
)
@pytest.mark.parametrize("name", ["r", "s", "t"])
def test_shares_are_right_within_one_percent(weights: tuple[int, ...], name: str):
    counts = picked(rule(*weights, name=name), 1000)
    for place, weight in enumerate(weights):
        assert abs(counts[str(place)] / 1000 - weight / sum(weights)) <= 0.01


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=16).filter(any), st.integers(0, 10**6))
@settings(max_examples=100)
def test_random_weights(weights: list[int], salt: int):
    counts = picked(rule(*weights, name=str(salt)), 1000)
    for place, weight in enumerate(weights):
        assert abs(counts[str(place)] / 1000 - weight / sum(weights)) <= 0.01
        assert weight or not counts[str(place)]


def test_every_other_request_sees_the_same_split():
    """Two kinds of requests that take turns must not each get a backend of their own."""
    alternating = rule(1, 1)
    picks = [alternating.pick() for _ in range(2000)]
    for half in (picks[::2], picks[1::2]):
        first = sum(share is not None and share.key == "0" for share in half)
        assert abs(first / len(half) - 0.5) <= 0.02


@pytest.mark.parametrize("weights", [(), (0,), (0, 0)])
def test_nowhere_to_go(weights: tuple[int, ...]):
    assert rule(*weights).pick() is None


def test_a_single_backend_takes_all():
    assert picked(rule(0, 7, 0), 10) == {"1": 10}
