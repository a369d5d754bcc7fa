"""The routes that stand on a listener that is served, and the backends that they use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatewayd.plan.backends import Backend
from gatewayd.plan.cache import Change
from gatewayd.plan.places import Place, Places
from gatewayd.plan.routes import Routed
from gatewayd.routing.snapshot import RoutePlan


class Served:
    """Kept up to date change by change. `came` and `went` are the backends that the last update brought and took."""

    def __init__(self) -> None:
        self.came: set[Backend] = set()
        self.went: set[Backend] = set()
        self._listeners: frozenset[Place] = frozenset()
        self._routes: dict[str, Routed] = {}
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
        places: Places,
        routed: Mapping[str, Routed],
    ) -> None:
        """Take in the routes that changed, and those at `places` that are served now and were not, or the reverse."""
        self.came, self.went = set(), set()
        moved, self._listeners = listeners ^ self._listeners, listeners
        self._known = {}
        turned = {one.compiled.plan.key: new for old, new in changes if (one := old or new) is not None}
        for key in {key for place in moved for key in places.routes(place)} - turned.keys():
            turned[key] = routed[key]
        for key, route in turned.items():
            self._turn(key, route)

    def _turn(self, key: str, route: Routed | None) -> None:
        """One route as it is now."""
        before = self._routes.get(key)
        if route is None or not self._counts(route):
            if before is not None:
                del self._routes[key], self._plans[key]
                self._drop(before.compiled.backends)
            return
        self._routes[key] = route
        if before is not None and before.compiled is route.compiled:
            return
        self._plans[key] = route.compiled.plan
        if before is None:
            self._add(route.compiled.backends)
        elif before.compiled.backends is not route.compiled.backends:
            self._add(route.compiled.backends)
            self._drop(before.compiled.backends)

    def _counts(self, route: Routed) -> bool:
        """Whether it stands on a listener that is served; looked up once for all routes that stand at the same."""
        key = id(route.attachments)
        found = self._known.get(key)
        if found is None:
            places = ((one.gateway, one.listener) for one in route.attachments)
            found = self._known[key] = any(place in self._listeners for place in places)
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
