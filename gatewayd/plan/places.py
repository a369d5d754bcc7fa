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
        """Take in the routes that changed. Many that ask the same go the same way, and are moved together."""
        touched: dict[Place, set[bytes]] = {}
        ways: dict[tuple[int, ...], _Way] = {}
        for change in changes:
            before, after, renamed = _ends(change)
            key = (id(before), id(after), id(change) if renamed else 0)
            (ways.get(key) or ways.setdefault(key, _way(before, after, renamed))).changes.append(change)
        for way in ways.values():
            self._stand([one.old for one in way.changes], way.left, touched, there=False)
        for way in ways.values():
            self._stand([one.new for one in way.changes], way.taken, touched, there=True)
        for place, names in touched.items():
            self._settle(place, names)

    def _stand(
        self,
        routes: Iterable[Routed | None],
        attachments: Collection[Attachment],
        touched: dict[Place, set[bytes]],
        *,
        there: bool,
    ) -> None:
        if not attachments:
            return
        keys = {one.compiled.order: one.compiled.plan.key for one in routes if one is not None}
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
    """What is left and what is taken by the routes of these changes."""

    left: list[Attachment]
    taken: list[Attachment]
    changes: list[Change[Routed]]


_Ends = tuple[Attachment, ...]


def _ends(change: Change[Routed]) -> tuple[_Ends, _Ends, bool]:
    """Where the route stood, where it stands now, and whether its place in the order of routes is another."""
    old, new = change
    before, after = old.attachments if old is not None else (), new.attachments if new is not None else ()
    return before, after, old is not None and new is not None and old.compiled.order != new.compiled.order


def _way(before: _Ends, after: _Ends, renamed: bool) -> _Way:
    if renamed:
        return _Way([*before], [*after], [])
    return _Way([one for one in before if one not in after], [one for one in after if one not in before], [])
