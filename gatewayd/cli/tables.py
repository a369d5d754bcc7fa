"""Statuses as a table for people: one row for each object and for each of its listeners and parents."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

SHOWN = ("Accepted", "Programmed", "ResolvedRefs")  # columns; what else deserves attention stands in the last one
GOOD_WHEN_FALSE = frozenset({"Conflicted", "PartiallyInvalid", "OverlappingTLSConfig", "gatewayd.dev/NotServed"})
COLUMNS = ("object", "part", *SHOWN, "detail")
WIDTH = 160  # columns where there is no terminal to ask


class Row(NamedTuple):
    """`conditions` is the list of a status; `note` is said when nothing is wrong."""

    title: str
    part: str
    conditions: list[dict[str, Any]]
    note: str = ""


def print_status(shown: dict[str, Any]) -> None:
    """Print the objects of a List that have a status, then the problems."""
    console = Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else WIDTH)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name.upper(), overflow="fold", no_wrap=name in SHOWN)
    for item in shown["items"]:
        for row in rows(item):
            table.add_row(row.title, row.part, *(_cell(row, kind) for kind in SHOWN), detail(row))
    with console.capture() as drawn:
        console.print(table)
        for problem in shown.get("problems", ()):
            style = "yellow" if problem["severity"] == "warning" else "red"
            console.print(Text(_sentence(problem), style=style), soft_wrap=True)
    for line in drawn.get().splitlines():
        print(line.rstrip())


def rows(item: dict[str, Any]) -> Iterator[Row]:
    """The rows of one object; none when its kind has no status."""
    status = item.get("status")
    if not status:
        return
    name = "/".join(filter(None, (item["metadata"].get("namespace"), item["metadata"]["name"])))
    title = f"{item['kind']} {name}"
    addresses = ", ".join(address["value"] for address in status.get("addresses") or ())
    if status.get("conditions"):
        yield Row(title, "", status["conditions"], addresses and f"at {addresses}")
        title = ""
    for listener in status.get("listeners") or ():
        attached = listener.get("attachedRoutes", 0)
        note = f"{attached} route{'' if attached == 1 else 's'}"
        yield Row(title, f"listener {listener['name']}", listener.get("conditions") or [], note)
        title = ""
    for member in (*(status.get("parents") or ()), *(status.get("ancestors") or ())):
        reference = member.get("parentRef") or member.get("ancestorRef") or {}
        yield Row(title, f"parent {_reference(reference)}", member.get("conditions") or [])
        title = ""


def detail(row: Row) -> Text:
    """Reason and message of everything that is not as it should be, else the note."""
    wrong = [found for found in row.conditions if not _good(found)]
    if not wrong:
        return Text(row.note)
    said: dict[str, list[str]] = {}  # by message, in their order: one fault makes several conditions false
    for found in wrong:
        reasons = said.setdefault(found["message"], [])
        if found["reason"] not in reasons:
            reasons.append(found["reason"])
    return Text("\n".join(f"{', '.join(reasons)}: {message}" for message, reasons in said.items()), style="red")


def _sentence(problem: dict[str, Any]) -> str:
    place = f"{problem['file']}:{problem['line']}" if problem["line"] else problem["file"]
    return ": ".join(filter(None, (place, problem["object"], problem["field"], problem["message"])))


def _cell(row: Row, kind: str) -> Text:
    found = next((entry for entry in row.conditions if entry["type"] == kind), None)
    if found is None:
        return Text("")
    return Text(found["status"], style="green" if _good(found) else "red")


def _good(found: dict[str, Any]) -> bool:
    return bool(found["status"] == ("False" if found["type"] in GOOD_WHEN_FALSE else "True"))


def _reference(reference: dict[str, Any]) -> str:
    name = "/".join(filter(None, (reference.get("namespace"), reference.get("name"))))
    section, port = reference.get("sectionName"), reference.get("port")
    return f"{name}{f' {section}' if section else ''}{f' port {port}' if port else ''}"
