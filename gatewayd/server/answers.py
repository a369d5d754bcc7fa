"""The answers of the admin API: what each path tells, from the state of the supervisor."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson

from gatewayd import __version__
from gatewayd.api.objects import Objects
from gatewayd.api.problem import Problem
from gatewayd.observe.admin import Answer
from gatewayd.observe.facts import Facts
from gatewayd.observe.totals import Totals
from gatewayd.server.views import configuration, listing

if TYPE_CHECKING:
    from gatewayd.server.supervisor import Supervisor

JSON = "application/json"
FRESH = 0.3  # seconds that a scrape waits for the workers' newest counts


def answers(supervisor: Supervisor) -> dict[str, Callable[[], Awaitable[Answer]]]:
    """The answer of each path."""
    return {
        path: _bind(make, supervisor)
        for path, make in {
            "/livez": livez,
            "/readyz": readyz,
            "/metrics": metrics,
            "/status": status,
            "/config": config,
        }.items()
    }


def _bind(make: Callable[[Supervisor], Awaitable[Answer]], supervisor: Supervisor) -> Callable[[], Awaitable[Answer]]:
    return lambda: make(supervisor)


async def livez(_: Supervisor) -> Answer:
    """The supervisor's event loop turns."""
    return Answer(b"ok\n")


async def readyz(supervisor: Supervisor) -> Answer:
    """200 when every worker serves the newest generation and there is a listener, else 503 and why not."""
    reason = supervisor.readiness()
    return Answer(f"not ready: {reason}\n".encode(), 503) if reason else Answer(b"ok\n")


async def metrics(supervisor: Supervisor) -> Answer:
    """Prometheus text."""
    fleet = supervisor.fleet
    await fleet.ask(FRESH)
    fleet.totals.prune(supervisor.snapshot.routes)
    totals = fleet.totals.with_living(fleet.reports())
    totals.prune(supervisor.snapshot.routes)
    return await asyncio.to_thread(_exposition, facts(supervisor), totals)


def _exposition(numbers: Facts, totals: Totals) -> Answer:
    """Runs in a thread: the text of many routes takes long, and so does loading the library, the first time."""
    from gatewayd.observe.exposition import CONTENT_TYPE, render  # noqa: PLC0415 - nobody may ever scrape

    return Answer(render(numbers, totals), content_type=CONTENT_TYPE)


async def status(supervisor: Supervisor) -> Answer:
    """The objects with their statuses, as one Kubernetes List."""
    reading = supervisor.reading
    objects = reading.objects if reading else Objects()
    problems = [*supervisor.problems.current, *refusals(supervisor)]
    shown = (objects, dict(supervisor.statuses.current), problems)
    return await asyncio.to_thread(lambda: _json(listing(*shown)))


def refusals(supervisor: Supervisor) -> list[Problem]:
    """Workers that could not apply the newest generation, as problems of no file."""
    generation = supervisor.snapshot.generation
    return [
        Problem("", 0, "", "", f"worker {worker} could not apply generation {generation}: {error}")
        for worker, error in supervisor.fleet.refusals.items()
    ]


async def config(supervisor: Supervisor) -> Answer:
    """What the workers serve."""
    snapshot = supervisor.snapshot
    return await asyncio.to_thread(lambda: _json(configuration(snapshot)))


def _json(value: Any) -> Answer:
    return Answer(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE), content_type=JSON)


def facts(supervisor: Supervisor) -> Facts:
    """The supervisor's own numbers."""
    fleet = supervisor.fleet
    return Facts(
        version=__version__,
        python=platform.python_version(),
        generation=supervisor.snapshot.generation,
        listeners=supervisor.listeners,
        routes=len(supervisor.snapshot.routes),
        workers=supervisor.options.workers,
        workers_running=fleet.running,
        worker_restarts=fleet.restarts,
        reloads=supervisor.reloads,
        reload_failures=supervisor.follower.failures + fleet.refused,
        reload_seconds=supervisor.reading.seconds if supervisor.reading else 0.0,
        unbound_ports=len(supervisor.unbound),
        log_lines_dropped=supervisor.log.dropped,
        problems={severity: supervisor.problems.count(severity) for severity in ("error", "warning")},
        worker_generations={worker.index: worker.served.generation for worker in fleet},
        lags={worker.index: worker.lag for worker in fleet},
    )
