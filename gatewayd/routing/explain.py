"""Why a request goes where it goes: the walk of a lookup, over the very tables that serve the traffic.

`explain` asks the same `PathTable`s and the same predicates as `ListenerTable.find`, and takes the winner from `find`
itself; what it adds are the candidates that lost, and the step at which each did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatewayd.routing.match import Match
    from gatewayd.routing.paths import PathTable
    from gatewayd.routing.table import ListenerTable, PortTable
    from gatewayd.wire.head import RequestHead

# The steps of the precedence that follow hostname and path, in the order of `Match.key`.
_STEPS = (
    "being for gRPC",
    "length of the method's name",
    "method",
    "number of headers",
    "number of query parameters",
    "age",
    "name",
    "order of rules",
    "order of matches",
)
_KINDS = {"exact": "Exact", "regex": "RegularExpression", "prefix": "PathPrefix"}


class Candidate(NamedTuple):
    """One match that was looked at. `outcome` is "taken", "lost" (it fits, but another goes before it) or "differs";
    `step` says at what: "path", "method", "header x-a", "query parameter q", or a step of the precedence.
    """

    host: bytes
    match: Match
    outcome: str
    step: str


class Explanation(NamedTuple):
    """The listener that owns the host (or None), the match that takes the request (or None), and all candidates in
    the order of precedence: those whose path fits first, then those whose path differs.
    """

    listener: ListenerTable | None
    match: Match | None
    candidates: tuple[Candidate, ...]


def explain(port: PortTable, head: RequestHead) -> Explanation:
    """Follow one request through the tables of a port. Says nothing of filters and backends: they are the rule's."""
    listener = port.listener(head.host)
    if listener is None:
        return Explanation(None, None, ())
    match = listener.find(head)
    winner = next(((table, match) for table in listener.hosts.each(head.host) if match in _all(table)), None)
    candidates = tuple(_candidates(listener, head, winner))
    return Explanation(listener, match, candidates)


def explain_connection(port: PortTable, name: bytes) -> Explanation:
    """Follow one connection for a server name. The candidates are the rules whose hostname fits."""
    listener = port.listener(name)
    if listener is None:
        return Explanation(None, None, ())
    match = listener.connection(name)
    tables = list(listener.hosts.each(name))
    candidates = [
        Candidate(table.host, other, *_judge_connection(tables[0], match, table, other))
        for table in tables
        for other in table.prefix.get(b"/", ())
    ]
    return Explanation(listener, match, tuple(candidates))


def _judge_connection(winning: PathTable, winner: Match | None, table: PathTable, match: Match) -> tuple[str, str]:
    if winner is None or (table is winning and match is winner):
        return "taken", ""
    return "lost", _step(winning, winner, table, match)


def _candidates(
    listener: ListenerTable, head: RequestHead, winner: tuple[PathTable, Match | None] | None
) -> Iterator[Candidate]:
    tables = list(listener.hosts.each(head.host))
    for table in tables:
        for bucket in table.buckets(head.path):
            for match in bucket:
                yield Candidate(table.host, match, *_judge(table, match, head, winner))
    for table in tables:
        fitting = {id(match) for bucket in table.buckets(head.path) for match in bucket}
        for match in _all(table):
            if id(match) not in fitting:
                yield Candidate(table.host, match, "differs", "path")


def _judge(
    table: PathTable, match: Match, head: RequestHead, winner: tuple[PathTable, Match | None] | None
) -> tuple[str, str]:
    if winner is not None and match is winner[1] and table is winner[0]:
        return "taken", ""
    if match.call and not match.calls(head.path):
        return "differs", "path"
    if match.method is not None and match.method != head.method:
        return "differs", "method"
    if match.grpc and not head.call:
        return "differs", "content-type (no gRPC)"
    for predicate in match.headers:
        if not predicate.holds(head.value(predicate.name)):
            return "differs", f"header {predicate.name.decode()}"
    for predicate in match.query:
        if not predicate.holds(head.parameters.get(predicate.name)):
            return "differs", f"query parameter {predicate.name.decode()}"
    return "lost", "" if winner is None or winner[1] is None else _step(winner[0], winner[1], table, match)


def _step(winner_table: PathTable, winner: Match, table: PathTable, match: Match) -> str:
    """The first step of the precedence at which two matches that both fit are told apart."""
    if winner_table is not table:
        return "hostname"
    if winner.path_kind != match.path_kind:
        return f"kind of path ({_KINDS[winner.path_kind]} goes before {_KINDS[match.path_kind]})"
    if len(winner.path) != len(match.path):
        return "length of the path"
    return next(
        (name for name, one, other in zip(_STEPS, winner.key, match.key, strict=True) if one != other), _STEPS[-1]
    )


def _all(table: PathTable) -> list[Match]:
    buckets = [*table.exact.values(), table.regexes, *table.prefix.values()]
    return [match for bucket in buckets for match in bucket]
