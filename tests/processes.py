"""Real processes for the tests: started from a list, watched line by line, ended by their own id."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from gatewayd.server.limits import raise_open_files

ROOT = Path(__file__).parents[1]
PATIENCE = 60.0  # seconds; for a machine ten times slower than one where a condition takes some seconds
PORTS = range(10240, 32000)  # outside the range from which the kernel takes ports for connections
BLOCK = 64  # how many ports a run reserves at a time

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], what: str, patience: float = PATIENCE) -> T:
    """The first true value of `condition`; AssertionError after `patience` seconds."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {patience:g} s in vain until {what}"
        time.sleep(0.01)
    return value


_reserved: list[int] = []


def free_port() -> int:
    """A port that nobody listens on.

    Never the same one twice, nor one that another run on this machine may give away: until somebody binds it, a port
    that was given away still looks free.
    """
    while True:
        if not _reserved:
            _reserved.extend(_reserve())
        port = _reserved.pop()
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port


def _reserve() -> list[int]:
    """The ports of a block that no other process reserved, in any order.

    Who binds the block's name, an abstract one that is no file, has it until its process ends: the descriptor is never
    closed. Network namespaces have names of their own, as they have ports.
    """
    dice = random.SystemRandom()
    for first in dice.sample(PORTS[::BLOCK], len(PORTS[::BLOCK])):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0gatewayd tests, {BLOCK} ports from {first}")
        except OSError:
            name.close()
            continue
        name.detach()
        return dice.sample(range(first, first + BLOCK), BLOCK)
    raise AssertionError(f"other runs of the tests have reserved all ports of {PORTS}")


def affordable(count: int, descriptors: int) -> int:
    """How many of `count` things, each of so many descriptors, a process may hold here; this one's limit is raised."""
    return min(count, raise_open_files() // descriptors)


def assert_bound(output: str) -> None:
    """A gateway that says this of itself has every port that it was told to listen on."""
    taken = [line for line in output.splitlines() if "cannot listen on" in line]
    assert not taken, f"what this test sends would reach somebody else: {taken}"


class Process:
    """A child process whose output is collected. `command` is a list; a leading "gatewayd" runs this checkout's."""

    def __init__(self, command: Sequence[str], *, env: dict[str, str] | None = None, cwd: Path | None = None) -> None:
        if command[0] == "gatewayd":
            command = [sys.executable, "-W", "error", "-m", *command]
        paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        self.command = list(command)
        self.lines: list[str] = []  # both streams, as they come
        self._child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", **(env or {})},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            self.lines.append(line.rstrip("\n"))

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def line(self, pattern: str, count: int = 1, patience: float = PATIENCE) -> re.Match[str]:
        """Wait for the `count`-th line in which `pattern` is found."""

        def found() -> re.Match[str] | None:
            hits = [hit for text in list(self.lines) if (hit := re.search(pattern, text))]
            if len(hits) < count and not self.running:
                self._reader.join(PATIENCE)
                hits = [hit for text in self.lines if (hit := re.search(pattern, text))]
                assert len(hits) >= count, f"{self.command} ended without a line like {pattern}:\n{self.output}"
            return hits[count - 1] if len(hits) >= count else None

        try:
            return wait_until(found, f"{self.command[3:6]} prints {pattern!r}", patience)
        except AssertionError as error:
            raise AssertionError(f"{error}; it printed:\n{self.output}") from None

    def signal(self, number: int) -> None:
        self._child.send_signal(number)

    def wait(self, patience: float = PATIENCE) -> int:
        """The exit code, once the process has ended and all it printed is read."""
        code = self._child.wait(patience)
        self._reader.join(PATIENCE)
        return code

    def stop(self) -> int:
        """SIGTERM, and SIGKILL if that does not help in time; the exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            return self.wait()
        finally:
            if self._child.stdout is not None:
                self._child.stdout.close()


class Echo(Process):
    """A `gatewayd echo` on a free port."""

    def __init__(self, name: str, *options: str, port: int = 0) -> None:
        super().__init__(["gatewayd", "echo", "--name", name, "--port", str(port), *options])
        self.name = name
        self.port = int(self.line(r"listening on .*:(\d+)$")[1])


class Gateway(Process):
    """A `gatewayd run` that is ready. `ports` maps the ports that the files write to those that are bound."""

    def __init__(
        self, *paths: Path | str, ports: Sequence[int] = (), workers: int = 1, options: Sequence[str] = ()
    ) -> None:
        self.ports = {port: free_port() for port in ports}
        self.admin = free_port()
        mapped = ",".join(f"{written}={bound}" for written, bound in self.ports.items())
        command = ["gatewayd", "run", *map(str, paths), "--workers", str(workers)]
        command += ["--admin", f"127.0.0.1:{self.admin}", "--port-map", mapped, *options]
        super().__init__(command)
        self.line("gatewayd ready:")
        assert_bound(self.output)


def workers(supervisor: int) -> list[int]:
    """The processes that the supervisor has started and that live."""
    children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    return [int(child) for child in children]
