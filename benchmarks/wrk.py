"""wrk: one thread, 64 connections that stay open. Prints its own figures through `lua/load.lua`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from benchmarks.outcome import Outcome, Target
from benchmarks.peers.peer import find

SCRIPT = Path(__file__).parent / "lua" / "load.lua"
CONNECTIONS = 64
ERRORS = ("status", "connect", "read", "write", "timeout")


def available() -> bool:
    return find("wrk") is not None


def run(target: Target, seconds: float, shape: str) -> Outcome:
    """Requests of `shape` (`plain` or `browser`, see the script). wrk counts whole seconds, at least one."""
    url = f"{'https' if target.tls else 'http'}://localhost:{target.port}/api/"
    options = ["-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "10s", "-s", str(SCRIPT)]
    command = [find("wrk") or "wrk", *options, url, "--", shape, str(target.hosts)]
    finished = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
    return parse(finished.stdout)


def parse(output: str) -> Outcome:
    """The line that the script printed."""
    line = next((line for line in output.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise ValueError(f"wrk printed no result: {output!r}")
    figures = json.loads(line.removeprefix("RESULT "))
    return Outcome(
        count=figures["requests"],
        seconds=figures["microseconds"] / 1e6,
        errors=sum(figures[kind] for kind in ERRORS),
        p50=figures["p50"],
        p99=figures["p99"],
    )
