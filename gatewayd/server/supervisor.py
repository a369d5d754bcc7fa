"""The supervisor: leads the workers to what the files say, holds the listening sockets, answers the admin API."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time
from typing import Any

from gatewayd.observe.admin import Admin, split
from gatewayd.observe.log import Log, now
from gatewayd.routing.snapshot import Settings, Snapshot
from gatewayd.server.answers import answers
from gatewayd.server.follower import Follower, Parts
from gatewayd.server.listening import Sockets, Unbound
from gatewayd.server.options import RunOptions
from gatewayd.server.process import Launch
from gatewayd.server.reload import ProblemLog, Reading, problems_of, servable
from gatewayd.server.statuses import Statuses
from gatewayd.server.workers import Fleet

FIRST_BIND_PATIENCE = 1.0  # seconds in which the workers of a killed predecessor let go of its ports
BIND_EVERY = 1.0  # seconds between two attempts on a port that another process has
BEHIND_LIMIT = 1.0  # seconds that a worker may need for a generation before /readyz says so
KILL_AFTER = 1.0  # seconds after the drain time at which workers that still live are killed


class RefusedError(Exception):
    """The run cannot begin; the text says why."""


class Supervisor:
    """One run, from the first reading to the end of the drain."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, options: RunOptions, parts: Parts, log: Log, launch: Launch
    ) -> None:
        self.began = time.perf_counter()
        self.options = options
        self.log = log
        self.reading: Reading | None = None
        self.unbound: list[Unbound] = []
        self.problems = ProblemLog(log)
        self.statuses = Statuses()
        self.reloads = 0
        self.draining = False
        self._loop = loop
        self._sockets = Sockets(options.workers)
        self.fleet = Fleet(loop, options.workers, launch, self._sockets, log, self._progress)
        self.follower = Follower(loop, options, parts, log, lambda: self.snapshot.generation)
        self._noticed: dict[int, float] = {}
        self._announced = 0
        self._behind_since: float | None = loop.time()
        self._stopped: asyncio.Future[int] = loop.create_future()
        self._ended = asyncio.Event()

    @property
    def snapshot(self) -> Snapshot:
        """What is served now."""
        return self.fleet.current

    @property
    def listeners(self) -> int:
        """How many listeners are served."""
        return sum(len(port.listeners) for port in self.snapshot.ports.values())

    def readiness(self) -> str:
        """Why the gateway is not ready; "" when it is."""
        if self.draining:
            return "draining"
        if self._announced == 0:
            return "starting"
        if not self.snapshot.ports:
            return "no listener is served"
        if self._behind_since is not None and self._loop.time() - self._behind_since > BEHIND_LIMIT:
            return f"not every worker serves generation {self.snapshot.generation}"
        return ""

    def stop(self, number: int) -> None:
        """The first SIGTERM or SIGINT drains, the second ends at once."""
        if self._stopped.done():
            self.log.warning("ended at once; requests in flight are lost", signal=signal.Signals(number).name)
            self.fleet.kill()
        else:
            self._stopped.set_result(number)

    async def run(self) -> int:
        """The whole life; the exit status."""
        admin = await self._open_admin()
        work = self._loop.create_task(self._work())
        try:
            self._start_workers()
            either: set[asyncio.Future[Any]] = {work, self._stopped}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work  # it has no end but a failure
            return await self._drain()
        finally:
            work.cancel()
            self.follower.stop()
            self.fleet.kill()
            self.fleet.close()
            self._sockets.close()
            if admin is not None:
                admin.close()

    async def _open_admin(self) -> Admin | None:
        if self.options.admin is None:
            return None
        admin = Admin(answers(self), self.log)
        try:
            await admin.listen(self._loop, *split(self.options.admin))
        except (OSError, ValueError) as error:
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise RefusedError(
                f"the admin API cannot listen on {self.options.admin}: {text}; use --admin HOST:PORT or --admin off"
            ) from None
        return admin

    def _start_workers(self) -> None:
        try:
            self.fleet.start()
        except OSError as error:
            who = f"; user {self.options.user} must be allowed to run it" if self.options.user else ""
            raise RefusedError(f"a worker cannot be started: {error}{who}") from None

    async def _work(self) -> None:
        """The first reading, then all that follow. A gateway that can serve none of its ports does not stay to pretend.

        The workers are on their way already, and do beside this what they have to.
        """
        reading = await self.follower.first()
        if reading is None:
            raise RefusedError("the files cannot be planned")
        ports = list(reading.snapshot.ports.values())
        await self._loop.run_in_executor(None, self._sockets.bind, ports, FIRST_BIND_PATIENCE)
        self._install(reading, self.began)
        if ports and not self.snapshot.ports:
            raise RefusedError("none of the ports can be listened on")
        if not ports:
            self.log.warning("there is no listener to serve yet", paths=list(self.options.paths))
        gc.collect()
        gc.freeze()
        await self.follower.follow(self._install, self._retry)

    def _retry(self) -> float | None:
        """Try again what could not be bound; after how many seconds next."""
        if self.unbound and self.reading is not None:
            self._install(self.reading, time.perf_counter())
        return BIND_EVERY if self.unbound else None

    def _install(self, reading: Reading, noticed: float) -> None:
        """Bind, send to the workers, then do what can wait: statuses and problems."""
        self.unbound = self._sockets.bind(reading.snapshot.ports.values())
        generation = self.snapshot.generation + 1
        if self.fleet.serve(servable(reading.snapshot, self.unbound, generation)):
            self._noticed = {generation: noticed}
            self._behind_since = self._behind_since or self._loop.time()
        if reading is not self.reading:
            self.reloads += 1
        self.reading = reading
        self.statuses.update(reading.statuses, self.unbound, now())
        self.problems.update((*reading.problems, *problems_of(self.unbound)))

    def _progress(self) -> None:
        """A worker acknowledged, refused, came or went."""
        if self.draining:
            if not self.fleet.running:
                self._ended.set()
            return
        if not self.fleet.settled:
            self._behind_since = self._behind_since or self._loop.time()
            return
        self._behind_since = None
        if self._announced != self.snapshot.generation:
            self._announce(first=self._announced == 0)
            self._announced = self.snapshot.generation

    def _announce(self, first: bool) -> None:
        """Every worker serves the newest generation: say so, the first time on standard output."""
        generation = self.snapshot.generation
        if first:
            seconds = time.perf_counter() - self.began
            announce(
                f"gatewayd ready: {self.listeners} listeners, {len(self.snapshot.routes)} routes, "
                f"{self.options.workers} workers, generation {generation}, {seconds * 1000:.0f} ms\n"
            )
            return
        took = time.perf_counter() - self._noticed.get(generation, self.began)
        self.log.info(
            "generation active",
            generation=generation,
            listeners=self.listeners,
            routes=len(self.snapshot.routes),
            ms=round(took * 1000, 1),
            plan_ms=round(self.reading.seconds * 1000, 1) if self.reading else 0,
            worker_ms=round(self.fleet.slowest * 1000, 1),
        )

    async def _drain(self) -> int:
        """Take no new connection, let what is in flight finish, end with 0; a second signal ends it at once."""
        self.draining = True
        seconds = self._drain_seconds()
        number = self._stopped.result()
        self.log.info("draining", signal=signal.Signals(number).name, seconds=seconds)
        self.fleet.drain(seconds)
        self._sockets.close()
        self._progress()
        try:
            async with asyncio.timeout(seconds + KILL_AFTER):  # once, at the end
                await self._ended.wait()
        except TimeoutError:
            self.log.warning("workers did not end in time and are killed")
            self.fleet.kill()
        self.log.flush()
        return 0

    def _drain_seconds(self) -> float:
        if self.options.drain_timeout is not None:
            return self.options.drain_timeout
        used = {listener.settings for port in self.snapshot.ports.values() for listener in port.listeners}
        settings = [value for key, value in self.snapshot.settings.items() if key in used] or [Settings()]
        return max(item.drain_timeout for item in settings)


def announce(line: str) -> None:
    """Print the one line that scripts wait for. A standard output that nobody reads is no reason to fail."""
    if sys.stdout is None:  # closed before we began
        return
    try:
        sys.stdout.write(line)
        sys.stdout.flush()
    except (OSError, ValueError):
        return
