from __future__ import annotations

import os
from pathlib import Path

import orjson

from gatewayd.api.problem import Problem
from gatewayd.observe.log import Log
from gatewayd.routing.snapshot import ListenerPlan, PortPlan, Snapshot
from gatewayd.server.listening import Unbound
from gatewayd.server.reload import ProblemLog, Wish, problems_of, servable


def lines(path: Path) -> list[tuple[str, str]]:
    return [(line["level"], line["message"]) for line in map(orjson.loads, path.read_text().splitlines())]


def test_problems_are_told_when_they_come_and_when_they_go(tmp_path: Path) -> None:
    path = tmp_path / "log"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    subject = ProblemLog(Log(descriptor))
    one = Problem("a.yaml", 3, "HTTPRoute shop/cart", "spec.rules[0]", "is wrong", "write it right")
    moved = Problem("a.yaml", 7, "HTTPRoute shop/cart", "spec.rules[0]", "is wrong", "write it right")
    other = Problem("b.yaml", 1, "", "", "is odd", severity="warning")
    subject.update([one])
    assert (
        orjson.loads(path.read_text()).items()
        >= {
            "file": "a.yaml",
            "line": 3,
            "object": "HTTPRoute shop/cart",
            "field": "spec.rules[0]",
            "hint": "write it right",
        }.items()
    )
    subject.update([moved, other])
    assert (subject.count("error"), subject.count("warning")) == (1, 1)
    assert subject.current == [moved, other]
    subject.update([other])
    subject.update([])
    os.close(descriptor)
    assert lines(path) == [
        ("error", "is wrong"),
        ("warning", "is odd"),
        ("info", "fixed: is wrong"),
        ("info", "fixed: is odd"),
    ]


def test_wishes_add_up() -> None:
    one, two, every = Wish(frozenset({"a"})), Wish(frozenset({"b"}), forced=True), Wish()
    assert one | two == Wish(frozenset({"a", "b"}), forced=True)
    assert one | every == every | one == every


def port(key: str, *listeners: str) -> PortPlan:
    plans = tuple(
        ListenerPlan(f"shop/web/{name}", "shop/web", name, "HTTP", source=f"conf/web.yaml:{line}")
        for line, name in enumerate(listeners, 5)
    )
    return PortPlan(key, "", 80, 80, "http", plans)


def test_a_port_that_cannot_be_bound_is_left_out() -> None:
    good, bad = port(":81"), port(":80", "http", "other")
    snapshot = Snapshot(3, ports={":80": bad, ":81": good})
    failure = Unbound(bad, "PortUnavailable", "cannot listen", "stop it")
    served = servable(snapshot, [failure], 7)
    assert served == Snapshot(7, ports={":81": good})
    assert servable(snapshot, [], 7).ports is snapshot.ports
    assert [str(problem) for problem in problems_of([failure])] == [
        "conf/web.yaml:5: Gateway shop/web: spec.listeners[http].port: cannot listen; stop it",
        "conf/web.yaml:6: Gateway shop/web: spec.listeners[other].port: cannot listen; stop it",
    ]
