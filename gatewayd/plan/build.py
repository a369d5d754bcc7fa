"""All objects -> (Snapshot, statuses, problems): the plan.

    classes ─► Gateways ─► views ─► routes ─► backends
                  │                    │          │
                  └── addresses ───────┴──────────┴──► Snapshot, status, problems

Gateways, routes and backends are each compiled alone and cached with a note of what they read; a change costs the
pieces that read the changed object, and one pass over the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from gatewayd.api.objects import Object, Objects
from gatewayd.api.problem import Problem
from gatewayd.plan import classes, unserved
from gatewayd.plan.addresses import AddressBook, Placement
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.backends import Backend
from gatewayd.plan.cache import Cache
from gatewayd.plan.certificates import Store
from gatewayd.plan.classes import Class
from gatewayd.plan.conditions import Status, Verdict
from gatewayd.plan.endpoints import Located, locate
from gatewayd.plan.gateways import GatewayDraft, Outcome, compile_gateway
from gatewayd.plan.lifetimes import expired
from gatewayd.plan.options import Options
from gatewayd.plan.parts import age
from gatewayd.plan.problems import report
from gatewayd.plan.protocols import ROUTE_KINDS
from gatewayd.plan.reads import Reads, World
from gatewayd.plan.routes import VIEW, VIEWS, Routed, RouteDraft
from gatewayd.plan.snapshots import Assembly, Attached, backends_of, gather
from gatewayd.plan.sockets import Claim, Sockets
from gatewayd.routing.snapshot import Snapshot

__all__ = ["Options", "Planner", "Result"]


class Result(NamedTuple):
    """What a plan yields. `statuses` has the status of each object by its key, without lastTransitionTime."""

    snapshot: Snapshot
    statuses: dict[str, Status]
    problems: list[Problem]


class Planner:
    """Plans again and again; what did not change is the same instance as in the plan before."""

    def __init__(self) -> None:
        self._reset(None)

    def _reset(self, controller_name: str | None) -> None:
        self._controller_name = controller_name
        self._world = World()
        self._store = Store()
        self._book = AddressBook()
        self._gateways: Cache[Object, GatewayDraft | Problem | None] = Cache()
        self._routes: Cache[Object, Routed] = Cache()
        self._backends: Cache[Backend, Located] = Cache()
        self._views: dict[str, GatewayView] = {}
        self._snapshot = Snapshot()

    def plan(self, objects: Objects, options: Options) -> Result:
        """The plan of `objects`. Deterministic: the order of files decides nothing."""
        if options.controller_name != self._controller_name:
            self._reset(options.controller_name)
        changed = self._world.update(objects)
        drafts, problems = self._plan_gateways(objects, changed)
        changed |= self._see(drafts)
        routes = self._plan_routes(objects, changed)
        attached = gather(routes)
        outcomes, clashes = self._place(drafts, options)
        served = _served(outcomes, routes)
        located = self._backends.update(backends_of(served.values()), changed, self._world, _locate)
        plans = {key: route.plan for key, route in served.items() if route.plan is not None}
        self._snapshot = Assembly(self._snapshot, options.port_map).build(
            options.generation, outcomes, attached, plans, [one.plan for one in located]
        )
        problems += clashes
        problems += _problems(objects, options, self._classes(objects), drafts, routes, located)
        self._store.keep(objects.of("Secret"))
        statuses = self._statuses(objects, outcomes, routes, attached)
        return Result(self._snapshot, statuses, sorted(problems, key=_place_of))

    def _plan_gateways(self, objects: Objects, changed: set[str]) -> tuple[list[GatewayDraft], list[Problem]]:
        """The Gateways that are served, oldest first; problems of the others."""

        def make(item: Object, reads: Reads) -> GatewayDraft | Problem | None:
            return compile_gateway(item, self._controller_name, reads, self._store)

        found = self._gateways.update(objects.of("Gateway"), changed, self._world, make)
        drafts = [one for one in found if isinstance(one, GatewayDraft)]
        return sorted(drafts, key=lambda one: age(one.item)), [one for one in found if isinstance(one, Problem)]

    def _see(self, drafts: Iterable[GatewayDraft]) -> set[str]:
        """Take in what routes see of the Gateways; the keys of what changed."""
        old, new = self._views, {draft.key: draft.view() for draft in drafts}
        self._views = new
        differing = {key for key, view in new.items() if old.get(key) != view} | (old.keys() - new.keys())
        return {f"{VIEW}/{key}" for key in differing} | ({VIEWS} if old.keys() != new.keys() else set())

    def _plan_routes(self, objects: Objects, changed: set[str]) -> list[Routed]:
        """All routes of all kinds, oldest first."""

        def make(item: Object, reads: Reads) -> Routed:
            return RouteDraft(item, self._views, reads).compile()

        items = [item for kind in ROUTE_KINDS for item in objects.of(kind)]
        return sorted(self._routes.update(items, changed, self._world, make), key=attrgetter("order"))

    def _place(self, drafts: list[GatewayDraft], options: Options) -> tuple[list[Outcome], list[Problem]]:
        """Addresses and sockets for all Gateways; the older Gateway wins."""
        placements = self._book.place([draft.item for draft in drafts], options)
        sockets, problems = Sockets(), list[Problem]()
        outcomes = []
        for draft in drafts:
            placement = placements[draft.key]
            problems += placement.problems
            clashes = _claim(draft, placement, sockets, options.port_map)
            outcomes.append(Outcome(draft, placement, clashes))
            paths = {one.spec.name: one.path for one in draft.listeners}
            problems += [report(draft.item, paths[name], verdict.message) for name, verdict in clashes.items()]
        return outcomes, problems

    def _classes(self, objects: Objects) -> list[Class]:
        """The classes that are served."""
        found = [classes.judge(item, self._controller_name, Reads(self._world)) for item in objects.of("GatewayClass")]
        return [one for one in found if one is not None]

    def _statuses(
        self, objects: Objects, outcomes: list[Outcome], routes: list[Routed], attached: Attached
    ) -> dict[str, Status]:
        statuses = {one.item.key: classes.status(one) for one in self._classes(objects)}
        for outcome in outcomes:
            draft = outcome.draft
            counts = {one.spec.name: attached.counts.get((draft.key, one.spec.name), 0) for one in draft.listeners}
            statuses[draft.item.key] = outcome.status(counts)
        statuses |= {route.item.key: route.status for route in routes if route.status["parents"]}
        if any(objects.of(kind) for kind in unserved.KINDS):
            statuses |= unserved.statuses(objects, self._views, _users(routes))
        return statuses


def _locate(backend: Backend, reads: Reads) -> Located:
    return locate(backend, reads)


def _place_of(problem: Problem) -> tuple[str, int, str, str, str]:
    return (problem.file, problem.line, problem.object, problem.field, problem.message)


def _claim(
    draft: GatewayDraft, placement: Placement, sockets: Sockets, port_map: Mapping[int, int]
) -> dict[str, Verdict]:
    """Claim a socket for every valid listener; the verdicts on those that did not get it."""
    if draft.refused is not None or placement.refused is not None:
        return {}
    clashes = {}
    for one in draft.listeners:
        if one.accepted is not None or one.protocol is None:
            continue
        port = port_map.get(one.spec.port, one.spec.port)
        claim = Claim(draft.key, one.spec.name, one.spec.port, port, one.protocol.transport, one.hostname)
        verdict = sockets.claim(claim, placement.binds)
        if verdict is not None:
            clashes[one.spec.name] = verdict
    return clashes


def _served(outcomes: Iterable[Outcome], routes: Iterable[Routed]) -> dict[str, Routed]:
    """The routes that stand on a listener that is served, by key."""
    listeners = {
        (outcome.draft.key, one.spec.name)
        for outcome in outcomes
        for one in outcome.draft.listeners
        if outcome.listener_programmed(one) is None
    }
    return {
        route.plan.key: route
        for route in routes
        if route.plan is not None and any((one.gateway, one.listener) in listeners for one in route.attachments)
    }


def _users(routes: Iterable[Routed]) -> dict[tuple[str, str, str], set[str]]:
    """The Gateways that use a backend through a route."""
    users: dict[tuple[str, str, str], set[str]] = {}
    for route in routes:
        for service in route.services:
            users.setdefault(service, set()).update(route.gateways)
    return users


def _problems(
    objects: Objects,
    options: Options,
    found_classes: Iterable[Class],
    drafts: Iterable[GatewayDraft],
    routes: Iterable[Routed],
    located: Iterable[Located],
) -> list[Problem]:
    found = unserved.problems(objects)
    for one_class in found_classes:
        found += classes.problems(one_class)
    for draft in drafts:
        found += draft.problems
    if options.now is not None:
        found += _expired(drafts, options.now)
    for route in routes:
        found += route.problems
    for one in located:
        found += one.problems
    return found


def _expired(drafts: Iterable[GatewayDraft], now: float) -> list[Problem]:
    """Certificates in use that are out of date, each named once."""
    found = {one.secret: one for draft in drafts for listener in draft.listeners for one in listener.found}
    return [problem for one in found.values() for problem in expired(one, now)]
