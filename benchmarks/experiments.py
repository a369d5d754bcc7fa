"""What is measured beside the workloads: memory that connections, bodies and routes take, and how soon files count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from benchmarks import bodies, idle, reload, start
from benchmarks.driver import Setting

Row = Mapping[str, str | float]


@dataclass(frozen=True)
class Column:
    """One figure of a table: the key of the row, `scale` of it, with so many places after the point."""

    title: str
    key: str
    places: int = 1
    scale: float = 1.0

    def cell(self, row: Row) -> str:
        value = row[self.key]
        return value if isinstance(value, str) else f"{value * self.scale:,.{self.places}f}"


@dataclass(frozen=True)
class Experiment:
    """`alone`: gatewayd only. `note` says what the columns are."""

    name: str
    title: str
    note: str
    columns: tuple[Column, ...]
    measure: Callable[[Setting], Iterator[dict[str, str | float]]]
    alone: bool = True

    def words(self, rows: Sequence[Row]) -> int:
        """How many columns, the first ones, are words and not figures."""
        return sum(isinstance(rows[0][column.key], str) for column in self.columns)

    def table(self, rows: Sequence[Row]) -> list[list[str]]:
        """The head and one line for each row."""
        titles = [column.title for column in self.columns]
        return [titles, *([column.cell(row) for column in self.columns] for row in rows)]


MIB, KB = 1 / (1 << 20), 1 / 1000
ERRORS = Column("errors", "errors", 0)
IDLE = """\
Memory that the serving processes gained by connections which do nothing, divided by their number: after the greeting
of the protocol (of HTTP/2 the preface and both SETTINGS with their acknowledgements), and after one request on each.
`errors` are connections that were closed, or answered wrongly. gatewayd has more connections than its peers, and as
many workers as it takes to have descriptors for them. What a proxy sets aside at its start for connections to come is
not in it."""
BODIES = """\
gatewayd's worker while one large body passes on one connection: what was resident before, and by how much the peak was
above it."""
START = """\
gatewayd from the start of its process until it says that it is ready, with one worker, and what is resident then. The
quickstart is the folder of the README; with more routes, each has a file of its own beside it."""
RELOAD = f"""\
From the rename (or removal) of one file until the last of {reload.WORKERS} workers answers by the new state; workers,
supervisor, client and backend share two cores. The files are those of the table above. `supervisor ms` is CPU time of
the supervisor meanwhile, the median."""

EXPERIMENTS = {
    experiment.name: experiment
    for experiment in (
        Experiment(
            "idle",
            "Memory for an idle connection",
            IDLE,
            (
                Column("protocol", "protocol"),
                Column("proxy", "proxy"),
                Column("connections", "connections", 0),
                Column("kB idle", "idle_bytes", scale=KB),
                Column("kB after a request", "used_bytes", scale=KB),
                ERRORS,
            ),
            idle.measure,
            alone=False,
        ),
        Experiment(
            "bodies",
            "Memory for a large body",
            BODIES,
            (
                Column("protocol", "protocol"),
                Column("direction", "direction"),
                Column("body MiB", "mebibytes", 0),
                Column("before MiB", "before_bytes", scale=MIB),
                Column("growth MiB", "growth_bytes", scale=MIB),
                ERRORS,
            ),
            bodies.measure,
        ),
        Experiment(
            "start",
            "Start, and memory for routes",
            START,
            (
                Column("size", "size"),
                Column("starts", "starts", 0),
                Column("median ms", "median_ms", 0),
                Column("max ms", "max_ms", 0),
                Column("worker MiB", "worker_bytes", scale=MIB),
                Column("supervisor MiB", "supervisor_bytes", scale=MIB),
            ),
            start.measure,
        ),
        Experiment(
            "reload",
            "From a change of a file to its effect",
            RELOAD,
            (
                Column("size", "size"),
                Column("change", "change"),
                Column("changes", "changes", 0),
                Column("median ms", "median_ms"),
                Column("max ms", "max_ms"),
                Column("supervisor ms", "supervisor_ms"),
            ),
            reload.measure,
        ),
    )
}
