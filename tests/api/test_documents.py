from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.api import documents, pieces
from gatewayd.api.documents import load
from gatewayd.api.scalars import FLOAT, Number, Word


def values(text: str | bytes) -> list[Any]:
    found, problems = load(text if isinstance(text, bytes) else text.encode(), "f.yaml")
    assert not problems, [str(each) for each in problems]
    return [each.value for each in found]


SCALARS = [
    ("true", True),
    ("false", False),
    ("null", None),
    ("~", None),
    ("", None),
    ("0", 0),
    ("-12", -12),
    ("80", 80),
    ("1.5", 1.5),
    ("1e3", 1000.0),
    ("no", "no"),
    ("on", "on"),
    ("True", "True"),
    ("010", "010"),
    ("0x1F", "0x1F"),
    ("12:30:45", "12:30:45"),
    ("1_000", "1_000"),
    (".inf", ".inf"),
    ("+5", "+5"),
    ("2024-01-01", "2024-01-01"),
    ("'80'", "80"),
    ('"true"', "true"),
    ("!!str 80", "80"),
    ("٣", "٣"),
    ("99999999999999999999999999", 99999999999999999999999999.0),
    ("|\n  a\n  b\n", "a\nb\n"),
    ("{a: [1, x]}", {"a": [1, "x"]}),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_scalars_are_read_by_the_rules_of_json(text: str, value: object):
    [document] = values(f"key: {text}\n")
    assert document == {"key": value}
    assert isinstance(document["key"], bool) == isinstance(value, bool)


def test_what_was_written_is_remembered():
    [document] = values("a: 1e3\nb: no\nc: 'no'\n")
    assert isinstance(document["a"], Number)
    assert document["a"].text == "1e3"
    assert isinstance(document["b"], Word)
    assert type(document["c"]) is str


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "---",
        "---\n---\n",
        "# only a comment\n",
        "---\n# a\n---\n...\n",
        "%YAML 1.1\n---\n",
        "null\n",
        "\ufeff",
    ],
)
def test_nothing_is_no_document_and_no_problem(text: str):
    assert values(text) == []


def test_documents_are_cut_at_markers_only():
    text = "a: 1\n---\nb: |\n  ---\n  x\n--- {c: 3}\n...\n---\t# tab\nd: 4\n--- # comment\ne: '---'\n---\r\nf: 6\r\n"
    found, problems = load(text.encode(), "f")
    assert problems == []
    assert [each.value for each in found] == [{"a": 1}, {"b": "---\nx\n"}, {"c": 3}, {"d": 4}, {"e": "---"}, {"f": 6}]
    assert [each.line for each in found] == [1, 3, 6, 9, 11, 13]


def test_a_document_can_be_ended_without_a_marker():
    assert values("a: 1\n...\n") == [{"a": 1}]


def test_a_syntax_error_spoils_its_own_document_only():
    found, problems = load(b"a: 1\n---\nb: [\n---\nc: 3\n", "f")
    assert [each.value for each in found] == [{"a": 1}, {"c": 3}]
    [problem] = problems
    assert (problem.file, problem.severity) == ("f", "error")
    assert 3 <= problem.line <= 4


def test_lines_of_fields():
    text = b"# comment\nkind: A\nspec:\n  rules:\n  - name: x\n    list:\n    - 1\n    -\n      a: b\n"
    text += b"  flow: {a: 1,\n    b: 2}\n"
    [document], _ = load(b"---\n" + text, "f")
    expected = {
        (): 3,
        ("kind",): 3,
        ("spec",): 4,
        ("spec", "rules"): 5,
        ("spec", "rules", 0): 6,
        ("spec", "rules", 0, "name"): 6,
        ("spec", "rules", 0, "list", 1, "a"): 10,
        ("spec", "rules", 0, "missing"): 6,
        ("spec", "rules", 7): 5,
        ("spec", "rules", "name"): 5,
        ("spec", "rules", 0, "name", "deeper"): 6,
        ("spec", "flow", "b"): 12,
        ("nothing", "here"): 3,
    }
    assert {path: document.line_of(path) for path in expected} == expected


