from __future__ import annotations

import pytest

from gatewayd.routing.explain import explain
from gatewayd.routing.snapshot import MatchPlan
from gatewayd.routing.table import PortTable
from tests.routing.plans import call, head, match, route, table


def told(ports: PortTable, request: str, *fields: str) -> list[tuple[str, str, str]]:
    """(route, outcome, step) of every candidate."""
    return [(one.match.route.name, one.outcome, one.step) for one in explain(ports, head(request, *fields)).candidates]


STEPS = [  # what the loser has, what the winner has, the step at which they are told apart
    (match("/"), match("=/p"), "kind of path (Exact goes before PathPrefix)"),
    (match("/p"), match("~/p"), "kind of path (RegularExpression goes before PathPrefix)"),
    (match("~/p"), match("=/p"), "kind of path (Exact goes before RegularExpression)"),
    (match("/"), match("/p"), "length of the path"),
    (match("~/."), match("~/p.*"), "length of the path"),
    (match("~/.", query="q=1"), match("~/p", "GET"), "method"),
    (match("/p", headers="x=1"), match("/p", "GET"), "method"),
    (match("/p", query="q=1"), match("/p", headers="x=1"), "number of headers"),
    (match("/p"), match("/p", query="q=1"), "number of query parameters"),
]
CALL_STEPS = [
    (call(), call("S", "M"), "kind of path (Exact goes before PathPrefix)"),
    (call(method="M"), call("S"), "length of the path"),
    (call(headers="x=1"), call(method="M"), "length of the method's name"),
    (call(method="M"), call(method="M", headers="x=1"), "number of headers"),
    (match("=/S/M", "POST", "x=1"), call("S", "M"), "being for gRPC"),
]


@pytest.mark.parametrize(("loser", "winner", "step"), STEPS)
def test_the_step_at_which_a_match_lost(loser: MatchPlan, winner: MatchPlan, step: str):
    ports = table(route("a", loser), route("b", winner))
    assert sorted(told(ports, "/p?q=1", "x: 1")) == [("a", "lost", step), ("b", "taken", "")]


@pytest.mark.parametrize(("loser", "winner", "step"), CALL_STEPS)
def test_the_step_at_which_a_call_was_lost(loser: MatchPlan, winner: MatchPlan, step: str):
    ports = table(route("a", loser), route("b", winner))
    found = told(ports, "POST http://h/S/M", "x: 1", "content-type: application/grpc")
    assert sorted(found) == [("a", "lost", step), ("b", "taken", "")]


def test_the_steps_of_equal_matches():
    old, young = (
        route("z", match(), created="2023-01-01T00:00:00Z"),
        route("a", match(), created="2024-01-01T00:00:00Z"),
    )
    assert told(table(young, old), "/") == [("z", "taken", ""), ("a", "lost", "age")]
    assert told(table(route("b", match()), route("a", match())), "/") == [("a", "taken", ""), ("b", "lost", "name")]
    assert told(table(route("a", match(), match())), "/") == [("a", "taken", ""), ("a", "lost", "order of rules")]
    assert told(table(route("a", [match(), match()])), "/") == [("a", "taken", ""), ("a", "lost", "order of matches")]


def test_a_less_specific_host_loses():
    ports = table(hosts={"h": [route("a", match())], "": [route("b", match("=/p"))]})
    assert told(ports, "/p") == [("a", "taken", ""), ("b", "lost", "hostname")]


def test_what_differs():
    ports = table(
        route(
            "a",
            match("/q"),
            match("/", "PUT"),
            match("/", headers="x=1 y=2"),
            match("/", headers="x=1", query="Q=1"),
        )
    )
    answer = explain(ports, head("/p?q=1", "x: 1"))
    assert answer.match is None
    assert answer.listener is not None
    assert [(one.match.rule.plan.index, one.outcome, one.step) for one in answer.candidates] == [
        (1, "differs", "method"),
        (2, "differs", "header y"),
        (3, "differs", "query parameter Q"),
        (0, "differs", "path"),
    ]


def test_no_listener_no_candidates():
    ports = table(hosts={})
    ports.listeners.default = None
    assert explain(ports, head("/")) == (None, None, ())


def test_the_asterisk_is_below_no_path():
    asked = head("/")
    asked.method, asked.path = b"OPTIONS", b"*"
    answer = explain(table(route("a", match("/"))), asked)
    assert [(one.outcome, one.step) for one in answer.candidates] == [("differs", "path")]
