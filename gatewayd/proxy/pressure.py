"""Memory pressure: what a worker gives up, step by step, before the kernel takes all of it.

The limit is the control group's (a container's). Without one there is nothing to measure against, and nothing is shed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

CLOSE_IDLE = 0.85  # connections that only wait are closed, and none is kept after its answer
SHED = 0.92  # new requests are answered 503
STOP_ACCEPTING = 0.95  # new connections are left in the queue
EXHAUSTED = 0.98  # the worker ends, and a new one begins with an empty heap

_GROUP = Path("/sys/fs/cgroup")
_UNRECLAIMABLE = (b"anon", b"kernel", b"sock", b"shmem")
_RECLAIMABLE = (b"total_active_file", b"total_inactive_file")  # of cgroup v1
_UNLIMITED = 1 << 60


class Pressure:
    """How full the memory is: `level` is a share of the limit, 0.0 without a limit."""

    __slots__ = ("_read", "level")

    def __init__(self, read: Callable[[], float] | None = None) -> None:
        self._read = group_reader() if read is None else read
        self.level = 0.0

    def sweep(self) -> None:
        """Read again; 50 us where there is a limit."""
        if self._read is not None:
            self.level = self._read()


def group_reader(group: Path = _GROUP) -> Callable[[], float] | None:
    """A reader of used / limit of a control group (cgroup v2 or v1), None where it has no limit. Page cache does not
    count: the kernel takes it back by itself.
    """
    try:
        limit = int((group / "memory.max").read_text())
    except (OSError, ValueError):  # no group of version 2, or "max"
        return _old_group_reader(group / "memory")

    def read() -> float:
        used = _numbers(group / "memory.stat")
        return sum(int(used.get(name, 0)) for name in _UNRECLAIMABLE) / limit

    return read


def _old_group_reader(group: Path) -> Callable[[], float] | None:
    """The same for cgroup v1, whose limit is that of the strictest group around, and a huge number where there is none.
    Its usage counts page cache too.
    """
    try:
        limit = int(_numbers(group / "memory.stat")[b"hierarchical_memory_limit"])
    except (OSError, ValueError, KeyError):
        return None
    if limit >= _UNLIMITED:
        return None

    def read() -> float:
        used = int((group / "memory.usage_in_bytes").read_bytes())
        cached = _numbers(group / "memory.stat")
        return max(0, used - sum(int(cached.get(name, 0)) for name in _RECLAIMABLE)) / limit

    return read


def _numbers(file: Path) -> dict[bytes, bytes]:
    """The numbers by name of a file with one of each in a line. OSError."""
    return dict(line.split() for line in file.read_bytes().splitlines())
