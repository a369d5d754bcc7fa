"""From files to a reading: load, plan, and tell what is new about the problems."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from gatewayd.api.objects import Objects
from gatewayd.api.problem import Problem
from gatewayd.observe.log import Log
from gatewayd.routing.snapshot import Snapshot
from gatewayd.server.listening import Unbound


class Loaded(Protocol):
    """What a source gives: all objects that are in force, and everything that is wrong with the files."""

    @property
    def objects(self) -> Objects:
        """The objects."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong."""

    @property
    def changed(self) -> bool:
        """Whether anything differs from the load before."""

    @property
    def unsettled(self) -> bool:
        """Whether a file was caught while it was being written: load again soon."""


class Source(Protocol):
    """Where objects come from: `sources.files.FileSource`."""

    def load(self, changed: Iterable[str] | None = None) -> Loaded:
        """Read what changed since the last call; only `changed` can have, if that is known."""


class Planned(Protocol):
    """What the plan gives: `plan.build.Result`."""

    @property
    def snapshot(self) -> Snapshot:
        """What the workers serve."""

    @property
    def statuses(self) -> Mapping[str, dict[str, Any]]:
        """The status of each object, by key."""

    @property
    def problems(self) -> Sequence[Problem]:
        """What is wrong."""


Plan = Callable[[Objects, int], Planned]
"""Objects and the generation to plan for -> the plan."""


@dataclass(frozen=True)
class Wish:
    """What to look at: the paths that changed, None for all of them; `forced` plans even when nothing changed."""

    paths: frozenset[str] | None = None
    forced: bool = False

    def __or__(self, other: Wish) -> Wish:
        paths = None if self.paths is None or other.paths is None else self.paths | other.paths
        return Wish(paths, self.forced or other.forced)


@dataclass(frozen=True)
class Reading:
    """One state of the files, planned."""

    objects: Objects
    snapshot: Snapshot
    statuses: Mapping[str, dict[str, Any]]
    problems: tuple[Problem, ...]
    seconds: float


def read(source: Source, plan: Plan, generation: int, wish: Wish) -> tuple[Reading | None, bool]:
    """Load and plan: (what came of it, None when nothing changed; whether to load again soon).

    Runs in a thread, beside the event loop.
    """
    began = time.perf_counter()
    loaded = source.load(wish.paths)
    if not (loaded.changed or wish.forced):
        return None, loaded.unsettled
    planned = plan(loaded.objects, generation)
    problems = (*loaded.problems, *planned.problems)
    seconds = time.perf_counter() - began
    return Reading(loaded.objects, planned.snapshot, planned.statuses, problems, seconds), loaded.unsettled


def servable(snapshot: Snapshot, unbound: Iterable[Unbound], generation: int) -> Snapshot:
    """`snapshot` without the ports that could not be bound."""
    keys = {failure.port.key for failure in unbound}
    ports = {key: port for key, port in snapshot.ports.items() if key not in keys} if keys else snapshot.ports
    return msgspec.structs.replace(snapshot, ports=ports, generation=generation)


def problems_of(unbound: Iterable[Unbound]) -> list[Problem]:
    """Ports that cannot be bound, as problems of the listeners that ask for them."""
    return [
        Problem(
            file=listener.source.rpartition(":")[0],
            line=int(listener.source.rpartition(":")[2] or 0),
            object=f"Gateway {listener.gateway}",
            field=f"spec.listeners[{listener.name}].port",
            message=failure.message,
            hint=failure.hint,
        )
        for failure in unbound
        for listener in failure.port.listeners
    ]


class ProblemLog:
    """Writes each problem to the log when it appears and when it is gone, and not in between."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: dict[tuple[str, ...], Problem] = {}

    def count(self, severity: str) -> int:
        """How many problems of a severity there are now."""
        return sum(1 for problem in self._known.values() if problem.severity == severity)

    @property
    def current(self) -> list[Problem]:
        """All problems that there are now."""
        return list(self._known.values())

    def update(self, problems: Iterable[Problem]) -> None:
        """Take the problems of the newest reading. The line is no part of a problem's identity: lines shift."""
        now: dict[tuple[str, ...], Problem] = {
            (item.severity, item.file, item.object, item.field, item.message): item for item in problems
        }
        for identity, problem in now.items():
            if identity not in self._known:
                self._log.line(problem.severity, problem.message, _fields(problem))
        for identity, problem in self._known.items():
            if identity not in now:
                self._log.info("fixed: " + problem.message, **_fields(problem))
        self._known = now


def _fields(problem: Problem) -> dict[str, Any]:
    fields = {"file": problem.file, "line": problem.line, "object": problem.object, "field": problem.field}
    return {key: value for key, value in {**fields, "hint": problem.hint}.items() if value}
