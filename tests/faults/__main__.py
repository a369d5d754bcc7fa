"""`python -m tests.faults [F01 F08 ...] [--quick]`: break things on purpose, and measure what it cost the clients.

Prints a table for each experiment, writes the figures as JSON to tests/faults/out/, exits with 1 when one is out of
its bounds. Each experiment is a module `fNN_name.py` with a TITLE and `async def run(stage) -> list[Figure]`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

from tests.faults.stage.figures import Figure, table
from tests.faults.stage.stage import Stage

HERE = Path(__file__).parent
OUT = HERE / "out"
DESCRIPTORS = 16384


def experiments() -> dict[str, str]:
    """Identity -> module: {"F01": "f01_worker_killed"}."""
    return {path.stem[:3].upper(): path.stem for path in sorted(HERE.glob("f[0-9][0-9]_*.py"))}


async def perform(module: Any, *, quick: bool) -> list[Figure]:
    """Run one experiment in a folder of its own. What breaks the experiment itself is a figure that fails."""
    with tempfile.TemporaryDirectory(prefix="gatewayd-faults-") as scratch:
        try:
            async with AsyncExitStack() as stack:
                figures: list[Figure] = await module.run(Stage(Path(scratch), stack, quick=quick))
                if not all(figure.passed for figure in figures):
                    _keep_logs(Path(scratch), module.__name__.rpartition(".")[2][:3].upper())
        except (AssertionError, OSError) as error:
            return [Figure(f"the experiment itself: {type(error).__name__}: {error}", 0, "", "none", passed=False)]
    return figures


def _keep_logs(scratch: Path, name: str) -> None:
    """What the gateway said of itself, beside the figures that are out of bounds."""
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.log").write_text((scratch / "stderr").read_text(errors="replace"))


def main(argv: Sequence[str] | None = None) -> int:
    """0 when every figure is within its bounds, 1 when one is not, 2 for wrong usage."""
    known = experiments()
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Run the fault experiments.")
    parser.add_argument("names", nargs="*", metavar="F01", help=f"which (default: all of {' '.join(known)})")
    parser.add_argument("--quick", action="store_true", help="a few seconds each")
    arguments = parser.parse_args(argv)
    wanted = [name.upper() for name in arguments.names] or list(known)
    if unknown := [name for name in wanted if name not in known]:
        parser.error(f"there is no experiment {', '.join(unknown)}; there are {' '.join(known)}")
    _raise_descriptors()
    results = [_one(name, known[name], quick=arguments.quick) for name in wanted]
    failed = [result["experiment"] for result in results if not result["passed"]]
    exceptions = f"; not: {' '.join(failed)}" if failed else ""
    _say(f"{len(results) - len(failed)} of {len(results)} experiments within bounds{exceptions}")
    return 1 if failed else 0


def _one(name: str, module_name: str, *, quick: bool) -> dict[str, Any]:
    module = importlib.import_module(f"tests.faults.{module_name}")
    (OUT / f"{name}.log").unlink(missing_ok=True)
    began = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(perform(module, quick=quick))
    took = time.monotonic() - began
    _say("\n".join(table(f"{name} {module.TITLE} ({took:.0f} s)", figures)) + "\n")
    passed = all(figure.passed for figure in figures)
    result = {
        "experiment": name, "title": module.TITLE, "quick": quick, "seconds": round(took, 1), "passed": passed,
        "figures": [asdict(figure) for figure in figures],
    }  # fmt: skip
    OUT.mkdir(exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def _raise_descriptors() -> None:
    """Thousands of clients need descriptors here; the gateways get theirs by their own limits."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, DESCRIPTORS) if hard >= 0 else DESCRIPTORS, hard))


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
