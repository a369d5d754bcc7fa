"""Every document under cases/invalid has exactly the errors that its `expect` comments name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gatewayd.api.decode import decode
from gatewayd.api.documents import parse
from gatewayd.api.pieces import Piece, pieces
from gatewayd.api.problem import Problem
from gatewayd.api.rules.routes import V1_ONLY
from gatewayd.api.rules.table import TABLES

FOLDER = Path(__file__).parent / "cases" / "invalid"
EXPECT = re.compile(rb"# expect: (\S+(?: \S+)*?) ~ (.+)")


def cases() -> list[tuple[str, Piece]]:
    found = []
    for path in sorted(FOLDER.glob("*.yaml")):
        documents, problems = pieces(path.read_bytes(), path.name)
        assert not problems
        found += [(f"{path.name}:{piece.line}", piece) for piece in documents]
    return found


CASES = cases()


def errors_of(piece: Piece) -> list[Problem]:
    documents, problems = parse(piece, "case.yaml")
    assert not problems
    [document] = documents
    item, found = decode(document)
    errors = [each for each in found if each.severity == "error"]
    assert (item is None) == bool(errors)
    return errors


@pytest.mark.parametrize(("name", "piece"), CASES, ids=[name for name, _ in CASES])
def test_exactly_the_expected_errors(name: str, piece: Piece):
    expected = [(field.decode(), words.decode()) for field, words in EXPECT.findall(piece.text)]
    assert expected
    left = errors_of(piece)
    for field, words in expected:
        fitting = [each for each in left if each.field == field and words in each.message]
        assert fitting, f"{name}: no error at {field} with {words!r} among {[str(each) for each in left]}"
        left.remove(fitting[0])
    assert not left, [str(each) for each in left]


@pytest.mark.parametrize("piece", [piece for _, piece in CASES], ids=[name for name, _ in CASES])
def test_every_error_has_a_line_inside_its_document(piece: Piece):
    last = piece.line + piece.text.count(b"\n")
    for error in errors_of(piece):
        assert piece.line <= error.line <= last
        assert "\n" not in error.message


def test_every_rule_is_broken_by_a_case():
    rules = {rule.message for table in (*TABLES, V1_ONLY) for group in table.values() for rule in group}
    seen = {error.message for _, piece in CASES for error in errors_of(piece)}
    assert rules - seen == {"the matches of all rules together must not exceed 128"}  # see test_decode.py
