"""What the kernel knows of a running proxy: CPU time and memory of its processes; and on which core it runs."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Launch

PROC = Path("/proc")


def cores() -> tuple[int, int]:
    """(core of load generator and backend, core of the proxy); the same one where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 if len(allowed) > 1 else 0]


def pin(*cores: int) -> None:
    """The caller and all its threads and children run on these cores from now on."""
    os.sched_setaffinity(0, cores)


def raise_open_files() -> int:
    """As many descriptors as may be, for the caller and its children; how many that are."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def cpu_seconds(process: int) -> float:
    """CPU time of a process, of all its threads, living or not, to the nanosecond.

    The clock id of a process is (~pid << 3) | 2 (CPUCLOCK_SCHED): what clock_getcpuclockid(3) computes.
    """
    return time.clock_gettime((~process << 3) | 2)


def children(process: int) -> list[int]:
    """All descendants, by asking every process for its parent."""
    parents: dict[int, list[int]] = {}
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(stat.parent.name))
    found: list[int] = []
    queue = [process]
    while queue:
        queue += (mine := parents.get(queue.pop(), []))
        found += mine
    return sorted(found)


def memory(process: int, field: str = "VmRSS") -> int:
    """Bytes: `VmRSS` is what is resident now, `VmHWM` the most since the last `forget_peak`."""
    for line in (PROC / str(process) / "status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def forget_peak(process: int) -> None:
    """VmHWM begins anew (proc(5), clear_refs)."""
    (PROC / str(process) / "clear_refs").write_text("5")


@dataclass(frozen=True)
class Reading:
    """CPU seconds and resident bytes at one moment; `workers` serve, the supervisor (if it is another) does not."""

    workers: float
    supervisor: float
    supervisor_resident: int
    resident: int
    peak: int
    processes: tuple[int, ...]


class Running:
    """A started program. Its workers are its descendants, or itself when it has none."""

    def __init__(self, name: str, launch: Launch, cores: Iterable[int], folder: Path) -> None:
        self.name = name
        self.output = folder / "output.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                launch.command,
                env={**os.environ, **launch.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=partial(pin, *cores),  # noqa: PLW1509  the driver starts programs before it has threads
            )

    def workers(self) -> list[int]:
        return children(self.process.pid) or [self.process.pid]

    def forget_peak(self) -> None:
        for worker in self.workers():
            forget_peak(worker)

    def read(self) -> Reading:
        workers = self.workers()
        above = self.process.pid not in workers
        return Reading(
            workers=sum(map(cpu_seconds, workers)),
            supervisor=cpu_seconds(self.process.pid) if above else 0.0,
            supervisor_resident=memory(self.process.pid) if above else 0,
            resident=sum(map(memory, workers)),
            peak=sum(memory(worker, "VmHWM") for worker in workers),
            processes=tuple(workers),
        )

    def complaint(self) -> str:
        """The end of what it printed, for messages."""
        return self.output.read_text(errors="replace")[-2000:].strip()

    def stop(self) -> None:
        """End it, and all that it started."""
        end_session(self.process)


def end_session(process: subprocess.Popen[Any]) -> None:
    """SIGTERM, and after five seconds SIGKILL, to the whole session that a process leads."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(5)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
    process.wait()
