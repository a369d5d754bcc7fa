"""Which routes stand at which hostname of which listener, kept up to date change by change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gatewayd.plan.cache import Change
from gatewayd.plan.routes import Routed

Place = tuple[str, str]  # (gateway "namespace/name", listener)
Hosts = dict[bytes, tuple[str, ...]]
_Ranked = tuple[tuple[str, str, str], str]  # (age and name, key): the order of the routes of one host


class _Standing(NamedTuple):
    routes: set[str]
    ranked: dict[bytes, set[_Ranked]]


class Places:
    """The routes at all listeners. The maps handed out are never changed afterwards, only replaced."""

    def __init__(self) -> None:
        self._standing: dict[Place, _Standing] = {}
        self._hosts: dict[Place, Hosts] = {}

    def hosts(self, place: Place) -> Hosts:
        """Route keys by hostname, oldest route first."""
        return self._hosts.get(place, {})

    def count(self, place: Place) -> int:
        """How many routes are attached to a listener."""
        standing = self._standing.get(place)
        return len(standing.routes) if standing is not None else 0

    def update(self, changes: Iterable[Change[Routed]]) -> None:
        """Take in the routes that changed."""
        touched: dict[Place, set[bytes]] = {}
        known = list(changes)
        for old, _ in known:
            if old is not None:
                self._stand(old, touched, there=False)
        for _, new in known:
            if new is not None:
                self._stand(new, touched, there=True)
        for place, names in touched.items():
            self._settle(place, names)

    def _stand(self, route: Routed, touched: dict[Place, set[bytes]], *, there: bool) -> None:
        key = route.item.key
        for one in route.attachments:
            place = (one.gateway, one.listener)
            standing = self._standing.setdefault(place, _Standing(set(), {}))
            (standing.routes.add if there else standing.routes.discard)(key)
            for name in one.hosts:
                host = name.encode()
                ranked = standing.ranked.setdefault(host, set())
                (ranked.add if there else ranked.discard)((route.order, key))
                touched.setdefault(place, set()).add(host)

    def _settle(self, place: Place, names: set[bytes]) -> None:
        """Replace the map of a listener where the routes of some hostnames changed."""
        ranked = self._standing[place].ranked
        old = self._hosts.get(place, {})
        fresh = {name: tuple(key for _, key in sorted(ranked[name])) for name in names}
        for name in [name for name, keys in fresh.items() if not keys]:
            del ranked[name]
        if any(old.get(name, ()) != keys for name, keys in fresh.items()):
            self._hosts[place] = {name: keys for name, keys in (old | fresh).items() if keys}
