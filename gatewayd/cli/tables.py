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
LEAST_DETAIL = 28  # characters that the last column needs to be readable
GAPS = 3 * len(SHOWN) + 8  # blanks between the columns


class Row(NamedTuple):
    """`conditions` is the list of a status; `note` is said when nothing is wrong."""

    title: str
    part: str
    conditions: list[dict[str, Any]]
    note: str = ""


def print_status(shown: dict[str, Any]) -> None:
    """Print the objects of a List that have a status, then the problems."""
    console = Console(highlight=False, soft_wrap=False, width=None if sys.stdout.isatty() else WIDTH)
    found = [row for item in shown["items"] for row in rows(item)]
    with console.capture() as drawn:
        if _fits(found, console.width):
            console.print(_table(found))
        else:
            console.print(_stacked(found), soft_wrap=True)
        for problem in shown.get("problems", ()):
            style = "yellow" if problem["severity"] == "warning" else "red"
            console.print(Text(_sentence(problem), style=style), soft_wrap=True)
    for line in drawn.get().splitlines():
        print(line.rstrip())


def _fits(found: list[Row], width: int) -> bool:
    """Whether the table leaves room for what is said in its last column."""
    title, part = (max((len(row[place]) for row in found), default=0) for place in (0, 1))
    room = width - title - part - sum(map(len, SHOWN)) - GAPS
    return room >= LEAST_DETAIL or all(len(line) <= room for row in found for line in str(detail(row)).splitlines())


def _table(found: list[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in COLUMNS:
        table.add_column(name.upper(), overflow="fold", no_wrap=name in SHOWN)
    for row in found:
        table.add_row(row.title, row.part, *(_cell(row, kind) for kind in SHOWN), detail(row))
    return table


def _stacked(found: list[Row]) -> Text:
    """For a narrow terminal: the object, below it its parts and their conditions, below each of them what is wrong."""
    text = Text()
    for row in found:
        text.append(f"{row.title}\n" if row.title else "", style="bold")
        text.append(f"  {row.part}" if row.part else " ")
        for kind in SHOWN:
            cell = _cell(row, kind)
            text.append(f" {kind} " if cell.plain else "").append_text(cell)
        said = detail(row)
        if said.plain == row.note:
            text.append(f"  {row.note}" if row.note else "")
        else:
            for line in said.split():
                text.append("\n    ").append_text(line)
        text.append("\n")
    return text


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
