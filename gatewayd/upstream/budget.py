"""Budgets of retries (GEP-3388): a backend that fails must not get a storm of repeated requests.

Of all that is sent to the backend within the last `interval` seconds at most `percent` may be retries. Where that is
little, `count` retries in `every` seconds are allowed all the same; of these a bucket is kept, which every retry draws
from, so that the two limits do not add up. Who asks tells the time.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Protocol
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from gatewayd.upstream.backend import Backend

_PARTS = 20  # of the interval; retries are forgotten with the part in which they were made


class RetryBudget:
    """One budget, of one backend or of all ports of a service. `requests` are all that these ever got, without retries;
    whoever counts them adds to it. `strict`: a client whose request would be tried again, but for the budget, is
    answered 503.

    The defaults are those of XBackendTrafficPolicy, but for the bucket, which holds ten times as much: a backend that
    was calm and loses all its connections at once gets its requests again.
    """

    __slots__ = (
        "__weakref__",
        "_bucket",
        "_count",
        "_every",
        "_filled",
        "_interval",
        "_marks",
        "_percent",
        "_retried",
        "_retries",
        "requests",
        "strict",
    )

    def __init__(self) -> None:
        self.requests = 0
        self._marks: list[tuple[float, int]] = []  # (moment, requests up to it), the oldest first
        self._retries: list[tuple[float, int]] = []  # (end of the part, retries in it), the oldest first
        self._retried = 0  # sum of these
        self._bucket = 0.0
        self._filled = -inf  # so it is full when it is needed first
        self.limit()

    def limit(
        self,
        percent: float = 20.0,
        interval: float = 10.0,
        count: float = 100.0,
        every: float = 10.0,
        *,
        parts: int = 1,
        strict: bool = False,
    ) -> None:
        """Count within other limits from now on. This is one of so many `parts`: the share of retries is kept by all
        when it is kept by each, of `count` each has its part, which may be less than one.
        """
        self._percent = percent
        self._interval = interval
        self._count = count / parts
        self._every = every
        self.strict = strict

    def take(self, now: float) -> bool:
        """Take one retry; False when the budget is used up."""
        self.watch(now)
        self._forget(now)
        self._bucket = min(max(1.0, self._count), self._bucket + (now - self._filled) * self._count / self._every)
        self._filled = now
        retries = self._retried + 1
        if retries * 100 > self._percent * (self._recent(now) + retries) and self._bucket < 1.0:
            return False
        self._bucket = max(0.0, self._bucket - 1.0)
        self._add(now)
        return True

    def watch(self, now: float) -> None:
        """Remember how many requests there were by now; to be called every second or so."""
        marks, requests = self._marks, self.requests
        if not marks:
            if requests:
                marks.append((now, 0))
        elif marks[-1][1] == requests and len(marks) > 1 and marks[-2][1] == requests:
            marks[-1] = (now, requests)  # a calm backend keeps no more than two
        elif now - marks[-1][0] >= self._interval / _PARTS:
            marks.append((now, requests))
        while len(marks) > 1 and marks[1][0] <= now - self._interval:
            del marks[0]

    def _recent(self, now: float) -> float:
        """The requests of the last interval; between two marks they are taken to have come evenly."""
        start, requests = now - self._interval, self.requests
        if not self._marks:
            return 0.0
        moment, before = self._marks[0]
        if moment < start:
            following, more = self._marks[1] if len(self._marks) > 1 else (now, requests)
            return requests - before - (more - before) * (start - moment) / (following - moment)
        return requests - before

    def _forget(self, now: float) -> None:
        while self._retries and self._retries[0][0] <= now - self._interval:
            self._retried -= self._retries.pop(0)[1]

    def _add(self, now: float) -> None:
        self._retried += 1
        if self._retries and now < self._retries[-1][0]:
            self._retries[-1] = (self._retries[-1][0], self._retries[-1][1] + 1)
        else:
            self._retries.append((now + self._interval / _PARTS, 1))


class Limits(Protocol):
    """What a policy says of its target; see RetryBudget.limit."""

    @property
    def target(self) -> str:
        """Whose budget it is."""

    @property
    def percent(self) -> int:
        """The share."""

    @property
    def interval(self) -> float:
        """Seconds."""

    @property
    def count(self) -> int:
        """The least number."""

    @property
    def every(self) -> float:
        """Seconds."""


class Budgets:
    """The budgets of one worker among so many `workers`. Of a target of a policy all ports share one; other backends
    have one each.
    """

    __slots__ = ("_shared", "_workers")

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._shared = WeakValueDictionary[str, RetryBudget]()

    def __len__(self) -> int:
        return len(self._shared)

    def give(self, backend: Backend, limits: Limits | None) -> None:
        """Give a backend its budget from now on; one that it has already goes on with what it counted."""
        if limits is None:
            if backend.budget.strict:
                backend.budget = RetryBudget()
            backend.budget.limit(parts=self._workers)
        else:
            backend.budget = self._shared.setdefault(limits.target, RetryBudget())
            numbers = (limits.percent, limits.interval, limits.count, limits.every)
            backend.budget.limit(*numbers, parts=self._workers, strict=True)
