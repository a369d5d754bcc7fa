from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.api import aliases
from gatewayd.api.documents import MAX_DEPTH, load
from gatewayd.api.scalars import FLOAT


def values(text: bytes) -> list[Any]:
    found, problems = load(text, "f.yaml")
    assert not problems, [str(each) for each in problems]
    return [each.value for each in found]


READ = [
    (b"a: &x 1\nb: *x\n", {"a": 1, "b": 1}),
    (b"a: &x [1, {b: 2}]\nc: [*x, *x]\n", {"a": [1, {"b": 2}], "c": [[1, {"b": 2}], [1, {"b": 2}]]}),
    (b"&k a: *k\n", {"a": "a"}),
    (b"a: &k name\n*k : 1\n", {"a": "name", "name": 1}),
    (b"a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  c: 3\n", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
    (b"a: &x {b: 1, c: 2}\nd:\n  c: 3\n  <<: *x\n", {"a": {"b": 1, "c": 2}, "d": {"b": 1, "c": 3}}),
    (
        b"a: [&x {b: 1}, &y {b: 2, c: 3}]\nd: {<<: [*x, *y]}\n",
        {"a": [{"b": 1}, {"b": 2, "c": 3}], "d": {"b": 1, "c": 3}},
    ),
    (b"a: &x {<<: {b: 1}}\nd: {<<: *x}\n", {"a": {"b": 1}, "d": {"b": 1}}),
    (b"<<: {a: 1}\n", {"a": 1}),
    (b'"<<": 1\n', {"<<": 1}),
    (b"a: '*x'\nb: '&x'\n", {"a": "*x", "b": "&x"}),
]


@pytest.mark.parametrize(("text", "value"), READ, ids=[str(row[0]) for row in READ])
def test_aliases_and_merge_keys_are_replaced(text: bytes, value: dict[str, Any]):
    assert values(text) == [value]


def test_each_document_has_anchors_of_its_own():
    texts = [f"a: &x [{each}]\nb: *x\n".encode() for each in range(50)]
    expected = [{"a": [each], "b": [each]} for each in range(50)]
    assert values(b"---\n".join(texts)) == expected
    assert values(b"...\n--- # more\n".join(texts)) == expected


def test_a_copied_field_counts_as_written_where_it_is_written():
    [document], _ = load(b"a: &x\n  b: 1\nc: *x\nd:\n  <<: *x\n  e: 1\n", "f")
    places = [(), ("a", "b"), ("c",), ("c", "b"), ("d",), ("d", "b"), ("d", "e")]
    assert [document.line_of(each) for each in places] == [1, 2, 3, 2, 4, 2, 6]


def bomb(width: int = 9) -> bytes:
    lines = [
        f"{one}: &{one} [{','.join([f'*{before}'] * width)}]\n"
        for before, one in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    return ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(lines)).encode()


CHAIN = b"a0: &a0 [x]\n" + b"".join(b"a%d: &a%d [*a%d]\n" % (each, each, each - 1) for each in range(1, 20_000))
REFUSED = [
    (b"a: &a [*a]\n", 1, "the alias *a stands inside of what it names"),
    (b"a: &a\n  b: 1\n  <<: *a\n", 3, "the alias *a stands inside of what it names"),
    (b"a: *x\nb: &x 1\n", 1, "undefined alias"),
    (b"a: &x 1\n---\nb: *x\n", 3, "undefined alias"),
    (b"a: &x 1\nb: &x 2\n", 2, "duplicate anchor"),
    (b"a:\n  <<: 1\n", 2, "takes the fields of a mapping"),
    (b"a: &x [1]\nb:\n  <<: *x\n", 3, "takes the fields of a mapping"),
    (b"a: &x {}\nb:\n  <<: *x\n  <<: *x\n", 4, "there twice"),
    (b"a: &x {b: 1}\nc: {<<: *x, d: 1, d: 2}\n", 2, "the key `d` is there twice"),
    (b"a: &x {? [b] : 1}\n", 1, "a key must be text"),
    (bomb(), 5, "with the alias *d the aliases of this document repeat too much"),
    (CHAIN, MAX_DEPTH + 1, "nested deeper than 64"),
    (b"a: &x " + b"x" * 300_000 + b"\nb: [*x,\n *x,\n *x,\n *x]\n", 5, "repeat too much"),
    (b"a: &x 1\nb:\n" + b"- *x\n" * 100_000, 3 + aliases.MAX_REPEATED // (aliases.EACH + 1), "repeat too much"),
]


@pytest.mark.parametrize(("text", "line", "words"), REFUSED, ids=[str(row[0][:24]) for row in REFUSED])
def test_refused_with_line_and_words(text: bytes, line: int, words: str):
    _, [problem] = load(text, "f")
    assert words in problem.message
    assert problem.line == line
    assert problem.severity == "error"


def test_a_bomb_costs_no_time_and_spoils_its_own_document_only():
    started = time.process_time()
    found, problems = load(b"---\n".join([b"kind: A\n", bomb(), bomb(40), CHAIN, b"kind: B\n"]), "f")
    assert [each.value for each in found] == [{"kind": "A"}, {"kind": "B"}]
    assert len(problems) == 3
    assert time.process_time() - started < 5


TEXT = st.text(max_size=8).filter(lambda text: not FLOAT.fullmatch(text))
SHARED = st.lists(
    st.one_of(st.lists(st.integers(0, 9), max_size=3), st.dictionaries(TEXT, st.integers(0, 9), max_size=3)),
    min_size=1,
    max_size=3,
)


@given(SHARED, st.data())
def test_agrees_with_what_safe_dump_shares(shared: list[Any], data: st.DataObject):
    again = st.sampled_from(range(len(shared))).map(shared.__getitem__)
    tree = {"first": shared, "again": data.draw(st.lists(st.one_of(again, st.lists(again, max_size=3)), max_size=6))}
    assert values(yaml.safe_dump(tree).encode()) == [tree]
