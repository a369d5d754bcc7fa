"""Statuses between plan and reader: transition times, and what binding found out that the plan could not know."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from gatewayd.server.listening import Unbound

Status = dict[str, Any]
_SECTIONS = ("listeners", "parents", "ancestors")  # lists of what has conditions of its own


class Statuses:
    """The statuses of the plan in force, by object key, each condition with its lastTransitionTime.

    The plan returns the same dictionary for an object whose status did not change; so identity tells what is new, and
    a change of one object in ten thousand costs the one.
    """

    def __init__(self) -> None:
        self._planned: Mapping[str, Status] = {}
        self._current: dict[str, Status] = {}

    def __getitem__(self, key: str) -> Status:
        return self._current[key]

    @property
    def current(self) -> Mapping[str, Status]:
        """All statuses, ready to be shown."""
        return self._current

    def update(self, planned: Mapping[str, Status], unbound: Iterable[Unbound], moment: str) -> None:
        """Take the statuses of a new plan. `moment` (RFC 3339) is the time of transitions that happen now."""
        patched = with_unbound(planned, unbound)
        before, known = self._current, self._planned
        self._current = {
            key: before[key] if known.get(key) is status and key in before else stamped(status, before.get(key), moment)
            for key, status in patched.items()
        }
        self._planned = patched


def stamped(status: Status, before: Status | None, moment: str) -> Status:
    """A copy of `status` with lastTransitionTime in every condition: the old one while the condition's status is the
    same as in `before` (KEP-1623), else `moment`.
    """
    result = _dated(status, moment)
    if before is None:
        return result
    times = {place: (old["status"], old["lastTransitionTime"]) for place, old in _conditions(before)}
    for place, condition in _conditions(result):
        value, time = times.get(place, ("", moment))
        if value == condition["status"]:
            condition["lastTransitionTime"] = time
    return result


def _dated(status: Status, moment: str) -> Status:
    """`status` with conditions of its own, which begin at `moment`; the rest is shared with it."""
    result = dict(status)
    for section in _SECTIONS:
        if section in status:
            result[section] = [_dated(member, moment) for member in status[section] or ()]
    if "conditions" in status:
        result["conditions"] = [{**one, "lastTransitionTime": moment} for one in status["conditions"] or ()]
    return result


def _conditions(status: Status) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every condition of a status with its place: the section and its member (listener or parent), and the type."""
    found: list[tuple[tuple[str, ...], dict[str, Any]]]
    found = [(("", "", item["type"]), item) for item in status.get("conditions") or ()]
    for section in _SECTIONS:
        for member in status.get(section) or ():
            name = _identity(member)
            found += [((section, name, item["type"]), item) for item in member.get("conditions") or ()]
    return found


def _identity(member: dict[str, Any]) -> str:
    reference = member.get("parentRef") or member.get("ancestorRef") or {}
    return repr((member.get("name"), sorted(reference.items(), key=str), member.get("controllerName")))


def with_unbound(planned: Mapping[str, Status], unbound: Iterable[Unbound]) -> Mapping[str, Status]:
    """`planned` with the listeners of ports that cannot be bound marked so; other statuses stay the same objects."""
    patched = dict(planned)
    touched: set[str] = set()
    for failure in unbound:
        for listener in failure.port.listeners:
            owner = f"Gateway/{listener.gateway}"
            if owner not in patched:
                continue
            if owner not in touched:
                patched[owner] = copy.deepcopy(patched[owner])
                touched.add(owner)
            _mark_listener(patched[owner], listener.name, failure)
    for owner in touched:
        _mark_gateway(patched[owner])
    return patched


def _mark_listener(status: Status, name: str, failure: Unbound) -> None:
    for listener in status.get("listeners") or ():
        if listener.get("name") == name:
            for condition in listener.get("conditions") or ():
                if condition["type"] in ("Accepted", "Programmed"):
                    condition.update(status="False", reason=failure.reason, message=failure.message)


def _mark_gateway(status: Status) -> None:
    """A Gateway none of whose listeners is programmed is not programmed itself."""
    states = [
        condition
        for listener in status.get("listeners") or ()
        for condition in listener.get("conditions") or ()
        if condition["type"] == "Programmed"
    ]
    if any(state["status"] == "True" for state in states):
        return
    unusable = [state for state in states if state["reason"] == "AddressNotUsable"]
    for condition in status.get("conditions") or ():
        if condition["type"] == "Programmed":
            condition.update(
                status="False",
                reason="AddressNotUsable" if unusable else "Invalid",
                message=states[0]["message"] if states else condition.get("message", ""),
            )