REFUSED = [
    (b"a: 1\na: 2\n", 2, "the key `a` is there twice"),
    (b"a:\n  b: 1\n  c: 2\n  b: 3\n", 4, "the key `b` is there twice"),
    (b"a:\n  ? [x]\n  : 1\n", 2, "a key must be text"),
    (b"a: !!binary YQ==\n", 1, "tag tag:yaml.org,2002:binary"),
    (b"a: !python/object:os.system x\n", 1, "is not allowed"),
    (b"- a\n", 1, "must be one object"),
    (b"text\n", 1, "must be one object"),
    (b"a: b\n\tc: d\n", 2, "tab"),
    (b"a: \xff\n", 1, "not UTF-8"),
    (b"\n\nname: caf\xe9\n", 3, "not UTF-8"),
    (b"\xff\xfea\x00:\x00", 1, "not UTF-8"),
    (b"a: 1\nb: \x00\n", 2, "U+0000"),
    (b"a: \x1b[31m\n", 1, "U+001B"),
    (b"# x\n---\nb: 1\nc: \xc2\x81\n", 4, "U+0081"),
    (b"a: \xef\xbf\xbf\n", 1, "U+FFFF"),
    (b"a: b: c\n", 1, "mapping values"),
    (b"host: *.example.com\n", 1, "alias"),
    (b'a: "open\n', 2, "quoted scalar"),
    (b"a: [1, 2\nb: 3\n", 2, "flow sequence"),
    (b"a: @x\n", 1, "cannot start any token"),
    (b"a: 1\n b: 2\n", 2, "mapping values"),
    (b"a:\n- b\nc\n", 4, "could not find expected ':'"),
    (b"[" * 100_000, 1, "deeper than 64"),
    (b"- " * 10_000 + b"a", 1, "deeper than 64"),
    (b"? " * 10_000 + b"a", 1, "deeper than 64"),
    (b"\n".join(b" " * depth + b"a:" for depth in range(100)), 65, "deeper than 64"),
    (b"\r".join(b" " * depth + b"a:" for depth in range(100)), 65, "deeper than 64"),
    (b"{a: " * 70 + b"}" * 70, 1, "deeper than 64"),
    (b"a: " + b"x" * pieces.MAX_DOCUMENT_BYTES, 1, "bytes long"),
]


@pytest.mark.parametrize(("text", "line", "words"), REFUSED, ids=[str(row[0][:24]) for row in REFUSED])
def test_refused_with_line_and_words(text: bytes, line: int, words: str):
    found, [problem] = load(text, "f")
    assert found == []
    assert words in problem.message
    assert problem.line == line
    assert problem.severity == "error"


def test_hints_for_what_people_trip_over():
    for text, words in [
        (b"a: *.b\n", "quote"),
        (b"a: b: c\n", "quote"),
        (b"a: b\n\tc: d\n", "blanks"),
        (b"'a", "quote"),
        (b"a: [\n", "closed"),
        (b"a: *x\n", "quote a text that begins with `*`; else write its anchor"),
    ]:
        _, [problem] = load(text, "f")
        assert words in problem.hint


def test_bombs_are_refused_at_once():
    started = time.process_time()
    for bomb in (
        b"[" * 1_000_000,
        b"{" * 1_000_000,
        b"- " * 500_000,
        b"a: " + b"[" * 500_000 + b"]" * 500_000,
    ):
        assert load(bomb, "f")[0] == []
    assert time.process_time() - started < 5


