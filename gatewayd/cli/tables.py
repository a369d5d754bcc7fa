"""Statuses as a table for people: one row for each object and for each of its listeners and parents."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from textwrap import TextWrapper
from typing import Any, NamedTuple
from unicodedata import combining, east_asian_width

SHOWN = ("Accepted", "Programmed", "ResolvedRefs")  # columns; what else deserves attention stands in the last one
GOOD_WHEN_FALSE = frozenset({"Conflicted", "PartiallyInvalid", "OverlappingTLSConfig", "gatewayd.dev/NotServed"})
COLUMNS = ("object", "part", *SHOWN, "detail")
WIDTH = 160  # columns where there is no terminal to ask
LEAST_DETAIL = 28  # characters that the last column needs to be readable
MARGIN, GAP = " ", "   "
STYLES = {"bold": 1, "red": 31, "green": 32, "yellow": 33}


class Row(NamedTuple):
    """`conditions` is the list of a status; `note` is said when nothing is wrong."""

    title: str
    part: str
    conditions: list[dict[str, Any]]
    note: str = ""


class Cell(NamedTuple):
    """A text and its style, one of STYLES or ""."""

    text: str
    style: str = ""


def print_status(shown: dict[str, Any]) -> None:
    """Print the objects of a List that have a status, then the problems."""
    terminal = sys.stdout.isatty()
    pen = Pen(terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") not in {"dumb", "unknown"})
    found = [row for item in shown["items"] for row in rows(item)]
    width = shutil.get_terminal_size((WIDTH, 0)).columns if terminal else WIDTH
    room = _room(found, width)
    lines = [*(_stacked(found, pen) if room is None else _table(found, room, pen))]
    lines += [pen.draw(_sentence(problem)) for problem in shown.get("problems", ())]
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in lines))


class Pen:
    """Writes cells, in colour or not."""

    def __init__(self, coloured: bool) -> None:
        self._coloured = coloured

    def draw(self, cell: Cell, width: int = 0) -> str:
        """The text of a cell, filled up to so many columns."""
        filled = " " * (width - columns(cell.text)) if width else ""
        if not (self._coloured and cell.style and cell.text):
            return cell.text + filled
        return f"\x1b[{STYLES[cell.style]}m{cell.text}\x1b[0m{filled}"


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def _room(found: list[Row], width: int) -> int | None:
    """Columns for the last column of a table; None where that leaves no room for what is said there."""
    title, part = _widths(found)
    room = width - title - part - sum(map(len, SHOWN)) - 2 * len(MARGIN) - len(GAP) * (len(COLUMNS) - 1)
    most = max((columns(line) for row in found for line in detail(row)), default=0)
    return min(room, max(most, len("detail"))) if room >= min(LEAST_DETAIL, most) else None


def _widths(found: list[Row]) -> tuple[int, int]:
    """Of the first two columns."""
    return max((len("object"), *(len(row.title) for row in found))), max(
        (len("part"), *(len(row.part) for row in found))
    )


def _table(found: list[Row], room: int, pen: Pen) -> Iterator[str]:
    widths = (*_widths(found), *map(len, SHOWN), room)
    drawn = (pen.draw(Cell(name.upper(), "bold"), width) for name, width in zip(COLUMNS, widths, strict=True))
    yield ""
    yield MARGIN + GAP.join(drawn)
    yield MARGIN + "─" * (sum(widths) + len(GAP) * (len(widths) - 1))
    wrapper = TextWrapper(room, break_on_hyphens=False)
    for row in found:
        said = [part for line in detail(row) for part in wrapper.wrap(line)] or [""]
        style = "red" if wrong(row) else ""
        cells = (Cell(row.title), Cell(row.part), *(_cell(row, kind) for kind in SHOWN))
        start = (pen.draw(cell, width) for cell, width in zip(cells, widths, strict=False))
        yield MARGIN + GAP.join((*start, pen.draw(Cell(said[0], style))))
        before = " " * (sum(widths[:-1]) + len(GAP) * (len(widths) - 1))
        yield from (MARGIN + before + pen.draw(Cell(line, style)) for line in said[1:])
    yield ""


def _stacked(found: list[Row], pen: Pen) -> Iterator[str]:
    """For a narrow terminal: the object, below it its parts and their conditions, below each of them what is wrong."""
    for row in found:
        if row.title:
            yield pen.draw(Cell(row.title, "bold"))
        cells = ((kind, _cell(row, kind)) for kind in SHOWN)
        line = f"  {row.part}" if row.part else " "
        line += "".join(f" {kind} {pen.draw(cell)}" for kind, cell in cells if cell.text)
        if wrong(row):
            yield line
            yield from (f"    {pen.draw(Cell(each, 'red'))}" for each in detail(row))
        else:
            yield f"{line}  {row.note}" if row.note else line
    yield ""


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


def wrong(row: Row) -> list[dict[str, Any]]:
    """The conditions that are not as they should be."""
    return [found for found in row.conditions if not _good(found)]


def detail(row: Row) -> list[str]:
    """Reason and message of everything that is not as it should be, each a line; else the note."""
    said: dict[str, list[str]] = {}  # by message, in their order: one fault makes several conditions false
    for found in wrong(row):
        reasons = said.setdefault(found["message"], [])
        if found["reason"] not in reasons:
            reasons.append(found["reason"])
    if not said:
        return [row.note]
    return [line for message, reasons in said.items() for line in _plain(f"{', '.join(reasons)}: {message}")]


def _plain(text: str) -> Iterable[str]:
    """The lines of a text. What an object says must not command the terminal."""
    for line in text.splitlines():
        yield line if line.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in line)


def _sentence(problem: dict[str, Any]) -> Cell:
    place = f"{problem['file']}:{problem['line']}" if problem["line"] else problem["file"]
    said = ": ".join(filter(None, (place, problem["object"], problem["field"], problem["message"])))
    return Cell(" ".join(_plain(said)), "yellow" if problem["severity"] == "warning" else "red")


def _cell(row: Row, kind: str) -> Cell:
    found = next((entry for entry in row.conditions if entry["type"] == kind), None)
    if found is None:
        return Cell("")
    return Cell(found["status"], "green" if _good(found) else "red")


def _good(found: dict[str, Any]) -> bool:
    return bool(found["status"] == ("False" if found["type"] in GOOD_WHEN_FALSE else "True"))


def _reference(reference: dict[str, Any]) -> str:
    name = "/".join(filter(None, (reference.get("namespace"), reference.get("name"))))
    section, port = reference.get("sectionName"), reference.get("port")
    return f"{name}{f' {section}' if section else ''}{f' port {port}' if port else ''}"
