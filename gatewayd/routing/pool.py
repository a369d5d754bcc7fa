"""Routes that are compiled already, on whatever listener: what one has, another need not compile again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from gatewayd.routing.match import Match, compile_route, elsewhere

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import RoutePlan


class Pool:
    """For one change of tables. `near` are the routes of the listeners there are, by key."""

    __slots__ = ("_made", "_near")

    def __init__(self, near: Iterable[Mapping[str, tuple[Match, ...]]] = ()) -> None:
        self._near = tuple(near)
        self._made: dict[str, tuple[Match, ...]] = {}

    def compile(self, route: RoutePlan) -> tuple[Match, ...]:
        """The matches of a route for one more listener."""
        known = self._made.get(route.key) or self._look(route)
        if known is not None:
            return elsewhere(known)
        made = self._made[route.key] = compile_route(route)
        return made

    def _look(self, route: RoutePlan) -> tuple[Match, ...] | None:
        for routes in self._near:
            known = routes.get(route.key)
            if known and known[0].route is route:
                self._made[route.key] = known
                return known
        return None
