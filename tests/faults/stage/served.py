"""A real `gatewayd run`, whose output goes to files, so that a flood of lines is nobody's load."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.faults.stage import proc
from tests.processes import PATIENCE, ROOT, assert_bound, free_port
from tests.talk import fetch

Target = int | None


class Served:
    """One gateway. `ports` maps the ports that the files write to those that are bound."""

    def __init__(
        self,
        folder: Path,
        scratch: Path,
        *,
        ports: Sequence[int] = (80,),
        workers: int = 2,
        options: Sequence[str] = (),
        prefix: Sequence[str] = (),
        access_log: str | None = None,
    ) -> None:
        self.ports = {port: free_port() for port in ports}
        self.admin = free_port()
        mapped = ",".join(f"{written}={bound}" for written, bound in self.ports.items())
        log = str(scratch / "access.log") if access_log is None else access_log
        self.command = [*prefix, sys.executable, "-m", "gatewayd", "run", str(folder), "--workers", str(workers)]
        self.command += ["--admin", f"127.0.0.1:{self.admin}", "--port-map", mapped, "--access-log", log, *options]
        self._scratch = scratch
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port that stands for 80."""
        return self.ports[80]

    @property
    def pid(self) -> int:
        """The supervisor."""
        assert self._child is not None
        return self._child.pid

    @property
    def workers(self) -> list[int]:
        """The worker processes that run."""
        return proc.children(self.pid)

    @property
    def log(self) -> str:
        """What was written to standard error."""
        return (self._scratch / "stderr").read_text(errors="replace")

    @property
    def running(self) -> bool:
        """Whether the supervisor runs."""
        return self._child is not None and self._child.poll() is None

    def _says_so(self) -> bool:
        return b"gatewayd ready:" in (self._scratch / "stdout").read_bytes()

    async def start(self, stdout: Target = None, stderr: Target = None) -> None:
        """Start, and wait until it is ready. `stdout` and `stderr` are descriptors to use in place of the files."""
        with (self._scratch / "stdout").open("wb") as out, (self._scratch / "stderr").open("ab") as err:
            self._child = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out if stdout is None else stdout,
                stderr=err if stderr is None else stderr,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                start_new_session=True,
            )
        ready = self._says_so if stdout is None else self._healthy
        await self.until(lambda: not self.running or ready(), "the gateway is ready")
        assert self.running, f"the gateway ended\n{self.log[-2000:]}"
        assert_bound(self.log)

    async def until(self, condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> float:
        """Wait for a condition; the seconds that it took. AssertionError when it takes too long."""
        began = time.monotonic()
        while not condition():
            late = time.monotonic() > began + patience
            assert not late, f"waited {patience:g} s in vain until {what}\n{self.log[-2000:]}"
            await asyncio.sleep(0.01)
        return time.monotonic() - began

    def _healthy(self) -> bool:
        try:
            return fetch(self.admin, "/readyz").status == 200
        except OSError:
            return False

    async def metrics(self) -> dict[str, float]:
        """All metrics: series as written -> value."""
        body = (await asyncio.to_thread(fetch, self.admin, "/metrics")).body.decode()
        return {name: float(value) for name, value in re.findall(r"^(\w+(?:\{.*\})?) (\S+)$", body, re.MULTILINE)}

    async def metric(self, name: str) -> float:
        """The sum of a metric over its series."""
        found = [value for series, value in (await self.metrics()).items() if series.partition("{")[0] == name]
        assert found, f"there is no metric {name}"
        return sum(found)

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process of this gateway."""
        os.kill(pid, number)

    async def wait(self, patience: float = PATIENCE) -> int:
        """The exit code."""
        assert self._child is not None
        return await asyncio.to_thread(self._child.wait, patience)

    async def stop(self) -> None:
        """End it: asked twice, then killed."""
        if self._child is None:
            return
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            if self._child.poll() is None:
                self._child.send_signal(number)
                try:
                    await self.wait(5.0)
                except subprocess.TimeoutExpired:
                    continue
        await self.wait()
