"""Statuses in short, for tables: `Accepted=False/NoMatchingParent` instead of a mapping."""

from __future__ import annotations

from typing import Any


def short(conditions: list[dict[str, Any]]) -> dict[str, str]:
    """Conditions by type, each as `status/reason`."""
    return {one["type"]: f"{one['status']}/{one['reason']}" for one in conditions}


def holds(expected: str, conditions: list[dict[str, Any]]) -> bool:
    """Whether all of `Type=Status/Reason Type=Status/Reason` are there."""
    found = short(conditions)
    return all(found.get(kind) == value for kind, value in (word.split("=", 1) for word in expected.split()))


def listener(status: dict[str, Any], name: str) -> dict[str, Any]:
    """One entry of status.listeners."""
    found: dict[str, Any] = next(one for one in status["listeners"] if one["name"] == name)
    return found


def kinds(status: dict[str, Any]) -> list[str]:
    """supportedKinds, without their group."""
    return [one["kind"] for one in status["supportedKinds"]]
