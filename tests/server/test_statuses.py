from __future__ import annotations

import copy
from typing import Any

from gatewayd.routing.snapshot import ListenerPlan, PortPlan
from gatewayd.server.listening import Unbound
from gatewayd.server.statuses import Statuses, stamped

KEY = "Gateway/shop/web"


def condition(kind: str, status: str = "True", reason: str = "") -> dict[str, Any]:
    return {"type": kind, "status": status, "reason": reason or kind, "message": "", "observedGeneration": 1}


def gateway(*listeners: str) -> dict[str, Any]:
    both = [condition("Accepted"), condition("Programmed")]
    return {
        "conditions": copy.deepcopy(both),
        "listeners": [{"name": name, "conditions": copy.deepcopy(both)} for name in listeners],
    }


def unbound(reason: str, *listeners: str) -> Unbound:
    plans = tuple(ListenerPlan(f"shop/web/{name}", "shop/web", name, "HTTP") for name in listeners)
    return Unbound(PortPlan(":80", "", 80, 80, "http", plans), reason, "cannot listen on *:80")


def states(conditions: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {item["type"]: (item["status"], item["reason"]) for item in conditions}


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    subject = Statuses()
    subject.update({KEY: gateway("http")}, (), "t1")
    changed = gateway("http", "new")
    changed["listeners"][0]["conditions"][1].update(status="False", reason="Invalid")
    changed["conditions"][0]["reason"] = "ListenersNotValid"  # a reason may change without a transition
    subject.update({KEY: changed}, (), "t2")
    first, second = subject[KEY]["listeners"]
    assert [item["lastTransitionTime"] for item in first["conditions"]] == ["t1", "t2"]
    assert [item["lastTransitionTime"] for item in second["conditions"]] == ["t2", "t2"]
    assert [item["lastTransitionTime"] for item in subject[KEY]["conditions"]] == ["t1", "t1"]
    assert subject[KEY]["conditions"][0]["reason"] == "ListenersNotValid"


def test_parents_are_told_apart_by_their_whole_reference() -> None:
    def route(*sections: str) -> dict[str, Any]:
        return {
            "parents": [
                {
                    "parentRef": {"name": "web", "sectionName": section},
                    "controllerName": "c",
                    "conditions": [condition("Accepted", "True" if section == "a" else "False")],
                }
                for section in sections
            ]
        }

    before = stamped(route("a"), None, "t1")
    after = stamped(route("b", "a"), before, "t2")
    assert [parent["conditions"][0]["lastTransitionTime"] for parent in after["parents"]] == ["t2", "t1"]


def test_what_the_plan_returns_again_is_not_made_again() -> None:
    subject, planned = Statuses(), {KEY: gateway("http"), "Gateway/shop/other": gateway("http")}
    subject.update(planned, (), "t1")
    shown = subject[KEY]
    subject.update({**planned, "Gateway/shop/other": gateway()}, (), "t2")
    assert subject[KEY] is shown
    assert "lastTransitionTime" not in planned[KEY]["conditions"][0]
    subject.update({KEY: planned[KEY]}, (), "t3")
    assert dict(subject.current) == {KEY: shown}


def test_a_port_that_cannot_be_bound_is_told_at_its_listener_only() -> None:
    subject, planned = Statuses(), {KEY: gateway("http", "other")}
    subject.update(planned, [unbound("PortUnavailable", "http")], "t1")
    first, second = subject[KEY]["listeners"]
    assert set(states(first["conditions"]).values()) == {("False", "PortUnavailable")}
    assert states(second["conditions"])["Programmed"] == ("True", "Programmed")
    assert states(subject[KEY]["conditions"])["Programmed"] == ("True", "Programmed")
    subject.update(planned, (), "t2")
    assert states(subject[KEY]["listeners"][0]["conditions"])["Programmed"] == ("True", "Programmed")
    assert subject[KEY]["listeners"][0]["conditions"][0]["lastTransitionTime"] == "t2"
    assert subject[KEY]["listeners"][1]["conditions"][0]["lastTransitionTime"] == "t1"


def test_a_gateway_without_any_listener_that_is_bound_is_not_programmed() -> None:
    subject = Statuses()
    subject.update({KEY: gateway("a", "b")}, [unbound("PortUnavailable", "a", "b")], "t1")
    assert states(subject[KEY]["conditions"]) == {"Accepted": ("True", "Accepted"), "Programmed": ("False", "Invalid")}
    subject.update({KEY: gateway("a")}, [unbound("AddressNotUsable", "a")], "t2")
    assert states(subject[KEY]["conditions"])["Programmed"] == ("False", "AddressNotUsable")
    assert "cannot listen" in subject[KEY]["conditions"][1]["message"]


def test_a_gateway_that_the_plan_says_nothing_about_is_left_alone() -> None:
    subject = Statuses()
    subject.update({}, [unbound("PortUnavailable", "http")], "t1")
    assert not subject.current
