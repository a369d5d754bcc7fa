"""`python -m tests.conformance [--run NAME,...]`: build, run the suite, write the reports."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gatewayd
from tests.conformance import build, report
from tests.conformance.standin.cluster import GATEWAY_CLASS, UNUSABLE, USABLE, NotReady, cluster, stop

REPORTS = build.HERE / "report"
PROFILES = "GATEWAY-HTTP,GATEWAY-GRPC,GATEWAY-TLS,GATEWAY-TCP,GATEWAY-UDP"
TIMEOUT = "90m"
# Seconds, below the suite's own limits: what takes as long is a failure here, and failures end sooner.
LIMITS = {
    "GatewayMustHaveAddress": 10,
    "GatewayMustHaveCondition": 10,
    "GatewayStatusMustHaveListeners": 10,
    "GatewayListenersMustHaveConditions": 10,
    "ListenerSetMustHaveCondition": 10,
    "ListenerSetListenersMustHaveConditions": 10,
    "GWCMustBeAccepted": 30,
    "HTTPRouteMustNotHaveParents": 10,
    "HTTPRouteMustHaveCondition": 10,
    "TLSRouteMustHaveCondition": 10,
    "TCPRouteMustHaveCondition": 10,
    "UDPRouteMustHaveCondition": 10,
    "RouteMustHaveParents": 10,
    "LatestObservedGenerationSet": 10,
    "DefaultTestTimeout": 10,
    "MaxTimeToConsistency": 8,
    "NamespacesMustBeReady": 15,
}


def main() -> int:
    """The exit code: 0 when every test that ran passed, 1 when not, 2 when none could run."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    only = "only these tests, without writing the reports; `passed`: all that passed in the report"
    parser.add_argument("--run", default="", metavar="NAME,...", help=only)
    parser.add_argument("--debug", action="store_true", help="let the suite print requests and responses")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("the suite's Gateways listen on ports 80 and 443: run this as root", file=sys.stderr)
        return 2
    try:
        with alone():
            build.build()
            names = tuple(filter(None, arguments.run.split(",")))
            if names == ("passed",):
                names = report.passed((REPORTS / "README.md").read_text())
            return asyncio.run(interruptible(run(names, debug=arguments.debug)))
    except (build.Unbuildable, NotReady) as error:
        print(error, file=sys.stderr)
        return 2


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two runs at once would share addresses and files."""
    build.OUT.mkdir(exist_ok=True)
    with (build.OUT / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotReady("another run of the suite is going on here; wait for its end") from None
        yield


async def interruptible(work: Coroutine[Any, Any, int]) -> int:
    """`work`, which SIGTERM ends as SIGINT does: so that no process stays behind."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return 130


async def run(names: tuple[str, ...], *, debug: bool) -> int:
    """Run the tests of these names, or all with the reports written."""
    directory = build.OUT / "run"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    listing = list_tests(directory)
    unknown = set(names) - {test["name"] for test in listing["tests"]}
    if unknown:
        raise build.Unbuildable(f"the suite has no test named {', '.join(sorted(unknown))}")
    official = directory / "report.yaml"
    arguments = suite_arguments(listing, names, official) + (["--debug"] if debug else [])
    print(f"logs: {directory}", file=sys.stderr)
    async with cluster(directory, build.definitions(), build.ECHO) as config:
        lines = await run_suite(arguments, config, directory / "suite.log")
    found = report.results(listing, lines)
    summary(found)
    if not names and official.exists():
        write_reports(found, official)
    return 0 if found and not report.counts(found)["failed"] else 1


def list_tests(directory: Path) -> dict[str, Any]:
    """What the suite consists of."""
    path = directory / "listing.json"
    command: list[str | Path] = [build.SUITE, "-test.run", "^TestListing$", "-listing", path]
    subprocess.run(command, check=True, cwd=build.HERE, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def suite_arguments(listing: dict[str, Any], names: tuple[str, ...], official: Path) -> list[str]:
    """Every feature is claimed but those of meshes."""
    claimed = sorted(name for name in listing["features"] if not name.startswith("Mesh"))
    wanted = f"^TestConformance$/^({'|'.join(names)})$" if names else "^TestConformance$"
    return [
        *("-test.v", "-test.run", wanted, "-test.timeout", TIMEOUT),
        "--disable-parallel-tests",  # a test that fails slowly leaves its grants and Gateways in its neighbours' way
        *("--gateway-class", GATEWAY_CLASS, "--supported-features", ",".join(claimed)),
        *("--conformance-profiles", PROFILES, "--report-output", str(official)),
        *("--timeout-config-overrides", ";".join(f"{name}:{seconds}" for name, seconds in LIMITS.items())),
        *("--usable-address", USABLE, "--unusable-address", UNUSABLE),
        *("--organization", "gatewayd", "--project", "gatewayd", "--version", gatewayd.__version__),
        *("--url", "gatewayd.dev", "--contact", "gatewayd.dev"),
    ]


async def run_suite(arguments: list[str], config: Path, log: Path) -> list[str]:
    """The lines that the suite prints. It tells the outcomes at its end only; meanwhile we name what it does."""
    process = await asyncio.create_subprocess_exec(
        build.SUITE,
        *arguments,
        cwd=build.HERE,
        env={**os.environ, "KUBECONFIG": str(config)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=2**24,
    )
    lines: list[str] = []
    begun = asyncio.get_running_loop().time()
    try:
        assert process.stdout is not None
        with log.open("w") as out:
            async for data in process.stdout:
                line = data.decode("utf-8", "replace").rstrip("\n")
                out.write(line + "\n")
                lines.append(line)
                if started := report.STARTED.match(line):
                    print(f"{asyncio.get_running_loop().time() - begun:5.0f}s {started[1]}", file=sys.stderr)
    finally:
        await stop(process)
    return lines


def summary(found: list[report.Result]) -> None:
    """The failures with their parts, and the totals."""
    for result in found:
        if result.outcome == "failed":
            print(f"FAILED {result.name}: {', '.join(result.failed_parts)}")
    print(", ".join(f"{count} {word}" for word, count in report.counts(found).items()))


def write_reports(found: list[report.Result], official: Path) -> None:
    """The official report, and the table for people."""
    REPORTS.mkdir(exist_ok=True)
    (REPORTS / "conformance.yaml").write_text(official.read_text())
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    text = report.table(found, suite=build.version(), gateway=gatewayd.__version__, date=date)
    (REPORTS / "README.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
