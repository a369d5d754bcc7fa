"""A gatewayd that was started and has said that it is ready; how long that takes, and how large it is then."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.driver import CORES, Setting, WrongError
from benchmarks.estate import PORT, QUICKSTART, Estate
from benchmarks.machine import shared_memory
from benchmarks.measure import children, end_session, memory, pin
from benchmarks.site import free_ports

READY = re.compile(r"^gatewayd ready: .*")
PATIENCE = 120.0


class Begun:
    """The process, its workers, and the seconds from its start to the line that says that it is ready."""

    def __init__(self, folder: Path, port: int, workers: int, *options: str) -> None:
        command = [sys.executable, "-m", "gatewayd", "run", str(folder), "--workers", str(workers)]
        command += ["--port-map", f"{PORT}={port}", "--admin", "off", *options]
        began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            preexec_fn=partial(pin, *CORES),  # noqa: PLW1509  the driver has no threads now
        )
        self._watchdog = threading.Timer(PATIENCE, self.process.kill)
        self._watchdog.start()
        assert self.process.stdout is not None
        self.line = next(filter(READY.match, self.process.stdout), "")
        self.seconds = time.perf_counter() - began
        self._watchdog.cancel()
        if not self.line:
            self.stop()
            raise WrongError(f"gatewayd with {folder} was not ready in {PATIENCE:.0f} s")
        self.workers = children(self.process.pid)

    def stop(self) -> None:
        """End it, with its workers."""
        end_session(self.process)
        assert self.process.stdout is not None
        self.process.stdout.close()


@contextmanager
def workplace() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="gatewayd-bench-", dir=shared_memory()) as folder:
        yield Path(folder)


def measure(setting: Setting) -> Iterator[dict[str, str | float]]:
    """One row for each size: the quickstart alone, and with so many routes beside it."""
    for routes in setting.effort.start_sizes:
        with workplace() as folder:
            files = QUICKSTART if routes == 0 else Estate(folder / "objects", routes, 9).folder
            yield row(routes, files, setting.effort.starts)


def row(routes: int, files: Path, starts: int) -> dict[str, str | float]:
    """Milliseconds and bytes of some starts, one after the other."""
    taken, workers, supervisors = [], [], []
    for _ in range(starts):
        begun = Begun(files, free_ports(1)[0], 1)
        try:
            taken.append(begun.seconds * 1000)
            workers.append(memory(begun.workers[0]))
            supervisors.append(memory(begun.process.pid))
        finally:
            begun.stop()
    return {
        "size": size(routes),
        "starts": starts,
        "median_ms": median(taken),
        "max_ms": max(taken),
        "worker_bytes": median(workers),
        "supervisor_bytes": median(supervisors),
    }


def size(routes: int) -> str:
    """What a configuration is called."""
    return f"{routes:,} routes" if routes else "quickstart"
