"""Where the figures come from: processor, kernel, versions of everything that took part."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks import greeter
from benchmarks.peers.peer import Peer, find


def processor() -> str:
    """The processor's name and how many of its cores we may use."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{found.group(1).strip() if found else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def version(name: str, option: str) -> str:
    """The second word of what a load generator says of itself."""
    program = find(name)
    if program is None:
        return "none"
    finished = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return (finished.stdout + finished.stderr).split()[1]


def go() -> str:
    """Go, as it calls itself."""
    program = find("go")
    if program is None:
        return "no Go"
    finished = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    return next((word for word in finished.stdout.split() if re.match(r"go\d", word)), "no Go")


def shared_memory() -> str | None:
    """Uploads and logs are written there: memory, not a disk."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108


def facts() -> dict[str, str]:
    return {
        "processor": processor(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "wrk": version("wrk", "-v"),
        "h2load": version("h2load", "--version"),
        "gRPC server": f"grpc-go {greeter.version()}, {go()}",
    }


def versions(peers: Iterable[Peer]) -> dict[str, str]:
    return {peer.name: peer.version() for peer in peers}
