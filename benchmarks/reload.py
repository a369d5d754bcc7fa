"""How long a change of a file takes until every worker serves by it.

A change is one rename or removal of a file. From just before it, each worker is asked on a connection of its own,
again and again, until it answers by the new state; the change took until the last worker did. What is asked is the
route or the endpoint that changed, so an answer from the state before counts for nothing.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks import client
from benchmarks.driver import CORES, Setting, WrongError, wait_for
from benchmarks.estate import HOST, Estate, endpoints, route
from benchmarks.measure import PROC, Running, cpu_seconds
from benchmarks.outcome import Target
from benchmarks.peers.peer import Launch
from benchmarks.site import GREETING, free_ports
from benchmarks.start import Begun, size, workplace

WORKERS = 2
EVERY = 0.001  # seconds between two questions to a worker
REST = 0.02  # seconds between two changes
PATIENCE = 30.0
CHANGING, PLACE = "bench/change.yaml", "bench/endpoints.yaml"
FILES = "/files/body"  # the first backend answers one byte, the second two
Reached = Callable[[tuple[int, int]], bool]


@dataclass(frozen=True)
class Change:
    """`make` changes a file; `reached` tells by status and length of the answer to `path` whether it is in force."""

    name: str
    make: Callable[[], None]
    path: str
    reached: Reached


def round_of(estate: Estate, number: int, backends: tuple[int, int]) -> Iterator[Change]:
    """One change of each kind; the first round finds the first backend in force."""
    name, added, moved = f"change-{number}", f"/added-{number}", f"/moved-{number}"
    first, second = (partial(estate.put, CHANGING, route(name, HOST, path)) for path in (added, moved))
    ours: Reached = (200, len(GREETING)).__eq__
    following = 1 - number % 2
    yield Change("route added", first, added, ours)
    yield Change("route changed", second, moved, ours)
    yield Change("route removed", partial(estate.drop, CHANGING), moved, lambda answer: answer[0] == 302)
    place = partial(estate.put, PLACE, endpoints(backends[following]))
    yield Change("endpoint changed", place, FILES, (200, 1 + following).__eq__)


class Asked:
    """A connection to one worker."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._answer = client.Answer(connection)

    def ask(self, path: str) -> tuple[int, int]:
        """Status and length of the answer."""
        self._connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        return self._answer.read()


def sockets(process: int) -> set[str]:
    """The sockets that a process has open."""
    links = (PROC / str(process) / "fd").iterdir()
    return {str(link.readlink()) for link in links}


def one_each(port: int, workers: list[int], stack: ExitStack) -> list[Asked]:
    """A connection to each worker. The kernel chooses who gets one; who got it is who has sockets that are new."""
    found: dict[int, Asked] = {}
    end = time.monotonic() + PATIENCE
    while len(found) < len(workers):
        if time.monotonic() > end:
            raise WrongError(f"of {len(workers)} workers of gatewayd, {len(found)} answered")
        before = {worker: sockets(worker) for worker in workers}
        asked = Asked(stack.enter_context(client.connect(Target(port))))
        asked.ask(FILES)
        worker = next(worker for worker in workers if sockets(worker) - before[worker])
        found.setdefault(worker, asked)
    return list(found.values())


def seconds(change: Change, workers: list[Asked]) -> float:
    """Make it, and wait for it."""
    began = time.perf_counter()
    change.make()
    waiting = list(workers)
    while True:
        waiting = [worker for worker in waiting if not change.reached(worker.ask(change.path))]
        taken = time.perf_counter() - began
        if not waiting:
            return taken
        if taken > PATIENCE:
            raise WrongError(f"gatewayd: {change.name}, and not in force after {taken:.0f} s")
        time.sleep(EVERY)


def measure(setting: Setting) -> Iterator[dict[str, str | float]]:
    """One row for each size and kind of change."""
    for routes in setting.effort.sizes:
        with workplace() as folder, ExitStack() as stack:
            *backends, port = free_ports(3)
            for length, backend in enumerate(backends, 1):
                stack.callback(answering(backend, length, folder).stop)
            estate = Estate(folder / "objects", routes, backends[0])
            begun = Begun(estate.folder, port, WORKERS)
            stack.callback(begun.stop)
            workers = one_each(port, begun.workers, stack)
            taken: dict[str, list[tuple[float, float]]] = {}
            for number in range(setting.effort.changes):
                for change in round_of(estate, number, (backends[0], backends[1])):
                    time.sleep(REST)
                    before = cpu_seconds(begun.process.pid)
                    wall = seconds(change, workers)
                    taken.setdefault(change.name, []).append((wall, cpu_seconds(begun.process.pid) - before))
            yield from (row(routes, name, pairs) for name, pairs in taken.items())


def answering(port: int, length: int, folder: Path) -> Running:
    """A backend whose bodies have this length, when it answers."""
    place = folder / f"backend-{length}"
    place.mkdir()
    launch = Launch([sys.executable, "-m", "benchmarks.backend", str(port), str(length)])
    running = Running("the backend", launch, CORES[:1], place)
    wait_for(running, lambda: None if client.get(Target(port), FILES) == (200, length) else wrong(port))
    return running


def wrong(port: int) -> None:
    raise WrongError(f"the backend on port {port} answers wrongly")


def row(routes: int, name: str, taken: list[tuple[float, float]]) -> dict[str, str | float]:
    """Milliseconds of one kind of change, and of the supervisor's CPU time meanwhile."""
    walls, own = zip(*taken, strict=True)
    return {
        "size": size(routes),
        "change": name,
        "changes": len(taken),
        "median_ms": median(walls) * 1000,
        "max_ms": max(walls) * 1000,
        "supervisor_ms": median(own) * 1000,
    }
