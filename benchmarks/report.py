"""Medians and ratios, as a table for the terminal and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import Any

from benchmarks.experiments import EXPERIMENTS
from benchmarks.workloads import VOLUME, WORKLOADS, Unit

OUT = Path(__file__).parent / "out"
RESULTS = Path(__file__).parent / "RESULTS.md"
MIB = 1 << 20
Summary = dict[str, dict[str, float]]

METHOD = """\
Each proxy has one worker, pinned to one core; load generator and backend (nginx) share the other. Connections are
kept open on both sides, all proxies have the same routes and add the same X-Forwarded fields, access logs are {logs}.
CPU time is read from the kernel for all threads of the processes that serve. Every figure is the median of {rounds}
rounds in which the proxies take turns. The last column is gatewayd's CPU time divided by the peer's in the same
round: below 1, gatewayd needs less. Where the other core is the bottleneck, requests a second say little; CPU time
for a request says how many a core could carry. `memory` is resident after the run, `growth` the peak of the run less
what was resident before it. HTTP/2 comes from h2load, everything else from wrk or a client of our own. nginx speaks
no HTTP/2 to backends, except for gRPC; Caddy passes no TCP. Of gRPC, every call must have brought the whole message and
must have been counted by the server as ended with status 0, and of a sample the trailers are read: what was not is an
error.
"""


def save(document: dict[str, Any]) -> Path:
    """As benchmarks/out/<start>.json."""
    OUT.mkdir(exist_ok=True)
    path = OUT / f"{document['started'].replace(':', '')}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    return path


def latest() -> Path | None:
    """The newest result."""
    return max(OUT.glob("*.json"), default=None)


def summaries(rows: Iterable[dict[str, Any]]) -> dict[str, Summary]:
    """workload -> peer -> median of each figure; errors are added up."""
    grouped: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        grouped.setdefault(row["workload"], {}).setdefault(row["peer"], []).append(row)
    return {
        name: {peer: summary(runs, grouped[name].get("gatewayd", [])) for peer, runs in grouped[name].items()}
        for name in WORKLOADS
        if name in grouped
    }


def summary(runs: list[dict[str, Any]], own: list[dict[str, Any]]) -> dict[str, float]:
    """One line of the table. `own` are gatewayd's runs."""
    figures = [key for key, value in runs[0].items() if not isinstance(value, str)]
    medians = {figure: float(median(run[figure] for run in runs)) for figure in figures}
    return {**medians, "errors": float(sum(run["errors"] for run in runs)), "ratio": ratio(own, runs)}


