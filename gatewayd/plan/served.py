"""The routes that stand on a listener that is served, and the backends that they use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatewayd.plan.attach import Attachment
from gatewayd.plan.backends import Backend
from gatewayd.plan.cache import Change
from gatewayd.plan.places import Place, Places
from gatewayd.plan.routes import Move, Routed
from gatewayd.routing.snapshot import RoutePlan


class Served:
    """Kept up to date change by change. `came` and `went` are the backends that the last update brought and took."""

    def __init__(self) -> None:
        self.came: set[Backend] = set()
        self.went: set[Backend] = set()
        self._listeners: frozenset[Place] = frozenset()
        self._backends: dict[str, tuple[Backend, ...]] = {}  # of the routes that count, by key
        self._plans: dict[str, RoutePlan] = {}
        self._uses: dict[Backend, int] = {}
        self._known: dict[int, bool] = {}  # of one update, by the identity of attachments

    @property
    def plans(self) -> dict[str, RoutePlan]:
        """The plans of the routes, by key; a copy."""
        return dict(self._plans)

    def update(
        self,
        listeners: frozenset[Place],
        changes: Iterable[Change[Routed]],
        moves: Iterable[Move],
        places: Places,
        routed: Mapping[str, Routed],
    ) -> None:
        """Take in the routes that changed, those that moved together, and those at `places` that are served now and
        were not, or the reverse.
        """
        self.came, self.went = set(), set()
        moved, self._listeners = listeners ^ self._listeners, listeners
        self._known = {}
        turned = {one.compiled.plan.key: new for old, new in changes if (one := old or new) is not None}
        for move in moves:
            any_of_them = next(iter(move.routes.values()), None)
            if any_of_them is not None and (any_of_them in self._plans) != self._counts(move.after):
                turned |= {key: routed[key] for key in move.routes.values()}
        for place in moved:
            keys = set(places.routes(place)) - turned.keys()
            if place in listeners:
                keys -= self._plans.keys()  # what is served already stays so
            turned |= {key: routed[key] for key in keys}
        for key, route in turned.items():
            self._turn(key, route)

    def _turn(self, key: str, route: Routed | None) -> None:
        """One route as it is now."""
        before = self._backends.get(key)
        if route is None or not self._counts(route.attachments):
            if before is not None:
                del self._backends[key], self._plans[key]
                self._drop(before)
            return
        backends = self._backends[key] = route.compiled.backends
        self._plans[key] = route.compiled.plan
        if before is None:
            self._add(backends)
        elif before is not backends:
            self._add(backends)
            self._drop(before)

    def _counts(self, attachments: tuple[Attachment, ...]) -> bool:
        """Whether one of the listeners is served; looked up once for all routes that stand at the same."""
        found = self._known.get(id(attachments))
        if found is None:
            places = ((one.gateway, one.listener) for one in attachments)
            found = self._known[id(attachments)] = any(place in self._listeners for place in places)
        return found

    def _add(self, backends: Iterable[Backend]) -> None:
        for backend in backends:
            uses = self._uses[backend] = self._uses.get(backend, 0) + 1
            if uses == 1:
                (self.went.discard if backend in self.went else self.came.add)(backend)

    def _drop(self, backends: Iterable[Backend]) -> None:
        for backend in backends:
            self._uses[backend] -= 1
            if not self._uses[backend]:
                del self._uses[backend]
                (self.came.discard if backend in self.came else self.went.add)(backend)
