"""Where the figures come from: processor, kernel, versions of everything that took part."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks.peers.peer import Peer, find


def processor() -> str:
    """The processor's name and how many of its cores we may use."""
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return f"{found.group(1).strip() if found else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


def wrk_version() -> str:
    program = find("wrk")
    if program is None:
        return "none"
    finished = subprocess.run([program, "-v"], capture_output=True, text=True, check=False)
    return (finished.stdout + finished.stderr).split()[1]


def facts() -> dict[str, str]:
    return {
        "processor": processor(),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "wrk": wrk_version(),
    }


def versions(peers: Iterable[Peer]) -> dict[str, str]:
    return {peer.name: peer.version() for peer in peers}
