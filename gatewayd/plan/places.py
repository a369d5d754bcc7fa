"""Which routes stand at which hostname of which listener, kept up to date change by change."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from gatewayd.plan.attach import Attachment
from gatewayd.plan.cache import Change
from gatewayd.plan.routes import Routed

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

    def update(self, changes: Iterable[Change[Routed]]) -> None:
        """Take in the routes that changed."""
        touched: dict[Place, set[bytes]] = {}
        known: _Moves = {}
        moved = [(change, *_moves(change, known)) for change in changes]
        for (old, _), left, _ in moved:
            if old is not None and left:
                self._stand(old, left, touched, there=False)
        for (_, new), _, taken in moved:
            if new is not None and taken:
                self._stand(new, taken, touched, there=True)
        for place, names in touched.items():
            self._settle(place, names)

    def _stand(
        self, route: Routed, attachments: Iterable[Attachment], touched: dict[Place, set[bytes]], *, there: bool
    ) -> None:
        key, order = route.key, route.compiled.order
        for one in attachments:
            place = (one.gateway, one.listener)
            standing = self._standing.get(place) or self._standing.setdefault(place, _Standing(set(), {}))
            (standing.routes.add if there else standing.routes.discard)(key)
            names = touched.setdefault(place, set())
            for name in one.hosts:
                host = name.encode()
                ranked = standing.ranked.get(host)
                if ranked is None:
                    ranked = standing.ranked[host] = {}
                if there:
                    ranked[order] = key
                else:
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


_Some = Iterable[Attachment]
_Moves = dict[tuple[int, int], tuple[_Some, _Some]]
"""What is left and what is taken, by the identities of the attachments before and after, which many routes share."""


def _moves(change: Change[Routed], known: _Moves) -> tuple[_Some, _Some]:
    """Where the route stands no more, and where it stands now and did not."""
    old, new = change
    before, after = old.attachments if old is not None else (), new.attachments if new is not None else ()
    if old is None or new is None or old.compiled.order != new.compiled.order:
        return before, after
    way = (id(before), id(after))
    found = known.get(way)
    if found is None:
        left = [one for one in before if one not in after]
        found = known[way] = (left, [one for one in after if one not in before])
    return found
