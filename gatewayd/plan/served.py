"""The routes that stand on a listener that is served, and the backends that they use."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gatewayd.plan.backends import Backend
from gatewayd.plan.cache import Change
from gatewayd.plan.places import Place
from gatewayd.plan.routes import Routed
from gatewayd.routing.snapshot import RoutePlan


class Served:
    """Kept up to date change by change; counted anew only when the set of served listeners changes."""

    def __init__(self) -> None:
        self._listeners: frozenset[Place] = frozenset()
        self._routes: dict[str, RoutePlan] = {}
        self._uses: dict[Backend, int] = {}

    @property
    def routes(self) -> dict[str, RoutePlan]:
        """The plans of the routes, by key; a copy."""
        return dict(self._routes)

    @property
    def backends(self) -> Iterable[Backend]:
        """Every backend in use."""
        return self._uses.keys()

    def update(
        self, listeners: frozenset[Place], changes: Iterable[Change[Routed]], everything: Callable[[], Iterable[Routed]]
    ) -> None:
        """Take in changed routes, or, when other listeners are served than before, all of them."""
        if listeners != self._listeners:
            known, self._routes, self._uses, self._listeners = self._routes, {}, {}, listeners
            for route in everything():
                self._add(route, known)
            return
        touched = list(changes)
        known = {}
        for old, _ in touched:
            if old is not None:
                known |= self._remove(old)
        for _, new in touched:
            if new is not None:
                self._add(new, known)

    def _counts(self, route: Routed) -> bool:
        return any((one.gateway, one.listener) in self._listeners for one in route.attachments)

    def _add(self, route: Routed, known: dict[str, RoutePlan]) -> None:
        if route.plan is None or not self._counts(route):
            return
        old = known.get(route.plan.key)
        self._routes[route.plan.key] = old if old == route.plan and old is not None else route.plan
        for backend in route.backends:
            self._uses[backend] = self._uses.get(backend, 0) + 1

    def _remove(self, route: Routed) -> dict[str, RoutePlan]:
        """Take a route out; what it was, so that an equal successor is the same instance."""
        if route.plan is None or not self._counts(route):
            return {}
        plan = self._routes.pop(route.plan.key)
        for backend in route.backends:
            self._uses[backend] -= 1
            if not self._uses[backend]:
                del self._uses[backend]
        return {plan.key: plan}
