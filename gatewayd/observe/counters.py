"""Counts of the traffic path: plain integers in preallocated slots, one `RuleCounters` for each rule served.

A worker reports its counters as msgpack (`Report`); the supervisor sums the reports of all workers, living and gone,
and renders them. The number of series grows with routes, never with paths or hosts.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

# Upper bounds of the latency histogram, seconds. A `bisect` over this tuple costs 0.1 us.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

# Classes of status codes, by status // 100; class 0 is no status.
CLASSES = 6

# Worker-wide counts, by their place in `WorkerCounters.slots`.
WORKER_COUNTS = (
    "connections_accepted",
    "connections_closed",
    "accept_pauses",
    "tls_handshake_failures",
    "requests_refused",
    "upstream_connects",
    "upstream_connect_failures",
    "upstream_ejections",
    "upstream_retries",
    "upstream_retries_refused",
    "upstream_resets",
    "upstream_spare_bytes",
    "mirrors_sent",
    "mirrors_dropped",
    "authorizations_asked",
    "authorizations_denied",
    "authorizations_failed",
    "access_lines_dropped",
    "exceptions",
)


_COLUMNS = len(BUCKETS) + 1


class RuleCounters:
    """Requests of one (listener, route, rule): by status class 1xx..5xx, latency buckets, seconds and bytes in all.

    A request counts in one cell, of its class and bucket. With thousands of routes in use, each object that is touched
    is one that has to be fetched from memory; a rule that took no request has no cell.
    """

    __slots__ = ("_cells", "bytes_in", "bytes_out", "seconds")

    def __init__(self) -> None:
        self._cells: dict[int, int] = {}  # by class * _COLUMNS + bucket
        self.seconds = 0.0
        self.bytes_in = 0
        self.bytes_out = 0

    def add(self, status: int, seconds: float, bytes_in: int, bytes_out: int) -> None:
        """Count one exchange. Status 0 (the client left before an answer) counts in class 0, one that is past 599 in
        class 5 (RFC 9110 section 15).
        """
        cell = (status // 100 if status < 600 else 5) * _COLUMNS + bisect_left(BUCKETS, seconds)
        try:
            self._cells[cell] += 1
        except KeyError:
            self._cells[cell] = 1
        self.seconds += seconds
        if bytes_in:
            self.bytes_in += bytes_in
        self.bytes_out += bytes_out

    @property
    def classes(self) -> list[int]:
        """Requests by `status // 100`."""
        counts = [0] * CLASSES
        for cell, count in self._cells.items():
            counts[cell // _COLUMNS] += count
        return counts

    @property
    def buckets(self) -> list[int]:
        """Requests by the bucket of their latency; the last is for those that took longer than all of BUCKETS."""
        counts = [0] * _COLUMNS
        for cell, count in self._cells.items():
            counts[cell % _COLUMNS] += count
        return counts


class WorkerCounters:
    """The worker-wide counts, one integer for each of WORKER_COUNTS."""

    __slots__ = WORKER_COUNTS

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> int: ...

        def __setattr__(self, name: str, value: int) -> None: ...

    def __init__(self) -> None:
        for name in WORKER_COUNTS:
            setattr(self, name, 0)

    def values(self) -> list[int]:
        """The counts in the order of WORKER_COUNTS."""
        return [getattr(self, name) for name in WORKER_COUNTS]


class RuleReport(msgspec.Struct, array_like=True):
    """The wire form of `RuleCounters`, with its labels. Rule "" counts what no rule took (404, 400 ...)."""

    listener: str
    route: str
    rule: str
    classes: list[int]
    buckets: list[int]
    seconds: float
    bytes_in: int
    bytes_out: int


class Report(msgspec.Struct):
    """What one worker counted since it started. `counts` follows WORKER_COUNTS."""

    worker: int
    counts: list[int]
    connections: int = 0
    requests_in_flight: int = 0
    idle_upstreams: int = 0
    rules: list[RuleReport] = []


encode_report = msgspec.msgpack.Encoder().encode
decode_report = msgspec.msgpack.Decoder(Report).decode
