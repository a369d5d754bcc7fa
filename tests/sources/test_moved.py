"""Documents that stand in other lines than before, since something was written above them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewayd.api.objects import Object
from gatewayd.api.pieces import Piece
from gatewayd.sources.file import Part, part_of
from gatewayd.sources.files import FileSource, Loaded

VALUE = ("data", "value")


def config(name: str) -> str:
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{value: x}}\n"


def item(loaded: Loaded, name: str) -> Object:
    found = loaded.objects.get("ConfigMap", "default", name)
    assert found is not None
    return found


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines of the documents that are parsed."""
    lines: list[int] = []

    def counted(piece: Piece, file: str) -> Part:
        lines.append(piece.line)
        return part_of(piece, file)

    monkeypatch.setattr("gatewayd.sources.file.part_of", counted)
    return lines


def test_they_are_not_parsed_again_and_know_their_lines(tmp_path: Path, parsed: list[int]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(config("a") + "---\n" + config("b"))
    source = FileSource([path])
    first = item(source.load(), "b")
    assert (first.line, first.line_of(VALUE)) == (6, 9)
    for text, line in ((config("c") + "---\n" + path.read_text(), 11), ("---\n" + path.read_text(), 7)):
        parsed.clear()
        path.write_text(text)
        moved = item(source.load([path]), "b")
        assert len(parsed) <= 2  # what is new, and what has another first line
        assert moved.resource is first.resource
        assert (moved.line, moved.line_of(VALUE)) == (line, line + 3)
        fresh = item(FileSource([path]).load(), "b")
        assert moved.source(VALUE) == fresh.source(VALUE)
    assert (first.line, first.line_of(VALUE)) == (6, 9)


def test_the_objects_of_a_list_move_with_it(tmp_path: Path, parsed: list[int]) -> None:
    path = tmp_path / "a.yaml"
    items = "".join(
        f"- apiVersion: v1\n  kind: ConfigMap\n  metadata: {{name: {name}}}\n  data: {{value: x}}\n" for name in "ab"
    )
    text = f"apiVersion: v1\nkind: List\nitems:\n{items}"
    path.write_text("---\n" + text)
    source = FileSource([path])
    first = item(source.load(), "b")
    parsed.clear()
    path.write_text(config("c") + "---\n" + text)
    moved = item(source.load([path]), "b")
    assert parsed == [1]
    assert (moved.line - first.line, moved.line_of(VALUE) - first.line_of(VALUE)) == (4, 4)


def test_one_with_problems_tells_its_new_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    text = "---\n" + config("a") + "unknown: 1\n"
    path.write_text(text)
    source = FileSource([path])
    (before,) = source.load().problems
    path.write_text("# a line\n" + text)
    (after,) = source.load([path]).problems
    assert after.line == before.line + 1
