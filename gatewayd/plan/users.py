"""Which Gateways use which backends, kept up to date change by change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gatewayd.plan.targets import Target

if TYPE_CHECKING:
    from gatewayd.plan.cache import Change
    from gatewayd.plan.routes import Routed


class Users:
    """The Gateways that reach a backend through a route that they accepted, whatever became of the reference."""

    def __init__(self) -> None:
        self._counts: dict[Target, Counter[str]] = {}

    def update(self, changes: Iterable[Change[Routed]]) -> None:
        """Take in the routes that changed."""
        for old, new in changes:
            if _reach_alike(old, new):
                continue
            for target, gateway in _pairs(old):
                counts = self._counts[target]
                counts[gateway] -= 1
                if not counts[gateway]:
                    del counts[gateway]
                if not counts:
                    del self._counts[target]
            for target, gateway in _pairs(new):
                self._counts.setdefault(target, Counter())[gateway] += 1

    def of(self, *targets: Target) -> list[str]:
        """The Gateways ("namespace/name") that use one of the targets, in order."""
        return sorted({gateway for target in targets for gateway in self._counts.get(target, ())})


def _reach_alike(old: Routed | None, new: Routed | None) -> bool:
    if old is None or new is None or old.gateways != new.gateways:
        return False
    return old.compiled is new.compiled or old.compiled.targets == new.compiled.targets


def _pairs(route: Routed | None) -> Iterator[tuple[Target, str]]:
    if route is not None:
        for target in route.compiled.targets:
            for gateway in route.gateways:
                yield target, gateway
