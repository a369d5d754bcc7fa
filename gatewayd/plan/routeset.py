"""All routes, kept from plan to plan: what changed of them, and what they tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from gatewayd.api.objects import Object, Objects
from gatewayd.api.problem import Problem
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.cache import Cache, Change
from gatewayd.plan.conditions import Status
from gatewayd.plan.parents import Answer, Asked, judge
from gatewayd.plan.protocols import ROUTE_KINDS
from gatewayd.plan.reads import Reads, World
from gatewayd.plan.routes import Compiled, Move, Routed, RouteDraft, Turn, answered, combine, turn

V = TypeVar("V")


class RouteSet:
    """Rules are compiled for each route; parentRefs are judged once for all routes that ask the same."""

    def __init__(self) -> None:
        self.routed: dict[str, Routed] = {}
        self.statuses: dict[str, Status] = {}
        self.problems: dict[str, tuple[Problem, ...]] = {}
        self.keeping: dict[str, Routed] = {}  # those whose rules keep sessions by cookies with names
        self._views: Mapping[str, GatewayView] = {}
        self._known: dict[str, tuple[Object, ...]] = {}
        self._compiled: Cache[Object, Compiled] = Cache(lambda item, reads: RouteDraft(item, reads).compile())
        self._answers: Cache[Asked, Answer] = Cache(self._judge)
        self._askers: dict[Asked, dict[str, str]] = {}  # the routes that ask it, with their order

    def update(
        self, objects: Objects, views: Mapping[str, GatewayView], changed: set[str], world: World
    ) -> tuple[list[Change[Routed]], list[Move], list[Change[Routed]]]:
        """Take in the objects of now, and `views`, what routes see of Gateways. Gives the routes that changed, those
        that only moved, together, and of these once more each that is at other Gateways now.
        """
        self._views = views
        went, came = self._difference(objects)
        self._take_over(went, came)
        fresh = self._latest(self._compiled.turn(went.values(), came.values(), changed, world))
        self._ask(fresh)
        moves, elsewhere = self._answer_again(fresh, changed, world)
        changes = [self._turn(key, compiled) for key, compiled in fresh.items()]
        return [change for change in changes if change.old is not change.new], moves, elsewhere

    def _judge(self, asked: Asked, reads: Reads) -> Answer:
        return judge(asked, self._views, reads)

    def _difference(self, objects: Objects) -> tuple[dict[str, Object], dict[str, Object]]:
        """The objects that went and those that came, by key; a new version of an object is among both."""
        went: dict[str, Object] = {}
        came: dict[str, Object] = {}
        for kind in ROUTE_KINDS:
            old, new = self._known.get(kind, ()), objects.of(kind)
            if old is not new:
                before, after = set(old), set(new)
                went |= {item.key: item for item in before - after}
                came |= {item.key: item for item in after - before}
                self._known[kind] = new
        return went, came

    def _take_over(self, went: dict[str, Object], came: dict[str, Object]) -> None:
        """Objects that only stand in another line now stay compiled, unless they have problems, which name lines."""
        for key in went.keys() & came.keys():
            old, new, routed = went[key], came[key], self.routed[key]
            if old.resource is new.resource and not routed.problems:
                compiled = routed.compiled._replace(item=new)
                self._compiled.rename(old, new, compiled)
                self._put(routed._replace(compiled=compiled))
                del went[key], came[key]

    def _latest(self, changes: Iterable[Change[Compiled]]) -> dict[str, Compiled | None]:
        """What every route that changed is now; None for one that is gone."""
        found: dict[str, Compiled | None] = {}
        for old, new in changes:
            if old is not None:
                found[old.plan.key] = None
                self._askers[old.asked].pop(old.plan.key, None)
            if new is not None:
                found[new.plan.key] = new
        return found

    def _ask(self, fresh: Mapping[str, Compiled | None]) -> None:
        """Note what the routes that are fresh ask, each among those who ask the same."""
        for key, compiled in fresh.items():
            if compiled is not None:
                self._askers.setdefault(compiled.asked, {})[key] = compiled.order

    def _answer_again(
        self, fresh: Mapping[str, Compiled | None], changed: set[str], world: World
    ) -> tuple[list[Move], list[Change[Routed]]]:
        """Answer what is asked now, and put together again the routes of which only the answer is another."""
        asked = {compiled.asked: None for compiled in fresh.values() if compiled is not None}
        lost = {compiled.asked for key in fresh if (compiled := self._before(key)) is not None}
        went = [one for one in lost if not self._askers[one]]
        for one in went:
            del self._askers[one]
        came = [one for one in asked if one not in self._answers]
        moves: list[Move] = []
        elsewhere: list[Change[Routed]] = []
        for old, new in self._answers.turn(went, came, changed, world):
            if old is not None and new is not None and old != new:
                to = turn(old, new)
                routes = {order: key for key, order in self._askers[new.asked].items() if key not in fresh}
                told = self._tell(routes.values(), to)
                hopeless = {one.new.compiled.order for one in told if one.new and one.new.compiled.hopeless}
                moves.append(Move(old.attachments, to.attachments, _without(routes, hopeless)))
                if not to.stays:
                    elsewhere += told
        return moves, elsewhere

    def _tell(self, keys: Iterable[str], to: Turn) -> list[Change[Routed]]:
        """Give the routes another answer."""
        told = []
        for key in keys:
            before = self.routed[key]
            after = answered(before, to)
            self._put(after, before)
            told.append(Change(before, after))
        return told

    def _before(self, key: str) -> Compiled | None:
        routed = self.routed.get(key)
        return None if routed is None else routed.compiled

    def _turn(self, key: str, compiled: Compiled | None) -> Change[Routed]:
        """Put one route together again, or let go of it."""
        old = self.routed.get(key)
        if compiled is None:
            for kept in (self.routed, self.statuses, self.problems, self.keeping):
                kept.pop(key, None)
            return Change(old, None)
        new = combine(compiled, self._answers[compiled.asked], old)
        self._put(new, old)
        return Change(old, new)

    def _put(self, new: Routed, old: Routed | None = None) -> None:
        """In the place of `old`."""
        compiled = new.compiled
        key = compiled.plan.key
        self.routed[key] = new
        if old is None or old.status is not new.status:
            _keep(self.statuses, key, new.status if new.status["parents"] else None)
        if old is None or old.problems is not new.problems:
            _keep(self.problems, key, new.problems or None)
        if compiled.cookies or (old is not None and old.compiled.cookies):
            _keep(self.keeping, key, new if compiled.cookies else None)


def _without(routes: dict[str, str], left_out: set[str]) -> dict[str, str]:
    return {order: key for order, key in routes.items() if order not in left_out} if left_out else routes


def _keep(kept: dict[str, V], key: str, value: V | None) -> None:
    """Keep the value, or nothing under its key."""
    if value is not None:
        kept[key] = value
    elif key in kept:
        del kept[key]
