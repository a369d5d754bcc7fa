"""Compares gatewayd with its peers. `report` writes RESULTS.md from a run; `micro` times pure functions."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import signal
import sys
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from benchmarks import driver, greeter, install, machine, measure, micro, report
from benchmarks.experiments import EXPERIMENTS, Experiment
from benchmarks.peers import GATEWAYD, PEERS
from benchmarks.peers.peer import Peer
from benchmarks.site import LAYERS
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
    things = {**WORKLOADS, **EXPERIMENTS}
    made.add_argument("--only", type=names(things), help=f"what to measure, by commas: {', '.join(things)}")
    made.add_argument("--peers", type=names(PEERS), help=f"proxies, by commas: {', '.join(PEERS)}")
    made.add_argument("--access-log", action="store_true", help="access logs on, for all")
    made.add_argument("--report", action="store_true", help="write RESULTS.md from this run, when nothing was wrong")
    made.add_argument("--smoke", action="store_true", help="half a minute, gatewayd alone: does the benchmark work?")
    return made


@dataclass(frozen=True)
class Plan:
    """What the options ask for."""

    peers: list[Peer]
    workloads: list[Workload]
    experiments: list[Experiment]
    effort: Effort
    rounds: int
    access_log: bool


def chosen(options: argparse.Namespace) -> Plan:
    """In a smoke run gatewayd is alone, and what cannot run here is left out."""
    wanted = options.only or [*(smoke() if options.smoke else WORKLOADS), *EXPERIMENTS]
    peers = [GATEWAYD] if options.smoke else [PEERS[name] for name in options.peers or PEERS]
    experiments = [EXPERIMENTS[name] for name in wanted if name in EXPERIMENTS]
    return Plan(
        peers=peers,
        workloads=[WORKLOADS[name] for name in wanted if name in WORKLOADS],
        experiments=[each for each in experiments if GATEWAYD in peers or not each.alone],
        effort=SMOKE_EFFORT if options.smoke else Effort(seconds=options.seconds),
        rounds=1 if options.smoke else options.rounds,
        access_log=options.access_log,
    )


def without_calls(plan: Plan) -> tuple[Plan, str]:
    """The plan as it can be carried out, and what is left out and why: gRPC, where its server cannot be built."""
    if not any(LAYERS[workload.layer].calls for workload in plan.workloads):
        return plan, ""
    try:
        greeter.build()
    except greeter.UnbuildableError as problem:
        kept = [workload for workload in plan.workloads if not LAYERS[workload.layer].calls]
        return replace(plan, workloads=kept), f"grpc is left out: {problem}"
    return plan, ""


def tell(row: driver.Row) -> None:
    """One line when a turn is over."""
    unit = WORKLOADS[str(row["workload"])].unit
    complaint = f"  {row['errors']} ERRORS" if row["errors"] else ""
    print(f"{row['workload']:12}{row['peer']:10}{row['cost']:10.1f} {unit.cost}{complaint}", flush=True)


def measured(experiment: Experiment, plan: Plan) -> list[dict[str, str | float]]:
    """Its rows, each told when it is there."""
    rows = []
    for row in experiment.measure(driver.Setting(plan.peers, plan.effort, plan.access_log)):
        print(f"{experiment.name:12}" + "  ".join(experiment.table([row])[1]), flush=True)
        rows.append(row)
    return rows


def compare(options: argparse.Namespace) -> int:
    """0 when everything was answered rightly, 1 when not, 2 when a program is missing."""
    plan, omission = chosen(options), ""
    if not options.smoke:
        plan, omission = without_calls(plan)
    if omission:
        print(omission, file=sys.stderr)
    if not options.smoke and (packages := install.missing(plan.peers, plan.workloads)):
        wanted = " ".join(packages)
        print(f"missing: install with `apt-get install {wanted}`, or choose others with --peers", file=sys.stderr)
        return 2
    facts = machine.facts()
    if not options.smoke and os.getloadavg()[0] > QUIET:
        print("the machine is busy: figures will be too high and too far apart", file=sys.stderr)
    started = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    measure.raise_open_files()
    try:
        rows = driver.run(plan.peers, plan.workloads, plan.effort, plan.rounds, access_log=plan.access_log, tell=tell)
        experiments = {experiment.name: measured(experiment, plan) for experiment in plan.experiments}
    except driver.WrongError as problem:
        print(problem, file=sys.stderr)
        return 1
    document = {
        "started": started,
        "machine": facts,
        "versions": machine.versions(plan.peers),
        "settings": {peer.name: peer.settings for peer in plan.peers},
        "options": {"rounds": plan.rounds, "seconds": plan.effort.seconds, "access_log": plan.access_log},
        "omission": omission,
        "rows": rows,
        "experiments": experiments,
    }
    print(report.text(document))
    wrong = any(row.get("errors") for row in (*rows, *chain.from_iterable(experiments.values())))
    if not options.smoke:
        print(f"\n{report.save(document)}")
    if options.report and not wrong:
        report.RESULTS.write_text(report.markdown(document))
    return int(wrong)


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
