"""Which Gateways use which backends, kept up to date change by change, and what status tells each of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.conditions import Status
from gatewayd.plan.grants import GATEWAY_GROUP
from gatewayd.plan.problems import warn
from gatewayd.plan.protocols import CONTROLLER
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
            if old is not None and new is not None and _reach(old) == _reach(new):
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


def _reach(route: Routed) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    return route.compiled.targets, route.gateways


def _pairs(route: Routed | None) -> Iterator[tuple[Target, str]]:
    if route is not None:
        for target in route.compiled.targets:
            for gateway in route.gateways:
                yield target, gateway


def entry(name: str, view: GatewayView, conditions: list[Status]) -> dict[str, Any]:
    """What status tells one Gateway; `name` is "ancestorRef" (PolicyStatus) or "parentRef" (XBackend)."""
    return {
        name: {"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": view.namespace, "name": view.name},
        "controllerName": view.controller or CONTROLLER,
        "conditions": conditions,
    }


def crowded(item: Object, gateways: Collection[str], most: int) -> list[Problem]:
    """A warning when more Gateways use it than its status can name: it serves all of them all the same."""
    if len(gateways) <= most:
        return []
    return [warn(item, (), f"{len(gateways)} Gateways use it, and its status can name {most}")]


def known(gateways: Iterable[str], views: Mapping[str, GatewayView], most: int) -> list[GatewayView]:
    """Those of the Gateways that are served, at most so many (the API bounds the lists of status)."""
    return [views[key] for key in gateways if key in views][:most]
