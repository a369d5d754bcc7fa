"""The garbage collector's part of the heap: it looks seldom, and never at what lives as long as a snapshot."""

from __future__ import annotations

import gc
from collections.abc import Callable

FREEZE_PATIENCE = 5.0  # seconds after a swap for an idle moment to freeze the heap in
THAW_EVERY = 50  # swaps after which the frozen heap is searched for cycles too
THRESHOLDS = (50_000, 20, 50)  # Python's own (700, 10, 10) look many times a second; requests leave no cycles


def collect_seldom() -> None:
    """For the whole process."""
    gc.set_threshold(*THRESHOLDS)


class Heap:
    """gc.collect and gc.freeze after each swap, in an idle moment, because a collection stops the traffic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since: float | None = None
        self._swaps = 0
        collect_seldom()

    def swapped(self) -> None:
        """A new snapshot is in force."""
        self._swaps += 1
        if self._since is None:
            self._since = self._clock()

    def tick(self, idle: bool) -> None:
        """Freeze when it is due."""
        if self._since is None or not (idle or self._clock() - self._since > FREEZE_PATIENCE):
            return
        self._since = None
        if idle and self._swaps >= THAW_EVERY:
            self._swaps = 0
            gc.unfreeze()
        gc.collect()
        gc.freeze()
