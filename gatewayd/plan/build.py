"""All objects -> (Snapshot, statuses, problems): the plan.

    classes ─► Gateways ─► views ─► routes ─► backends
                  │                    │          │
                  └── addresses ───────┴──────────┴──► Snapshot, status, problems

Gateways, routes and backends are each compiled alone and cached with a note of what they read; a change costs the
pieces that read the changed object, and one pass over the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import NamedTuple

from gatewayd.api.objects import Object, Objects
from gatewayd.api.problem import Problem
from gatewayd.plan import ancestors, classes, cookies, policies, unserved
from gatewayd.plan.addresses import AddressBook, Placement
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.cache import Cache
from gatewayd.plan.certificates import Store
from gatewayd.plan.classes import Class
from gatewayd.plan.conditions import Status, Verdict
from gatewayd.plan.endpoints import locate
from gatewayd.plan.gateways import GatewayDraft, Outcome, compile_gateway
from gatewayd.plan.lifetimes import expired
from gatewayd.plan.options import Options
from gatewayd.plan.parents import VIEW, VIEWS
from gatewayd.plan.parts import age
from gatewayd.plan.places import Places
from gatewayd.plan.problems import report
from gatewayd.plan.reads import Reads, World
from gatewayd.plan.reuse import reuse
from gatewayd.plan.routeset import RouteSet
from gatewayd.plan.served import Served
from gatewayd.plan.snapshots import Assembly
from gatewayd.plan.sockets import Claim, Sockets
from gatewayd.plan.users import Users
from gatewayd.routing.snapshot import BackendPlan, Snapshot

__all__ = ["Options", "Planner", "Result"]


class Result(NamedTuple):
    """What a plan yields. `statuses` has the status of each object by its key, without lastTransitionTime."""

    snapshot: Snapshot
    statuses: dict[str, Status]
    problems: list[Problem]


class Planner:
    """Plans again and again; what did not change is the same instance as in the plan before."""

    def __init__(self) -> None:
        self._begin(None)

    def _begin(self, controller_name: str | None) -> None:
        """Forget everything: another controller name serves other classes."""
        self._controller_name = controller_name
        self._world = World()
        self._store = Store()
        self._book = AddressBook()
        self._gateways = Cache(self._compile_gateway)
        self._routes = RouteSet()
        self._backends = Cache(locate)
        self._policies = Cache(policies.judge)
        self._users = Users()
        self._views: dict[str, GatewayView] = {}
        self._outcomes: dict[str, Outcome] = {}
        self._places = Places()
        self._served = Served()
        self._lacking: dict[str, tuple[Problem, ...]] = {}  # problems of backends, by key
        self._told: dict[str, Status] = {}  # statuses of all objects but routes
        self._snapshot = Snapshot()

    def plan(self, objects: Objects, options: Options) -> Result:
        """The plan of `objects`. Deterministic: the order of files decides nothing."""
        if options.controller_name != self._controller_name:
            self._begin(options.controller_name)
        changed = self._world.update(objects)
        drafts, problems = self._plan_gateways(objects, changed)
        outcomes, clashes = self._place(drafts, options)
        self._plan_routes(objects, changed | self._see(drafts), outcomes)
        backends = self._plan_backends(changed)
        self._policies.update(objects.of(policies.KIND), changed, self._world)
        problems += clashes
        problems += self._tell(objects, options, drafts)
        self._store.keep(objects.of("Secret"))
        self._snapshot = Assembly(self._snapshot, options.port_map).build(
            options.generation, outcomes, self._places, self._served.plans, backends
        )
        return Result(self._snapshot, self._statuses(objects, outcomes), sorted(problems, key=_position))

    def _compile_gateway(self, item: Object, reads: Reads) -> GatewayDraft | Problem | None:
        return compile_gateway(item, self._controller_name, reads, self._store)

    def _plan_gateways(self, objects: Objects, changed: set[str]) -> tuple[list[GatewayDraft], list[Problem]]:
        """The Gateways that are served, oldest first; problems of the others."""
        self._gateways.update(objects.of("Gateway"), changed, self._world)
        found = self._gateways.values()
        drafts = [one for one in found if isinstance(one, GatewayDraft)]
        return sorted(drafts, key=lambda one: age(one.item)), [one for one in found if isinstance(one, Problem)]

    def _see(self, drafts: Iterable[GatewayDraft]) -> set[str]:
        """Take in what routes see of the Gateways; the keys of what changed."""
        old, new = self._views, {draft.key: draft.view for draft in drafts}
        self._views = new
        differing = {key for key, view in new.items() if old.get(key) != view} | (old.keys() - new.keys())
        return {f"{VIEW}/{key}" for key in differing} | ({VIEWS} if old.keys() != new.keys() else set())

    def _place(self, drafts: list[GatewayDraft], options: Options) -> tuple[list[Outcome], list[Problem]]:
        """Addresses and sockets for all Gateways; the older Gateway wins."""
        placements = self._book.place([draft.item for draft in drafts], options)
        sockets, problems = Sockets(), list[Problem]()
        outcomes = []
        for draft in drafts:
            placement = placements[draft.key]
            problems += placement.problems
            clashes = _claim(draft, placement, sockets, options.port_map)
            known = self._outcomes.get(draft.key)
            keep = known is not None and known.same(draft, placement, clashes)
            outcomes.append(known if known is not None and keep else Outcome(draft, placement, clashes))
            paths = {one.spec.name: one.path for one in draft.listeners}
            problems += [report(draft.item, paths[name], verdict.message) for name, verdict in clashes.items()]
        self._outcomes = {outcome.draft.key: outcome for outcome in outcomes}
        return outcomes, problems

    def _plan_routes(self, objects: Objects, changed: set[str], outcomes: Iterable[Outcome]) -> None:
        """Compile what changed among all routes of all kinds, and take it in everywhere."""
        changes, moves, elsewhere = self._routes.update(objects, self._views, changed, self._world)
        self._places.update(changes, moves)
        self._users.update([*changes, *elsewhere])
        self._served.update(_listeners(outcomes), changes, moves, self._places, self._routes.routed)

    def _plan_backends(self, changed: set[str]) -> dict[str, BackendPlan]:
        """The backends in use, by key."""
        backends = dict(self._snapshot.backends)
        for old, new in self._backends.turn(self._served.went, self._served.came, changed, self._world):
            if old is not None:
                self._lacking.pop(old.plan.key, None)
            if new is None and old is not None:
                del backends[old.plan.key]
            elif new is not None:
                backends[new.plan.key] = reuse(backends.get(new.plan.key), new.plan)
                if new.problems:
                    self._lacking[new.plan.key] = new.problems
        return backends

    def _classes(self, objects: Objects) -> list[Class]:
        """The classes that are served."""
        found = [classes.judge(item, self._controller_name, Reads(self._world)) for item in objects.of("GatewayClass")]
        return [one for one in found if one is not None]

    def _statuses(self, objects: Objects, outcomes: Iterable[Outcome]) -> dict[str, Status]:
        """The same instances where they say the same."""
        found = {one.item.key: classes.status(one) for one in self._classes(objects)}
        for outcome in outcomes:
            key, listeners = outcome.draft.key, outcome.draft.listeners
            counts = {one.spec.name: len(self._places.routes((key, one.spec.name))) for one in listeners}
            found[outcome.draft.item.key] = outcome.status(counts)
        found |= unserved.statuses(objects, self._views, self._users)
        found |= {
            item.key: ancestors.xbackend_status(item, self._users, self._views) for item in objects.of("XBackend")
        }
        for one in self._policies.values():
            found[one.item.key] = ancestors.policy_status(one, self._users, self._views)
        self._told = {key: reuse(self._told.get(key), status) for key, status in found.items()}
        return self._told | self._routes.statuses

    def _tell(self, objects: Objects, options: Options, drafts: list[GatewayDraft]) -> list[Problem]:
        """All problems but those of single Gateways that clash or are not served."""
        found = unserved.problems(objects) + cookies.problems(self._routes.keeping.values())
        sources = [
            *(classes.problems(one) for one in self._classes(objects)),
            *(draft.problems for draft in drafts),
            *(ancestors.xbackend_problems(item, self._users) for item in objects.of("XBackend")),
            *(ancestors.policy_problems(one, self._users) for one in self._policies.values()),
            *self._routes.problems.values(),
            dict.fromkeys(chain.from_iterable(self._lacking.values())),
        ]
        found += chain.from_iterable(sources)
        return found + _expired(drafts, options.now) if options.now is not None else found


def _position(problem: Problem) -> tuple[str, int, str, str, str]:
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
        claim = Claim(
            draft.key, one.spec.name, one.spec.port, port, one.protocol.transport, one.protocol.family, one.hostname
        )
        verdict = sockets.claim(claim, placement.binds)
        if verdict is not None:
            clashes[one.spec.name] = verdict
    return clashes


def _listeners(outcomes: Iterable[Outcome]) -> frozenset[tuple[str, str]]:
    """The listeners that are served."""
    return frozenset((outcome.draft.key, one.spec.name) for outcome in outcomes for one in outcome.served)


def _expired(drafts: Iterable[GatewayDraft], now: float) -> list[Problem]:
    """Certificates in use that are out of date, each named once."""
    found = {one.secret: one for draft in drafts for listener in draft.listeners for one in listener.found}
    return [problem for one in found.values() for problem in expired(one, now)]