def test_huge_files_of_nothing_take_no_time():
    started = time.process_time()
    for text in (b"\n", b" \n", b"# x\n", b"---\n", b"%\n", b"--- # x\n", b"x"):
        load(text * (3_000_000 // len(text)), "f")
    assert time.process_time() - started < 10


def test_sixty_four_levels_are_fine():
    depth = documents.MAX_DEPTH - 1
    assert len(values("a: " + "[" * depth + "]" * depth)) == 1


def test_limits_of_a_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pieces, "MAX_DOCUMENTS", 3)
    found, [problem] = load(b"---\na: 1\n" * 5, "f")
    assert len(found) == 3
    assert problem.line == 7
    monkeypatch.setattr(pieces, "MAX_FILE_BYTES", 8)
    found, [problem] = load(b"a: 1234567\n", "f")
    assert found == []
    assert "the file is too long" in problem.message


def test_control_characters_cannot_forge_a_line_of_output():
    _, problems = load(b'"a\\nf:1: forged": 1\n"a\\nf:1: forged": 2\n', "f")
    assert all("\n" not in str(each) for each in problems)


FRAGMENTS = [
    "a", "b: ", "- ", "\n", "  ", "{", "}", "[", "]", ",", ": ", "?", "'", '"', "&x ", "*x", "!t ", "|\n", ">-\n",
    "---", "...", "#", "%YAML 1.1", "\t", "\r", "\x00", "\x85", "\u2028", "\ufeff", "<<", "~", "0x", "1e999", "\\ud800",
]  # fmt: skip


@given(
    st.one_of(st.binary(), st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(lambda parts: "".join(parts).encode()))
)
def test_never_raises_and_always_says_where(text: bytes):
    found, problems = load(text, "f")
    last = text.count(b"\n") + text.count(b"\r") + text.count(b"\xc2\x85") + text.count(b"\xe2\x80\xa8") + 2
    for problem in problems:
        assert 0 <= problem.line <= last
    for document in found:
        assert isinstance(document.value, dict)
        assert 1 <= document.line_of(tuple(document.value)[:1]) <= last


class NoAliases(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


TEXT = st.text(max_size=12).filter(lambda text: not FLOAT.fullmatch(text))
TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**15), 10**15), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=15,
)


@given(st.dictionaries(TEXT, TREES, min_size=1, max_size=4), st.sampled_from([True, False, None]))
def test_agrees_with_safe_load_on_ordinary_structures(tree: dict[str, Any], flow: bool | None):
    text = yaml.dump(tree, Dumper=NoAliases, default_flow_style=flow)
    assert values(text) == [yaml.safe_load(text)] == [tree]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r'{"a": "\ud83d\ude00"}', "\U0001f600"),
        (r'{"a": "x\uD83D\uDE00\ud83d\ude00y"}', "x\U0001f600\U0001f600y"),
        (r'{"a": "\\\ud83d\ude00"}', "\\\U0001f600"),
        (r'{"a": "\\ud83d\\ude00"}', r"\ud83d\ude00"),
        (r'{"a": "\\\\ud83d\ude00"}', None),
        (r'{"a": "\ud83d"}', None),
        (r'{"a": "\ude00\ud83d"}', None),
    ],
)
def test_json_escapes_a_character_beyond_the_basic_plane_by_two_surrogates(text: str, value: str | None) -> None:
    found, problems = load(text.encode(), "f.json")
    assert [each.value for each in found] == ([] if value is None else [{"a": value}])
    assert bool(problems) == (value is None)


def test_outside_of_json_files_surrogates_are_text_or_refused() -> None:
    assert values(r"a: \ud83d\ude00") == [{"a": r"\ud83d\ude00"}]
    assert load(rb'a: "\ud83d\ude00"', "f.yaml")[1]


@pytest.mark.parametrize(
    "line",
    [
        "name: {{ .Release.Name }}",
        "{{- if .Values.on }}",
        "name: {{ .Release.Name }}-gateway",
        "{{ include `x` . }}: 1",
    ],
)
def test_a_template_is_called_one(line: str):
    found, [problem] = load(f"apiVersion: v1\nkind: Service\nmetadata:\n  {line}\n".encode(), "f")
    assert found == []
    assert problem.line == 4
    assert problem.hint.startswith("render a template first")
