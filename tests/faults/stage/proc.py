"""What /proc tells of processes: memory, processor time, descriptors, children, and whose a connection is."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
LISTENING = "0A"


def rss(pid: int) -> int:
    """Resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def cpu(pid: int) -> float:
    """Seconds of processor time, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def descriptors(pid: int) -> int:
    """How many descriptors are open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def alive(pid: int) -> bool:
    """Whether the process runs (one that ended and was not waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    """The processes that a process started and that run."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [child for child in map(int, listed) if alive(child)]


def owners(port: int, pids: list[int]) -> dict[int, int]:
    """Whose the connections to a port are: client's port -> process that holds the server's end."""
    places = {inode: remote for local, remote, _, inode in _tcp() if local == port}
    return {places[inode]: pid for pid in pids for inode in _inodes(pid) if inode in places}


def listens(pid: int, port: int) -> bool:
    """Whether a process holds a listening socket of a port."""
    waiting = {inode for local, _, state, inode in _tcp() if local == port and state == LISTENING}
    return bool(waiting & _inodes(pid))


def _tcp() -> list[tuple[int, int, str, str]]:
    """(local port, remote port, state, inode) of every IPv4 socket."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [(int(row[1][9:], 16), int(row[2][9:], 16), row[3], row[9]) for row in rows]


def _inodes(pid: int) -> set[str]:
    found = set()
    with suppress(FileNotFoundError, ProcessLookupError):
        for entry in os.listdir(f"/proc/{pid}/fd"):
            with suppress(FileNotFoundError):
                target = os.readlink(f"/proc/{pid}/fd/{entry}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found
