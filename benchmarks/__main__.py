"""Compares gatewayd with its peers. `report` writes RESULTS.md from a run; `micro` times pure functions."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks import driver, install, machine, micro, report
from benchmarks.peers import GATEWAYD, PEERS
from benchmarks.peers.peer import Peer
from benchmarks.workloads import SMOKE_EFFORT, WORKLOADS, Effort, Workload, smoke

QUIET = 0.5  # load average above which somebody else is at work


def names(allowed: dict[str, Any]) -> Any:
    """An argparse type: names of `allowed`, separated by commas."""

    def parse(text: str) -> list[str]:
        chosen = [name.strip() for name in text.split(",") if name.strip()]
        for name in chosen:
            if name not in allowed:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(allowed)}")
        return chosen

    return parse


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    commands = made.add_subparsers(dest="command", metavar="report|micro")
    shown = commands.add_parser("report", help="write RESULTS.md from the latest run, or from the given ones")
    shown.add_argument("files", nargs="*", type=Path, help="results; later ones replace workloads of earlier ones")
    shown.add_argument("--output", type=Path, default=report.RESULTS, help="where to write; - is standard output")
    commands.add_parser("micro", help="time the pure functions of wire and routing")
    made.add_argument("--rounds", type=int, default=5, help="how often each proxy has its turn (5)")
    made.add_argument("--seconds", type=float, default=8.0, help="how long each turn of requests lasts (8)")
    made.add_argument("--only", type=names(WORKLOADS), help=f"workloads, by commas: {', '.join(WORKLOADS)}")
    made.add_argument("--peers", type=names(PEERS), help=f"proxies, by commas: {', '.join(PEERS)}")
    made.add_argument("--access-log", action="store_true", help="access logs on, for all")
    made.add_argument("--smoke", action="store_true", help="a few seconds, gatewayd alone: does the benchmark work?")
    return made


def chosen(options: argparse.Namespace) -> tuple[list[Peer], list[Workload], Effort, int]:
    """What the options ask for."""
    if options.smoke:
        return [GATEWAYD], [WORKLOADS[name] for name in options.only or smoke()], SMOKE_EFFORT, 1
    peers = [PEERS[name] for name in options.peers or PEERS]
    workloads = [WORKLOADS[name] for name in options.only or WORKLOADS]
    return peers, workloads, Effort(seconds=options.seconds), options.rounds


def tell(row: driver.Row) -> None:
    """One line when a turn is over."""
    unit = WORKLOADS[str(row["workload"])].unit
    complaint = f"  {row['errors']} ERRORS" if row["errors"] else ""
    print(f"{row['workload']:12}{row['peer']:10}{row['cost']:10.1f} {unit.cost}{complaint}", flush=True)


def compare(options: argparse.Namespace) -> int:
    """0 when everything was answered rightly, 1 when not, 2 when a program is missing."""
    peers, workloads, effort, rounds = chosen(options)
    if not options.smoke and (packages := install.missing(peers, workloads)):
        wanted = " ".join(packages)
        print(f"missing: install with `apt-get install {wanted}`, or choose others with --peers", file=sys.stderr)
        return 2
    facts = machine.facts()
    if not options.smoke and os.getloadavg()[0] > QUIET:
        print("the machine is busy: figures will be too high and too far apart", file=sys.stderr)
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    try:
        rows = driver.run(peers, workloads, effort, rounds, access_log=options.access_log, tell=tell)
    except driver.WrongError as problem:
        print(problem, file=sys.stderr)
        return 1
    document = {
        "started": started,
        "machine": facts,
        "versions": machine.versions(peers),
        "options": {"rounds": rounds, "seconds": effort.seconds, "access_log": options.access_log},
        "rows": rows,
    }
    print(report.text(document))
    if not options.smoke:
        print(f"\n{report.save(document)}")
    return int(any(row["errors"] for row in rows))


def render(options: argparse.Namespace) -> int:
    """RESULTS.md."""
    files = options.files or [path for path in [report.latest()] if path]
    if not files:
        print("nothing was measured yet: run `make bench`", file=sys.stderr)
        return 2
    written = report.markdown(report.merged([json.loads(path.read_text()) for path in files]))
    if str(options.output) == "-":
        print(written, end="")
    else:
        options.output.write_text(written)
        print(f"wrote {options.output}")
    return 0


def main() -> int:
    options = parser().parse_args()
    if options.command == "report":
        return render(options)
    if options.command == "micro":
        return micro.main()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # every end stops what was started
    try:
        return compare(options)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
