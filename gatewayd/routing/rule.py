"""Rules and matches compiled for the traffic path: what a lookup returns, and the predicates it asks."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from random import random
from typing import TYPE_CHECKING, Any

import re2

from gatewayd.routing.authorization import authorizer
from gatewayd.routing.cors import CrossOrigin
from gatewayd.routing.sessions import Sessions
from gatewayd.wire.fields import BlockEdit
from gatewayd.wire.grpc import is_grpc

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import (
        Condition,
        Edit,
        Filters,
        MatchPlan,
        MirrorPlan,
        PathEdit,
        Persistence,
        Redirect,
        RoutePlan,
        RulePlan,
        SharePlan,
    )
    from gatewayd.wire.head import RequestHead

_GOLDEN = 0.6180339887498949


def regex(pattern: bytes) -> Any:
    """A user's expression, compiled by RE2: linear time, whatever it says. ValueError when RE2 does not take it."""
    options = re2.Options()
    options.log_errors = False
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        raise ValueError(said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)) from None


class Predicate:
    """One header or query condition."""

    __slots__ = ("name", "test", "text")

    def __init__(self, condition: Condition) -> None:
        self.name = condition.name
        self.text = condition.value
        self.test = regex(condition.value).fullmatch if condition.regex else condition.value.__eq__

    def holds(self, value: bytes | None) -> bool:
        """Whether the value fulfils the condition; an absent one never does."""
        return value is not None and bool(self.test(value))


class Step:
    """The filters of a rule or of a backendRef, compiled. None where a rule has no filters. `guarded`: some of them may
    answer the request before the others see it.
    """

    __slots__ = ("authorizer", "cors", "guarded", "hostname", "mirrors", "path", "redirect", "request", "response")

    redirect: Redirect | None
    hostname: bytes | None
    path: PathEdit | None

    def __init__(self, filters: Filters) -> None:
        self.request = _edit(filters.request)
        self.response = _edit(filters.response)
        self.redirect = filters.redirect
        self.hostname = filters.hostname or _host(filters.request)
        self.path = filters.path
        self.mirrors = tuple(Mirror(mirror) for mirror in filters.mirrors)
        self.cors = None if filters.cors is None else CrossOrigin(filters.cors)
        self.authorizer = None if filters.auth is None else authorizer(filters.auth)
        self.guarded = self.cors is not None or self.authorizer is not None


# Framing and connection fields are the gateway's own; Host is the authority, set as a whole.
_NOT_EDITED = frozenset(
    b"host connection content-length keep-alive te trailer transfer-encoding upgrade proxy-connection".split()
)


def _edit(edit: Edit | None) -> BlockEdit | None:
    if edit is None:
        return None
    return BlockEdit(
        tuple(pair for pair in edit.set if pair[0] not in _NOT_EDITED),
        tuple(pair for pair in edit.add if pair[0] not in _NOT_EDITED),
        tuple(name for name in edit.remove if name not in _NOT_EDITED),
    )


def _host(edit: Edit | None) -> bytes | None:
    return None if edit is None else dict(edit.set).get(b"host")


class Mirror:
    """One RequestMirror: which requests are copied, and to which backend (a key)."""

    __slots__ = ("_part", "_place", "backend")

    def __init__(self, plan: MirrorPlan) -> None:
        self.backend = plan.backend
        self._part = plan.numerator / plan.denominator
        self._place = random()  # noqa: S311  it keeps no secret

    def takes(self) -> bool:
        """Whether the next request is copied: steps of the golden ratio, as with weights."""
        self._place = place = (self._place + _GOLDEN) % 1.0
        return place < self._part


class Share:
    """One backendRef: a weight's worth of a rule's requests. `backend` is bound by whoever serves the snapshot."""

    __slots__ = ("backend", "failure", "key", "step", "weight")

    def __init__(self, plan: SharePlan) -> None:
        self.key = plan.backend
        self.weight = plan.weight
        self.failure = plan.failure
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

    def pick(self) -> Share | None:
        """The share that takes the next request, in proportion to the weights; None when all weights are zero.

        Steps of the golden ratio visit every part of the line evenly, so the split is right after a few requests
        already, and no two interleaved kinds of requests fall into step with it.
        """
        if self.single is not None:
            return self.single
        if not self._total:
            return None
        self._place = place = (self._place + _GOLDEN) % 1.0
        return self.shares[bisect_right(self._cumulated, place * self._total)]


def _sessions(route: RoutePlan, plan: RulePlan, persistence: Persistence, shares: tuple[Share, ...]) -> Sessions:
    """A rule's sessions outlive changes of the route for as long as its name is the same, or else its place."""
    named = f"name\0{plan.name}" if plan.name else f"index\0{plan.index}"
    return Sessions(f"{route.key}\0{named}".encode(), persistence, shares)


class Match:
    """One match of a rule. Ordered by `key`: the specification's precedence, within one path of one host."""

    __slots__ = (
        "always",
        "call",
        "expression",
        "grpc",
        "headers",
        "index",
        "key",
        "method",
        "path",
        "path_kind",
        "query",
        "route",
        "rule",
    )

    def __init__(self, rule: Rule, route: RoutePlan, index: int, plan: MatchPlan) -> None:
        self.rule = rule
        self.route = route
        self.index = index
        self.path_kind = plan.path_kind
        self.path = plan.path
        self.method = plan.method
        self.headers = tuple(Predicate(condition) for condition in _distinct(plan.headers))
        self.query = tuple(Predicate(condition) for condition in _distinct(plan.query))
        self.grpc = plan.grpc
        self.call = b"/" + plan.call if plan.call else b""
        self.always = plan.method is None and not self.headers and not self.query and not plan.grpc and not plan.call
        self.expression: Any = regex(plan.path) if plan.path_kind == "regex" else None
        # Gateway API, HTTPRouteRule.matches: method, headers, query, then age, name, order of rules and matches.
        # GRPCRouteRule.matches: characters of the method, headers, and the same ties. A match that asks for gRPC asks
        # for more than one that does not, so a call goes to a GRPCRoute where an HTTPRoute has the same path.
        self.key = (
            not plan.grpc,
            -len(plan.call),
            plan.method is None,
            -len(self.headers),
            -len(self.query),
            route.created or "9",
            f"{route.namespace}/{route.name}",
            rule.plan.index,
            index,
        )

    def holds(self, head: RequestHead) -> bool:
        """Whether everything but the path fits the request."""
        if self.method is not None and self.method != head.method:
            return False
        if self.grpc and not is_grpc(head.value(b"content-type")):
            return False
        if self.call and not self.calls(head.path):
            return False
        for predicate in self.headers:
            if not predicate.holds(head.value(predicate.name)):
                return False
        return not self.query or all(predicate.holds(head.parameters.get(predicate.name)) for predicate in self.query)

    def calls(self, path: bytes) -> bool:
        """Whether `path` is `/<service>/<call>` (gRPC over HTTP/2, "Path")."""
        return path.endswith(self.call) and path.count(b"/") == 2 and len(path) > len(self.call) + 1


def _distinct(conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Of conditions with equal names the first counts (Gateway API, HTTPHeaderMatch.name)."""
    found: dict[bytes, Condition] = {}
    for condition in conditions:
        found.setdefault(condition.name, condition)
    return tuple(found.values())


def compile_route(route: RoutePlan) -> tuple[Match, ...]:
    """All matches of all rules of a route, each with its Rule."""
    matches = []
    for plan in route.rules:
        rule = Rule(route, plan)
        matches += [Match(rule, route, index, match) for index, match in enumerate(plan.matches)]
    return tuple(matches)
