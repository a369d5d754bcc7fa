"""Which routes stand at which hostname of which listener, kept up to date change by change."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from gatewayd.plan.attach import Attachment
from gatewayd.plan.cache import Change
from gatewayd.plan.routes import Move, Routed

Place = tuple[str, str]  # (gateway "namespace/name", listener)
Hosts = dict[bytes, tuple[str, ...]]


class _Standing(NamedTuple):
    """What stands at a listener: keys of routes, and for each hostname the keys by their order."""

    routes: set[str]
    ranked: dict[bytes, dict[str, str]]


class Places:
    """The routes at all listeners. The maps handed out are never changed afterwards, only replaced."""

    def __init__(self) -> None:
        self._standing: dict[Place, _Standing] = {}
        self._hosts: dict[Place, Hosts] = {}

    def hosts(self, place: Place) -> Hosts:
        """Route keys by hostname, oldest route first."""
        return self._hosts.get(place, {})

    def routes(self, place: Place) -> Collection[str]:
        """The keys of the routes that are attached to a listener."""
        standing = self._standing.get(place)
        return standing.routes if standing is not None else ()

    def update(self, changes: Iterable[Change[Routed]], moves: Iterable[Move] = ()) -> None:
        """Take in the routes that changed, and those that moved together."""
        touched: dict[Place, set[bytes]] = {}
        ways = [*map(_way, changes), *map(_way_together, moves)]
        for way in ways:
            self._stand(way.old, way.left, touched, there=False)
        for way in ways:
            self._stand(way.new, way.taken, touched, there=True)
        for place, names in touched.items():
            self._settle(place, names)

    def _stand(
        self,
        keys: dict[str, str],
        attachments: Iterable[Attachment],
        touched: dict[Place, set[bytes]],
        *,
        there: bool,
    ) -> None:
        for one in attachments:
            place = (one.gateway, one.listener)
            standing = self._standing.get(place) or self._standing.setdefault(place, _Standing(set(), {}))
            (standing.routes.update if there else standing.routes.difference_update)(keys.values())
            names = touched.setdefault(place, set())
            for name in one.hosts:
                host = name.encode()
                ranked = standing.ranked.setdefault(host, {})
                if there:
                    ranked.update(keys)
                else:
                    for order in keys:
                        del ranked[order]
                names.add(host)

    def _settle(self, place: Place, names: set[bytes]) -> None:
        """Replace the map of a listener where the routes of some hostnames changed."""
        ranked = self._standing[place].ranked
        old = self._hosts.get(place, {})
        fresh = {name: tuple([ranked[name][order] for order in sorted(ranked[name])]) for name in names}
        for name in [name for name, keys in fresh.items() if not keys]:
            del ranked[name]
        if any(old.get(name, ()) != keys for name, keys in fresh.items()):
            self._hosts[place] = {name: keys for name, keys in (old | fresh).items() if keys}


class _Way(NamedTuple):
    """What is left by the `old` routes and what is taken by the `new` ones, which are keys by order."""

    old: dict[str, str]
    left: Iterable[Attachment]
    new: dict[str, str]
    taken: Iterable[Attachment]


def _way(change: Change[Routed]) -> _Way:
    old, new = change
    before, after = old.attachments if old is not None else (), new.attachments if new is not None else ()
    if old is not None and new is not None and old.compiled.order == new.compiled.order:
        return _between(_ordered(old), before, after)
    return _Way(_ordered(old), before, _ordered(new), after)


def _way_together(move: Move) -> _Way:
    return _between(move.routes, move.before, move.after)


def _between(routes: dict[str, str], before: _Some, after: _Some) -> _Way:
    left = [one for one in before if one not in after]
    return _Way(routes, left, routes, [one for one in after if one not in before])


def _ordered(route: Routed | None) -> dict[str, str]:
    return {} if route is None else {route.compiled.order: route.compiled.plan.key}


_Some = tuple[Attachment, ...]
