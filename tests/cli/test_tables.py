"""The table of `gatewayd status`: how it is drawn, for terminals and for files."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from gatewayd.cli import tables
from gatewayd.cli.tables import columns, print_status

MESSAGE = "one two three four five six seven eight nine ten eleven twelve"


def condition(kind: str, holds: bool, message: str = "", reason: str = "Why") -> dict[str, Any]:
    return {"type": kind, "status": str(holds), "reason": reason, "message": message}


def route(name: str, *conditions: dict[str, Any]) -> dict[str, Any]:
    parents = [{"parentRef": {"name": "edge", "sectionName": "web", "port": 80}, "conditions": [*conditions]}]
    return {"kind": "HTTPRoute", "metadata": {"namespace": "shop", "name": name}, "status": {"parents": parents}}


def shown(*items: dict[str, Any], problems: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    return {"items": [*items], "problems": [*problems]}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Standard output of this width."""
    out = Terminal()
    monkeypatch.setattr(tables, "sys", SimpleNamespace(stdout=out))  # sys.stdout itself is pytest's
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return out


def test_what_is_long_is_wrapped_in_its_column(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(tables, "WIDTH", 120)
    print_status(shown(route("a", condition("Accepted", False, MESSAGE)), route("b", condition("Accepted", True))))
    assert capsys.readouterr().out.splitlines() == [
        "",
        " OBJECT             PART                      ACCEPTED   PROGRAMMED   RESOLVEDREFS   DETAIL",
        f" {'─' * 118}",
        " HTTPRoute shop/a   parent edge web port 80   False" + " " * 34 + "Why: one two three four five six",
        f"{' ' * 85}seven eight nine ten eleven twelve",
        " HTTPRoute shop/b   parent edge web port 80   True",
        "",
    ]


def test_nothing_at_all_is_an_empty_table(capsys: pytest.CaptureFixture[str]):
    print_status(shown())
    assert capsys.readouterr().out.split() == [*(name.upper() for name in tables.COLUMNS), "─" * 61]


def test_a_terminal_gets_colours(terminal: Terminal):
    problem = {"file": "a.yaml", "line": 3, "object": "", "field": "", "message": "odd", "severity": "warning"}
    items = (route("a", condition("Accepted", False, "no")), route("b", condition("Accepted", True)))
    print_status(shown(*items, problems=(problem,)))
    lines = terminal.getvalue().splitlines()
    assert "\x1b[1mOBJECT\x1b[0m" in lines[1]
    assert lines[3].endswith("\x1b[31mWhy: no\x1b[0m")
    assert "\x1b[31mFalse\x1b[0m" in lines[3]
    assert "\x1b[32mTrue\x1b[0m" in lines[4]
    assert lines[-1] == "\x1b[33ma.yaml:3: odd\x1b[0m"


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_or_none(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, value: str):
    monkeypatch.setenv(name, value)
    print_status(shown(route("a", condition("Accepted", False, "no"))))
    assert "\x1b" not in terminal.getvalue()


def test_a_narrow_terminal_gets_no_table(terminal: Terminal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setenv("NO_COLOR", "1")
    print_status(shown(route("a", condition("Accepted", False, MESSAGE))))
    assert terminal.getvalue().splitlines() == [
        "HTTPRoute shop/a",
        "  parent edge web port 80 Accepted False",
        f"    Why: {MESSAGE}",
        "",
    ]


@pytest.mark.parametrize("width", [70, 160])
def test_what_an_object_says_commands_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
):
    monkeypatch.setattr(tables, "WIDTH", width)
    said = "red \x1b[31m\x07 \u202e and\r\nmore"
    problem = {"file": "a.yaml", "line": 0, "object": "", "field": "", "message": said, "severity": "error"}
    print_status(shown(route("a", condition("Accepted", False, said + MESSAGE)), problems=(problem,)))
    out = capsys.readouterr().out
    assert {"\x1b", "\x07", "\r", "\u202e"}.isdisjoint(out)
    assert out.count(r"red \x1b[31m\x07 \u202e and") == 2


def test_columns_of_a_terminal():
    assert [columns(text) for text in ("", "abc", "größe", "漢字", "e\u0301")] == [0, 3, 5, 4, 1]
