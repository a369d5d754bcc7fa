"""Follows the files: reads and plans them in a thread whenever they may have changed, one reading at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from gatewayd.observe.log import Log, describe
from gatewayd.server.options import RunOptions
from gatewayd.server.reload import Plan, Reading, Source, Wish, read
from gatewayd.server.watch import Watch

AGAIN = 0.1  # seconds until a file that was being written is looked at again
LOOK_EVERY = 3.0  # seconds between two looks at all files, in case a notification was missed
LOOK_SHARE = 0.02  # and looking may cost this share of the time
PLAN_EVERY = 3600.0  # seconds after which is planned without a change: certificates go out of date

T = TypeVar("T")
Parts = Callable[[RunOptions], tuple[Source, Plan]]
"""Makes the source and the plan for some options; called beside the event loop."""


class Follower:
    """Gives each new `Reading` to `install`, with the moment (perf_counter) at which its change was noticed.

    `retry` is called after each round that lasted `retry()` seconds or less; it answers after how many seconds it wants
    to be called again, None for never: for what fails now and may go well later without a change of files.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: RunOptions,
        parts: Parts,
        log: Log,
        generation: Callable[[], int],
    ) -> None:
        self.failures = 0
        self._loop = loop
        self._options = options
        self._parts = parts
        self._log = log
        self._generation = generation
        self._watch = Watch(options.paths, self._touched, log)
        self._wanted = asyncio.Event()
        self._wish: Wish | None = None
        self._source: Source | None = None
        self._plan: Plan | None = None

    def wish(self, wish: Wish) -> None:
        """Look at the files soon."""
        self._wish = wish if self._wish is None else self._wish | wish
        self._wanted.set()

    async def first(self) -> Reading | None:
        """The first reading; None when it failed. Changes are noticed from before it on."""
        if self._options.watch:
            self._watch.start()
        self._source, self._plan = await in_thread(self._loop, partial(self._parts, self._options))
        return await self._read(Wish(forced=True))

    async def follow(self, install: Callable[[Reading, float], None], retry: Callable[[], float | None]) -> None:
        """Read when something happened, look by oneself now and then; without end."""
        cost = 0.0
        self._loop.call_later(PLAN_EVERY, self._plan_anew)
        while True:
            pause = max(LOOK_EVERY, cost / LOOK_SHARE)
            wish = await self._wait(min(pause, again) if (again := retry()) is not None else pause)
            began = time.perf_counter()
            reading = await self._read(wish or Wish()) if wish or self._options.watch else None
            if reading is not None:
                try:
                    install(reading, began)
                except Exception as error:  # noqa: BLE001 - a defect costs this reload, not all later ones
                    self._failed(error)
            if wish is None:
                cost = time.perf_counter() - began

    def stop(self) -> None:
        """Read no more."""
        self._watch.stop()

    def _plan_anew(self) -> None:
        self._loop.call_later(PLAN_EVERY, self._plan_anew)
        self.wish(Wish(frozenset(), forced=True))

    def _touched(self, paths: set[str] | None) -> None:
        """The watch's threads say so."""
        try:
            self._loop.call_soon_threadsafe(self.wish, Wish(None if paths is None else frozenset(paths)))
        except RuntimeError:  # the loop is closed: the process ends
            return

    async def _wait(self, seconds: float) -> Wish | None:
        """Until a look is wished for, or for `seconds` (None)."""
        try:
            async with asyncio.timeout(seconds):  # once for each look at the files, never for a request
                await self._wanted.wait()
        except TimeoutError:
            return None
        self._wanted.clear()
        wish, self._wish = self._wish, None
        return wish

    async def _read(self, wish: Wish) -> Reading | None:
        """Load and plan in the thread. A defect in there costs the reload, not the gateway."""
        if self._source is None or self._plan is None:
            return None
        work = partial(read, self._source, self._plan, self._generation() + 1, wish)
        try:
            reading, unsettled = await in_thread(self._loop, work)
        except Exception as error:  # noqa: BLE001 - whatever it is, what is served goes on
            self._failed(error)
            return None
        if unsettled:
            self._loop.call_later(AGAIN, self.wish, Wish())
        return reading

    def _failed(self, error: Exception) -> None:
        self.failures += 1
        self._log.error("the files could not be planned; the configuration in force stays", error=describe(error))


async def in_thread(loop: asyncio.AbstractEventLoop, work: Callable[[], T]) -> T:
    """The result of `work`, done in a thread that does not hold up the end of the process, as an executor's would."""
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(T, result))

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:  # noqa: BLE001 - it is raised where the result is awaited
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is closed: nobody awaits any more
            return

    threading.Thread(target=run, daemon=True, name="reload").start()
    return await future
