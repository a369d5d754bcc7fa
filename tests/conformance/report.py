"""From the suite's output to a table: each test with its features, outcome and seconds."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

OUTCOME = re.compile(r"^\s*--- (PASS|FAIL|SKIP): TestConformance/(\w+)(/\S+)? \((\d+\.\d+)s\)$")
STARTED = re.compile(r"^=== RUN   TestConformance/(\w+)$")
GROUPS = ("Gateway", "ListenerSet", "HTTPRoute", "BackendTLSPolicy", "GRPC", "TLSRoute", "TCPRoute", "UDPRoute")
WORDS = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}


@dataclass(frozen=True)
class Result:
    """One test. `failed_parts` are the names of its subtests that failed."""

    name: str
    features: tuple[str, ...]
    outcome: str
    seconds: float
    failed_parts: tuple[str, ...] = ()


def results(listing: dict[str, Any], lines: Iterable[str]) -> list[Result]:
    """The outcome of every test of the listing that has a line of `go test -v`; in order of the listing."""
    outcomes: dict[str, str] = {}
    seconds: dict[str, float] = {}
    parts: dict[str, list[str]] = {}
    for found in filter(None, map(OUTCOME.match, lines)):
        name = found[2]
        seconds[name] = max(seconds.get(name, 0.0), float(found[4]))  # a test does not count its parallel parts' time
        if found[3] is None:
            outcomes[name] = WORDS[found[1]]
        elif found[1] == "FAIL":
            parts.setdefault(name, []).append(found[3].lstrip("/"))
    return [
        Result(
            name=test["name"],
            features=tuple(test["features"]),
            outcome=outcomes[test["name"]],
            seconds=seconds[test["name"]],
            failed_parts=tuple(parts.get(test["name"], ())),
        )
        for test in listing["tests"]
        if test["name"] in outcomes
    ]


def counts(found: Iterable[Result]) -> dict[str, int]:
    """How many tests passed, failed and were skipped."""
    totals = dict.fromkeys(WORDS.values(), 0)
    for result in found:
        totals[result.outcome] += 1
    return totals


def table(found: list[Result], *, suite: str, gateway: str, date: str) -> str:
    """The results as Markdown: figures for each group of features first, then each test."""
    lines = [
        "# Conformance",
        "",
        f"Gateway API conformance suite {suite}, experimental channel, against gatewayd {gateway} on {date}: "
        + ", ".join(f"{count} {word}" for word, count in counts(found).items())
        + ". Every feature of the gateway profiles is claimed; what is skipped concerns service meshes, or what a"
        + " gateway does that lacks a feature. Repeat it with `make conformance`.",
        "",
        "| group | passed | failed |",
        "|---|---:|---:|",
    ]
    lines += [f"| {group} | {passed} | {failed} |" for group, passed, failed in _groups(found)]
    lines += ["", "| test | features | outcome | seconds |", "|---|---|---|---:|"]
    lines += [
        f"| {one.name} | {', '.join(one.features)} | {one.outcome} | {one.seconds:.1f} |"
        for one in found
        if one.outcome != "skipped"
    ]
    lines += ["", "Skipped: " + ", ".join(one.name for one in found if one.outcome == "skipped") + "."]
    return "\n".join(lines) + "\n"


def passed(text: str) -> tuple[str, ...]:
    """The names of the tests that passed, from the text of a table."""
    return tuple(re.findall(r"^\| (\w+) \| [^|]* \| passed \|", text, re.MULTILINE))


def _groups(found: Iterable[Result]) -> list[tuple[str, int, int]]:
    """(group, passed, failed) by the kind that a test's name begins with."""
    groups: dict[str, list[int]] = {}
    for one in found:
        if one.outcome != "skipped":
            name = next((group for group in GROUPS if one.name.startswith(group)), "others")
            group = groups.setdefault(name, [0, 0])
            group[one.outcome == "failed"] += 1
    return [(name, passed, failed) for name, (passed, failed) in groups.items()]
