"""Conditions as Kubernetes writes them (metav1.Condition), without `lastTransitionTime`: the plan reads no clock."""

from __future__ import annotations

from typing import Any, NamedTuple

Status = dict[str, Any]


class Verdict(NamedTuple):
    """Why a condition is not what its owner hopes for: a reason word of the specification and a message for people."""

    reason: str
    message: str


# The limits of metav1.Condition; a route with many bad references could exceed them.
MAX_MESSAGE = 32768


def condition(kind: str, holds: bool, reason: str, message: str, generation: int) -> Status:
    """One condition; `generation` is that of the object it describes (every condition carries it)."""
    return {
        "type": kind,
        "status": "True" if holds else "False",
        "reason": reason,
        "message": message[:MAX_MESSAGE],
        "observedGeneration": generation,
    }


def judged(kind: str, failure: Verdict | None, generation: int, message: str = "") -> Status:
    """A condition whose reason is its own type as long as nothing failed (Accepted/Accepted, Programmed/Programmed)."""
    if failure is None:
        return condition(kind, True, kind, message, generation)
    return condition(kind, False, failure.reason, failure.message, generation)


def not_served(fields: tuple[str, ...], generation: int, wrong: tuple[str, ...] = ()) -> Status:
    """Ours: names valid fields that this version does not serve, and what is `wrong` with others, so that nothing is
    ignored in silence.
    """
    message = "; ".join(("not served yet: " + ", ".join(fields), *wrong) if fields else wrong)
    return condition("gatewayd.dev/NotServed", True, "UnsupportedField", message, generation)
