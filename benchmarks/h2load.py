"""h2load: one thread, some connections with some streams each, all in use all the time.

Told how long to run (`-D`), it says nothing of requests that were lost with their connection; told how many to send
(`-n`), it does. So a short run with `-D` tells the pace, and the run proper has as many requests as that pace makes of
the time. Its summary has no percentiles; they come from the log of all requests.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.machine import shared_memory
from benchmarks.outcome import Outcome, Target, percentiles
from benchmarks.peers.peer import find
from benchmarks.site import LOOPBACK

PACE = 0.2  # seconds: how long the pace is taken
SILENCE = "10s"  # a connection without answers for so long is given up, its requests are errors
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
FINISHED = re.compile(r"^finished in ([0-9.]+)(us|ms|s),", re.MULTILINE)
REQUESTS = re.compile(r"^requests: (\d+) total, .* (\d+) succeeded,", re.MULTILINE)


@dataclass(frozen=True)
class Load:
    """So many connections, each with so many streams."""

    connections: int
    streams: int

    def command(self, target: Target, *amount: str) -> list[str]:
        """One request on each stream at a time. The name asked for is localhost, for SNI and for routes."""
        shape = ["-t1", f"-c{self.connections}", f"-m{self.streams}", "-N", SILENCE, *amount]
        url = f"{'https' if target.tls else 'http'}://localhost:{target.port}/api/"
        return [find("h2load") or "h2load", *shape, f"--connect-to={LOOPBACK}:{target.port}", url]


def run(target: Target, seconds: float, load: Load) -> Outcome:
    """Both runs together: what was answered, in which time. Percentiles are those of the run proper."""
    pace = parse(output(load.command(target, "-D", f"{round(PACE * 1000)}ms")))
    wanted = max(load.connections * load.streams, round(pace.count / pace.seconds * seconds))
    with tempfile.TemporaryDirectory(prefix="gatewayd-bench-", dir=shared_memory()) as folder:
        log = Path(folder) / "requests"
        main = parse(output(load.command(target, "-n", str(wanted), f"--log-file={log}"), seconds))
        p50, p99 = percentiles(times(log.read_text()))
    both = replace(main, count=pace.count + main.count, seconds=pace.seconds + main.seconds)
    return replace(both, errors=pace.errors + main.errors, p50=p50, p99=p99)


def output(command: list[str], seconds: float = PACE) -> str:
    """What it prints; TimeoutExpired when it takes far longer than it should."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10 * seconds + 60).stdout


def parse(printed: str) -> Outcome:
    """The summary. What it took from us and did not answer with 2xx or 3xx, for whatever reason, is an error."""
    finished, requests = FINISHED.search(printed), REQUESTS.search(printed)
    if finished is None or requests is None:
        raise ValueError(f"h2load printed no result: {printed!r}")
    total, succeeded = map(int, requests.groups())
    return Outcome(succeeded, float(finished[1]) * UNITS[finished[2]], total - succeeded)


def times(log: str) -> list[float]:
    """Microseconds of each request. Lines are: when it began, status (-1: failed), microseconds, between tabs."""
    fields = (line.split("\t") for line in log.splitlines())
    return [float(taken) for _, status, taken in fields if status == "200"]