def ratio(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> float:
    """The median of the rounds' quotients of costs: the two of one round met the same machine. 0 when there is none."""
    pairs = zip(ours, theirs, strict=False)
    quotients = [mine["cost"] / other["cost"] for mine, other in pairs if other["cost"]]
    return float(median(quotients)) if quotients else 0.0


def columns(unit: Unit) -> list[str]:
    latencies = [] if unit is VOLUME else ["p50 ms", "p99 ms"]
    return ["proxy", unit.cost, unit.rate, *latencies, "busy %", "memory MiB", "growth MiB", "errors", "gatewayd / it"]


def cells(name: str, figures: dict[str, float], unit: Unit) -> list[str]:
    """One line, as text."""
    latencies = [] if unit is VOLUME else [f"{figures[key] / 1000:.2f}" for key in ("p50", "p99")]
    return [
        name,
        f"{figures['cost']:.1f}",
        f"{figures['rate']:.2f}" if unit is VOLUME else f"{figures['rate']:,.0f}",
        *latencies,
        f"{figures['busy'] * 100:.0f}",
        f"{figures['resident_bytes'] / MIB:.1f}",
        f"{figures['growth_bytes'] / MIB:.1f}",
        f"{figures['errors']:.0f}",
        f"{figures['ratio']:.2f}" if figures["ratio"] and name != "gatewayd" else "",
    ]


def table(name: str, peers: Summary) -> list[list[str]]:
    """The head and one row for each proxy."""
    unit = WORKLOADS[name].unit
    return [columns(unit), *(cells(peer, figures, unit) for peer, figures in peers.items())]


def aligned(rows: list[list[str]], words: int = 1) -> list[str]:
    """Columns of equal width: the first `words` of them to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def cell(column: int, text: str) -> str:
        return text.ljust(widths[column]) if column < words else text.rjust(widths[column])

    return ["  ".join(cell(column, text) for column, text in enumerate(row)).rstrip() for row in rows]


def text(document: dict[str, Any]) -> str:
    """For the terminal."""
    parts = [(WORKLOADS[name].title, table(name, peers)) for name, peers in summaries(document["rows"]).items()]
    lines = [line for title, rows in parts for line in ("", title, *aligned(rows))]
    for name, rows in experiments(document):
        experiment = EXPERIMENTS[name]
        lines += ["", experiment.title, *aligned(experiment.table(rows), words=experiment.words(rows))]
    return "\n".join([*lines, *remarks(document)])


def experiments(document: dict[str, Any]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Those that were made, in the order of their table."""
    made = document.get("experiments", {})
    return [(name, made[name]) for name in EXPERIMENTS if made.get(name)]


def remarks(document: dict[str, Any]) -> list[str]:
    """What stands below the tables: what gatewayd's supervisor took, and what a thousand times as many routes cost."""
    own = [row for row in document["rows"] if row["peer"] == "gatewayd"]
    if not own:
        return []
    seconds = sum(row["supervisor_seconds"] for row in own)
    memory = max(row["supervisor_bytes"] for row in own) / MIB
    supervisor = f"gatewayd's supervisor, not counted above: {seconds:.2f} s of CPU in all runs, {memory:.0f} MiB."
    return ["", supervisor, *lookup(document)]


def lookup(document: dict[str, Any]) -> list[str]:
    """The two sizes of the lookup workload, when both were measured."""
    few, many = ([row for row in document["rows"] if row["workload"] == name] for name in ("lookup-5", "lookup-5000"))
    quotient = ratio(many, few)
    return ["", f"gatewayd with 5,000 routes costs {quotient:.3f} of what it costs with 5."] if quotient else []


def markdown(document: dict[str, Any]) -> str:
    """The whole of RESULTS.md."""
    facts = {**document["machine"], **document["versions"]}
    logs = "on" if document["options"]["access_log"] else "off"
    lines = ["# Results", "", METHOD.format(logs=logs, rounds=document["options"]["rounds"]), "## Where", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {fact} |" for name, fact in facts.items())]
    lines += [f"| measured | {document['started']} |", "", *told(document)]
    lines += [document["omission"], ""] if document.get("omission") else []
    for name, peers in summaries(document["rows"]).items():
        head, *rest = table(name, peers)
        lines += [f"## {WORKLOADS[name].title}", "", f"`{name}`", ""]
        lines += [*piped([head, *rest], 1), ""]
    lines += [*remarks(document)[1:], ""]
    for name, rows in experiments(document):
        experiment = EXPERIMENTS[name]
        lines += [f"## {experiment.title}", "", f"`{name}`", "", experiment.note, ""]
        lines += [*piped(experiment.table(rows), experiment.words(rows)), ""]
    return "\n".join(lines).rstrip() + "\n"


def piped(rows: list[list[str]], words: int) -> list[str]:
    """A table of Markdown; the first `words` columns to the left, the others to the right."""
    head, *rest = rows
    rule = ["---" if column < words else "---:" for column in range(len(head))]
    return ["| " + " | ".join(row) + " |" for row in (head, rule, *rest)]


def told(document: dict[str, Any]) -> list[str]:
    """What each proxy was told beside its routes, as lines."""
    settings = document.get("settings", {})
    lines = [fill(f"- **{name}**: {setting}", 118, subsequent_indent="  ") for name, setting in settings.items()]
    return ["## Settings", "", *lines, ""] if lines else []


def merged(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Later runs replace the workloads of earlier ones."""
    result = documents[0]
    for later in documents[1:]:
        again = {row["workload"] for row in later["rows"]}
        kept = [row for row in result["rows"] if row["workload"] not in again]
        parts = ("versions", "settings", "experiments")
        both = {part: {**result.get(part, {}), **later.get(part, {})} for part in parts}
        result = {**later, **both, "rows": kept + later["rows"]}
    return result
