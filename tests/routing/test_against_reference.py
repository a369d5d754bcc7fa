from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings

from gatewayd.routing.explain import Explanation, explain
from gatewayd.routing.snapshot import PortPlan, RoutePlan
from gatewayd.routing.table import PortTable, compile_port
from tests.routing import reference
from tests.routing.plans import winner
from tests.routing.random_plans import DICE, NAMES, a_port, a_request, changed, head_of, some_routes
from tests.routing.reference import Asked


def _won(table: PortTable, asked: Asked) -> tuple[str, int, int] | None:
    found = winner(table, head_of(asked))
    return None if found is None else (found.route.key, found.rule.plan.index, found.index)


def _expected(port: PortPlan, plans: dict[str, RoutePlan], asked: Asked) -> tuple[str, int, int] | None:
    found = reference.find(port, plans, asked)
    return None if found is None else found[1:]


def test_the_winner_is_the_specifications():
    outcomes: Counter[bool] = Counter()

    @given(DICE)
    @settings(max_examples=500)
    def holds(dice: Random) -> None:
        port, plans = a_port(dice), some_routes(dice)
        table = compile_port(port, plans)
        for _ in range(12):
            asked = a_request(dice)
            expected = _expected(port, plans, asked)
            outcomes[expected is not None] += 1
            assert _won(table, asked) == expected, (port, plans, asked)

    holds()
    assert min(outcomes[True], outcomes[False]) > 0.2 * outcomes.total()  # the tables ask for both


def _told(dice: Random, old: dict[str, RoutePlan], new: dict[str, RoutePlan]) -> set[str] | None:
    """The keys of the routes that differ, as a worker knows them; more than that, or None, must do no harm."""
    different = {key for key in old.keys() | new.keys() if old.get(key) is not new.get(key)}
    return dice.choice([None, different, different, different | {f"HTTPRoute/{dice.choice(NAMES)}", "HTTPRoute/none"}])


@given(DICE)
@settings(max_examples=300)
def test_a_changed_table_equals_a_new_one_and_leaves_the_old_one_alone(dice: Random):
    port, plans = a_port(dice), some_routes(dice)
    table = compile_port(port, plans)
    for _ in range(5):
        old = table, port, plans
        port, plans = changed(dice, port, plans)
        table = compile_port(port, plans, table, _told(dice, old[2], plans))
        new = compile_port(port, plans)
        for _ in range(6):
            asked = a_request(dice)
            assert _won(table, asked) == _won(new, asked) == _expected(port, plans, asked), (port, plans, asked)
            assert _won(old[0], asked) == _expected(*old[1:], asked), (old[1:], asked)


@given(DICE)
@settings(max_examples=200)
def test_an_explanation_tells_what_happens(dice: Random):
    port, plans = a_port(dice), some_routes(dice)
    table = compile_port(port, plans)
    for _ in range(6):
        asked = a_request(dice)
        head = head_of(asked)
        told = explain(table, head)
        found = winner(table, head)
        assert told.match is found
        taken = [candidate.match for candidate in told.candidates if candidate.outcome == "taken"]
        assert taken == ([] if found is None else [found])
        _check_candidates(told, port, plans, asked)


def _check_candidates(told: Explanation, port: PortPlan, plans: dict[str, RoutePlan], asked: Asked) -> None:
    listener = reference.listener_of(port, asked.host)
    assert (told.listener is None) == (listener is None)
    expected = 0
    for host, keys in [] if listener is None else listener.hosts.items():
        if reference.host_fits(host.decode(), asked.host):
            expected += sum(len(rule.matches) for key in keys if key in plans for rule in plans[key].rules)
    assert len(told.candidates) == expected
    reached = False
    for candidate in told.candidates:
        plan = candidate.match.rule.plan.matches[candidate.match.index]
        fits_path, fits_rest = reference.path_fits(plan, asked.path), reference.rest_fits(plan, asked)
        assert (candidate.step == "path") == (not fits_path)
        assert (candidate.outcome == "differs") == (not (fits_path and fits_rest))
        assert bool(candidate.step) == (candidate.outcome != "taken")
        assert candidate.outcome != "lost" or reached  # nothing that fits stands before the winner
        reached = reached or candidate.outcome == "taken"
