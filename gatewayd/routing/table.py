"""The tables of one port: listener by hostname, then path (`paths`), then the predicates of each match.

The cost of a lookup does not grow with the number of routes: dict probes for the host, one for the exact path, one for
each segment of the path, and a walk only over matches with one and the same path (plus the regular expressions of a
host, which are tried one by one).
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from gatewayd.routing.hosts import HostTable
from gatewayd.routing.match import Match
from gatewayd.routing.paths import PathTable
from gatewayd.routing.pool import Pool

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import ListenerPlan, PortPlan, RoutePlan
    from gatewayd.wire.head import RequestHead

_Bucket = tuple[Match, ...]


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

    def connection(self, name: bytes) -> Match | None:
        """The match that takes a connection for this server name, b"" for none (or for plain TCP), or None. The oldest
        route of the most specific hostname is served alone (Gateway API, TLSRoute and TCPRoute).
        """
        table = self.hosts.find(name) if name else self.hosts.default
        bucket = None if table is None else table.prefix.get(b"/")
        return bucket[0] if bucket else None

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
    pool: Pool | None = None,
) -> PortTable:
    """The tables of a port. What did not change since `before` is taken over, so a change costs what it touches.
    `changed`, where it is known, holds the keys of all routes that differ from those that `before` was made of.
    `pool` has what other ports compiled.
    """
    pool = pool or Pool()
    known = {} if before is None else {table.key: table for table in before.listeners.values()}
    tables = {
        listener.hostname: _compile_listener(listener, routes, known.get(listener.key), changed, pool)
        for listener in plan.listeners
    }
    if before is not None and before.plan is plan and all(table in known.values() for table in tables.values()):
        return before
    return PortTable(plan, tables)


def _compile_listener(
    plan: ListenerPlan,
    routes: Mapping[str, RoutePlan],
    before: ListenerTable | None,
    changed: AbstractSet[str] | None,
    pool: Pool,
) -> ListenerTable:
    if before is not None and changed is not None:
        return _update_listener(before, plan, routes, changed, pool)
    compiled, different = _compile_routes(plan, routes, before, pool)
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
    before: ListenerTable, plan: ListenerPlan, routes: Mapping[str, RoutePlan], changed: AbstractSet[str], pool: Pool
) -> ListenerTable:
    """The listener with other rules in some of its routes, and other routes at some of its hostnames: only what these
    have there is compiled again.
    """
    moved = _moved(before.plan, plan)
    places = _moved_places(before, moved) if moved else before.places()
    touched = [key for key in changed if key in places]
    if not touched and before.plan is plan:
        return before
    compiled = dict(before.routes)
    for key in {key for keys in moved.values() for key in keys}.union(touched):
        if key not in places:
            compiled.pop(key, None)
        elif key in changed or key not in compiled:
            compiled[key] = pool.compile(routes[key]) if key in routes else ()
    for key in touched:
        for host in places[key]:
            moved.setdefault(host, set()).add(key)
    hosts = before.hosts.copy()
    table = ListenerTable(plan, hosts, compiled, places)
    for host, keys in moved.items():
        _settle(before, table, host, keys)
    return table


def _settle(before: ListenerTable, table: ListenerTable, host: bytes, keys: set[str]) -> None:
    """Put in place what stands at a hostname where the routes `keys` came, went or changed."""
    known, standing = before.hosts.get(host), table.plan.hosts.get(host)
    if standing is None:
        table.hosts.drop(host)
    elif known is None or 2 * len(keys) > len(standing):
        table.hosts.put(host, _path_table(host, standing, table.routes))
    else:
        old, new = before.places(), table.places()
        left = [match for key in keys if host in old.get(key, ()) for match in before.routes.get(key, ())]
        taken = [match for key in keys if host in new.get(key, ()) for match in table.routes.get(key, ())]
        table.hosts.put(host, known.changed(left, taken))


def _moved(old: ListenerPlan, new: ListenerPlan) -> dict[bytes, set[str]]:
    """The hostnames that came, went or have other routes: the routes that came or went there."""
    if old.hosts is new.hosts:
        return {}
    return {
        host: set(old.hosts.get(host, ())) ^ set(new.hosts.get(host, ()))
        for host in old.hosts.keys() | new.hosts.keys()
        if old.hosts.get(host) != new.hosts.get(host)
    }


def _moved_places(before: ListenerTable, moved: Mapping[bytes, set[str]]) -> dict[str, list[bytes]]:
    """`before.places()` after the routes `moved` came to or went from some hostnames."""
    places = dict(before.places())
    for host, keys in moved.items():
        for key in keys:
            known = places.get(key, [])
            if host not in known:
                places[key] = [*known, host]
            elif len(known) > 1:
                places[key] = [place for place in known if place != host]
            else:
                del places[key]
    return places


def _path_table(host: bytes, keys: tuple[str, ...], compiled: Mapping[str, _Bucket]) -> PathTable:
    return PathTable(host, [match for key in keys for match in compiled.get(key, ())])


def _compile_routes(
    plan: ListenerPlan, routes: Mapping[str, RoutePlan], before: ListenerTable | None, pool: Pool
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
                compiled[key] = pool.compile(route)
                different.add(key)
    return compiled, different
