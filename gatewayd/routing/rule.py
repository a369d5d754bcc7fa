"""Rules compiled for the traffic path, and the shares of their backends."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from gatewayd.routing.sessions import Sessions
from gatewayd.routing.step import GOLDEN, Step

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import Persistence, RoutePlan, RulePlan, SharePlan


class Share:
    """One backendRef: a weight's worth of a rule's requests. `backend` is bound by whoever serves the snapshot."""

    __slots__ = ("backend", "clear_failure", "failure", "key", "step", "weight")

    def __init__(self, plan: SharePlan) -> None:
        self.key = plan.backend
        self.weight = plan.weight
        self.failure = plan.failure
        self.clear_failure = plan.clear_failure
        self.step = None if plan.filters is None else Step(plan.filters)
        self.backend: Any = None


class Rule:
    """One rule of a route on one listener. `counters` is bound by whoever serves the snapshot. `bounded`: its exchanges
    have limits of time or attempts of their own.
    """

    __slots__ = (
        "_cumulated",
        "_place",
        "_total",
        "bounded",
        "counters",
        "label",
        "name",
        "plan",
        "refusal",
        "route",
        "sessions",
        "shares",
        "single",
        "step",
    )

    def __init__(self, route: RoutePlan, plan: RulePlan) -> None:
        self.plan = plan
        self.route = route.key
        self.name = plan.name or str(plan.index)
        self.label = f'"route":"{route.key}","rule":"{self.name}"'.encode()
        self.refusal = plan.refusal
        self.bounded = plan.timeouts is not None or plan.retry is not None
        self.step = None if plan.filters is None else Step(plan.filters)
        self.shares = tuple(Share(share) for share in plan.shares)
        self.sessions = None if plan.persistence is None else _sessions(route, plan, plan.persistence, self.shares)
        live = [share for share in self.shares if share.weight > 0]
        self.single = live[0] if len(live) == 1 else None
        self._cumulated = tuple(accumulate(share.weight for share in self.shares))
        self._total = self._cumulated[-1] if self._cumulated else 0
        self._place = hash(route.key) % 997 / 997
        self.counters: Any = None

    def elsewhere(self) -> Rule:
        """The same rule on another listener. They share everything but the counters. Written out, as `Match.of`."""
        made = Rule.__new__(Rule)
        made._cumulated = self._cumulated  # noqa: SLF001 - a Rule as this one
        made._place = self._place  # noqa: SLF001 - a Rule as this one
        made._total = self._total  # noqa: SLF001 - a Rule as this one
        made.bounded = self.bounded
        made.label = self.label
        made.name = self.name
        made.plan = self.plan
        made.refusal = self.refusal
        made.route = self.route
        made.sessions = self.sessions
        made.shares = self.shares
        made.single = self.single
        made.step = self.step
        made.counters = None
        return made

    def pick(self) -> Share | None:
        """The share that takes the next request, in proportion to the weights; None when all weights are zero.

        Steps of the golden ratio visit every part of the line evenly, so the split is right after a few requests
        already, and no two interleaved kinds of requests fall into step with it.
        """
        if self.single is not None:
            return self.single
        if not self._total:
            return None
        self._place = place = (self._place + GOLDEN) % 1.0
        return self.shares[bisect_right(self._cumulated, place * self._total)]


def _sessions(route: RoutePlan, plan: RulePlan, persistence: Persistence, shares: tuple[Share, ...]) -> Sessions:
    """A rule's sessions outlive changes of the route for as long as its name is the same, or else its place."""
    named = f"name\0{plan.name}" if plan.name else f"index\0{plan.index}"
    return Sessions(f"{route.key}\0{named}".encode(), persistence, shares)
