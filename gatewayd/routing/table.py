"""The tables of one port: listener by hostname, then path, then the predicates of each match.

The cost of a lookup does not grow with the number of routes: dict probes for the host, one for the exact path, one for
each segment of the path, and a walk only over matches with one and the same path (plus the regular expressions of a
host, which are tried one by one).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from gatewayd.routing.hosts import HostTable
from gatewayd.routing.match import Match, compile_route

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import ListenerPlan, PortPlan, RoutePlan
    from gatewayd.wire.head import RequestHead

_precedence = attrgetter("key")
_Bucket = tuple[Match, ...]


class PathTable:
    """All matches of one hostname of one listener, by path. Order: exact, regular expression, longest prefix."""

    __slots__ = ("_longest", "exact", "host", "prefix", "regexes")

    def __init__(self, host: bytes, matches: Iterable[Match]) -> None:
        self.host = host
        exact: dict[bytes, list[Match]] = {}
        prefix: dict[bytes, list[Match]] = {}
        regexes: list[Match] = []
        for match in matches:
            if match.path_kind == "exact":
                exact.setdefault(match.path, []).append(match)
            elif match.path_kind == "prefix":
                prefix.setdefault(match.path, []).append(match)
            else:
                regexes.append(match)
        self.exact = {path: _sorted(bucket) for path, bucket in exact.items()}
        self.prefix = {path: _sorted(bucket) for path, bucket in prefix.items()}
        # Longer expressions first: the nearest thing to "more specific" that an expression has.
        self.regexes = tuple(sorted(_sorted(regexes), key=lambda match: -len(match.path)))
        self._longest = max(map(len, prefix), default=0)

    def find(self, head: RequestHead) -> Match | None:
        """The match that takes the request, or None."""
        path = head.path
        bucket = self.exact.get(path)
        if bucket is not None:
            for match in bucket:
                if match.always or match.holds(head):
                    return match
        for match in self.regexes:
            if match.expression.fullmatch(path) and match.holds(head):
                return match
        return self._find_prefix(path, head)

    def _find_prefix(self, path: bytes, head: RequestHead) -> Match | None:
        prefix = self.prefix
        if len(path) > self._longest:  # bounds the walk by what is configured, not by what a client sends
            path = path[: path.rfind(b"/", 0, self._longest + 1)] or b"/"
        while True:
            bucket = prefix.get(path)
            if bucket is not None:
                for match in bucket:
                    if match.always or match.holds(head):
                        return match
            cut = path.rfind(b"/")
            if cut > 0:
                path = path[:cut]
            elif path != b"/" and cut == 0:
                path = b"/"
            else:
                return None

    def buckets(self, path: bytes) -> Iterable[_Bucket]:
        """The buckets whose path fits, in the order in which `find` tries them (for explain)."""
        if path in self.exact:
            yield self.exact[path]
        yield tuple(match for match in self.regexes if match.expression.fullmatch(path))
        while path[:1] == b"/":  # the asterisk of OPTIONS is below no prefix
            if path in self.prefix:
                yield self.prefix[path]
            path = b"" if path == b"/" else path[: path.rfind(b"/")] or b"/"


def _sorted(bucket: list[Match]) -> _Bucket:
    return tuple(sorted(bucket, key=_precedence))


class ListenerTable:
    """The hostnames served by one listener."""

    __slots__ = ("_places", "hosts", "key", "label", "plan", "routes", "settings")

    settings: Any  # bound, with the rules' counters and backends, by whoever serves the snapshot

    def __init__(
        self,
        plan: ListenerPlan,
        hosts: HostTable[PathTable],
        routes: dict[str, _Bucket],
        places: dict[str, list[bytes]] | None = None,
    ) -> None:
        self.plan = plan
        self.key = plan.key
        self.label = f'"listener":"{plan.key}",'.encode()
        self.hosts = hosts
        self.routes = routes
        self._places = places

    def places(self) -> dict[str, list[bytes]]:
        """The hostnames with which each route is attached; made when a change asks for it first."""
        if self._places is None:
            self._places = {}
            for host, keys in self.plan.hosts.items():
                for key in keys:
                    self._places.setdefault(key, []).append(host)
        return self._places

    def find(self, head: RequestHead) -> Match | None:
        """The match that takes the request: of the most specific hostname that has one
        (precedence: hostname before path), or None.
        """
        table = self.hosts.exact.get(head.host)
        if table is not None and (match := table.find(head)) is not None:
            return match
        if self.hosts.wildcard:
            for table in self.hosts.each(head.host):
                if (match := table.find(head)) is not None:
                    return match
            return None
        return None if self.hosts.default is None else self.hosts.default.find(head)


class PortTable:
    """The listeners that share one socket address, by hostname. The most specific listener alone is asked
    (listener isolation, Gateway API "Listener.hostname").
    """

    __slots__ = ("listeners", "plan")

    def __init__(self, plan: PortPlan, tables: Mapping[bytes, ListenerTable]) -> None:
        self.plan = plan
        self.listeners = HostTable(tables)

    def listener(self, host: bytes) -> ListenerTable | None:
        """The listener that owns this hostname, or None."""
        return self.listeners.find(host)


def compile_port(
    plan: PortPlan,
    routes: Mapping[str, RoutePlan],
    before: PortTable | None = None,
    changed: AbstractSet[str] | None = None,
) -> PortTable:
    """The tables of a port. What did not change since `before` is taken over, so a change costs what it touches.
    `changed`, where it is known, holds the keys of all routes that differ from those that `before` was made of.
    """
    known = {} if before is None else {table.key: table for table in before.listeners.values()}
    tables = {
        listener.hostname: _compile_listener(listener, routes, known.get(listener.key), changed)
        for listener in plan.listeners
    }
    if before is not None and before.plan is plan and all(table in known.values() for table in tables.values()):
        return before
    return PortTable(plan, tables)


def _compile_listener(
    plan: ListenerPlan, routes: Mapping[str, RoutePlan], before: ListenerTable | None, changed: AbstractSet[str] | None
) -> ListenerTable:
    if before is not None and changed is not None:
        return _update_listener(before, plan, routes, changed)
    compiled, different = _compile_routes(plan, routes, before)
    if before is not None and not different and before.plan is plan:
        return before
    tables = {}
    for host, keys in plan.hosts.items():
        known = None if before is None else before.hosts.get(host)
        same = known is not None and before is not None and before.plan.hosts.get(host) == keys
        if known is not None and same and different.isdisjoint(keys):
            tables[host] = known
        else:
            tables[host] = _path_table(host, keys, compiled)
    return ListenerTable(plan, HostTable(tables), compiled)


def _update_listener(
    before: ListenerTable, plan: ListenerPlan, routes: Mapping[str, RoutePlan], changed: AbstractSet[str]
) -> ListenerTable:
    """The listener with other rules in some of its routes, and other routes at some of its hostnames: only these
    hostnames are compiled again.
    """
    moved = _moved(before.plan, plan)
    places = _moved_places(before, plan, moved) if moved else before.places()
    touched = [key for key in changed if key in places]
    if not touched and before.plan is plan:
        return before
    compiled = dict(before.routes)
    for key in (key for host in moved for key in before.plan.hosts.get(host, ()) if key not in places):
        compiled.pop(key, None)
    attached = [key for host in moved for key in plan.hosts.get(host, ()) if key not in compiled]
    for key in (*touched, *attached):
        compiled[key] = compile_route(routes[key]) if key in routes else ()
    hosts = before.hosts.copy()
    for host in moved.union(*(places[key] for key in touched)):
        if host in plan.hosts:
            hosts.put(host, _path_table(host, plan.hosts[host], compiled))
        else:
            hosts.drop(host)
    return ListenerTable(plan, hosts, compiled, places)


def _moved(old: ListenerPlan, new: ListenerPlan) -> set[bytes]:
    """The hostnames that came, went or have other routes."""
    if old.hosts is new.hosts:
        return set()
    return {host for host in old.hosts.keys() | new.hosts.keys() if old.hosts.get(host) != new.hosts.get(host)}


def _moved_places(before: ListenerTable, plan: ListenerPlan, moved: set[bytes]) -> dict[str, list[bytes]]:
    """`before.places()` as they are by `plan`, which differs at the hostnames `moved`."""
    places = dict(before.places())
    for host in moved:
        for key in before.plan.hosts.get(host, ()):
            left = [place for place in places[key] if place != host]
            if left:
                places[key] = left
            else:
                del places[key]
        for key in plan.hosts.get(host, ()):
            places[key] = [*places.get(key, ()), host]
    return places


def _path_table(host: bytes, keys: tuple[str, ...], compiled: Mapping[str, _Bucket]) -> PathTable:
    return PathTable(host, [match for key in keys for match in compiled.get(key, ())])


def _compile_routes(
    plan: ListenerPlan, routes: Mapping[str, RoutePlan], before: ListenerTable | None
) -> tuple[dict[str, _Bucket], set[str]]:
    """(matches by route key, the keys whose matches are not those of `before`)."""
    compiled: dict[str, _Bucket] = {}
    different = set()
    known = {} if before is None else before.routes
    for keys in plan.hosts.values():
        for key in keys:
            route = routes.get(key)
            if key in compiled:
                continue
            if route is None:
                different.add(key)
                continue
            old = known.get(key)
            if old and old[0].route is route:
                compiled[key] = old
            else:
                compiled[key] = compile_route(route)
                different.add(key)
    return compiled, different
