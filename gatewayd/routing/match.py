"""Matches compiled for the traffic path: what a lookup returns, and the predicates it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import re2

from gatewayd.routing.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.routing.snapshot import Condition, MatchPlan, RoutePlan
    from gatewayd.wire.head import RequestHead


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

    def of(self, rule: Rule) -> Match:
        """The same match with the rule of another listener. Written out: a loop would cost three times as much."""
        made = Match.__new__(Match)
        made.rule = rule
        made.always = self.always
        made.call = self.call
        made.expression = self.expression
        made.grpc = self.grpc
        made.headers = self.headers
        made.index = self.index
        made.key = self.key
        made.method = self.method
        made.path = self.path
        made.path_kind = self.path_kind
        made.query = self.query
        made.route = self.route
        return made

    def holds(self, head: RequestHead) -> bool:
        """Whether everything but the path fits the request."""
        if self.method is not None and self.method != head.method:
            return False
        if self.grpc and not head.call:
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


def elsewhere(matches: Iterable[Match]) -> tuple[Match, ...]:
    """The matches of a route on one listener, for another listener: a fraction of the cost of compiling them again."""
    rules: dict[Rule, Rule] = {}
    made = []
    for match in matches:
        rule = rules.get(match.rule) or rules.setdefault(match.rule, match.rule.elsewhere())
        made.append(match.of(rule))
    return tuple(made)
