"""YAML text to plain values that remember their lines.

Read as Kubernetes does: JSON's data model, one object a document. Refused, each with file and line: text that is not
UTF-8, aliases that repeat too much, duplicate keys, tags, nesting deeper than 64, documents above 1 MiB, more than
10 000 documents in a file. Nothing here raises for any input.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from gatewayd.api.aliases import Alias, AliasError, Expansion
from gatewayd.api.pieces import MAX_DOCUMENT_BYTES, ODD_BREAKS, Piece, control_character, file_problem, pieces
from gatewayd.api.problem import Path, Problem, dotted, printable
from gatewayd.api.scalars import plain

try:
    from yaml._yaml import CParser
except ImportError as error:  # pragma: no cover - depends on how PyYAML was built
    raise ImportError(
        "PyYAML was built without libyaml, which gatewayd needs to read YAML fast; install a PyYAML wheel from PyPI"
    ) from error

MAX_DEPTH = 64
PLAIN, TEXT, COLLECTION = "plain", "text", "collection"
TAGS = frozenset({PLAIN, TEXT, COLLECTION, "tag:yaml.org,2002:str", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})
DEEP_LINE = re.compile(rb"(?m)^[ ?:-]{24}")
FREE_BRACKETS = MAX_DEPTH - 26
TEMPLATE = "render a template first (helm template ...); quote a text that begins with `{`"

Lines = int | tuple[int, Any]


class Document(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One document. `lines` mirrors `value`: a line for a scalar, (line, children) for a mapping or sequence; it stands
    `moved` lines further down by now.
    """

    file: str
    line: int
    value: dict[str, Any]
    lines: Lines
    moved: int = 0

    def further(self, down: int) -> Document:
        """The same document, so many lines further down."""
        return Document(self.file, self.line + down, self.value, self.lines, self.moved + down)

    def line_of(self, path: Path) -> int:
        """The line of the field at `path` (keys and indices), or of its nearest parent that is written."""
        lines = self.lines
        for step in path:
            if isinstance(lines, int):
                break
            children = lines[1]
            known = step in children if isinstance(children, dict) else _within(step, children)
            if not known:
                break
            lines = children[step]
        return self.moved + (lines if isinstance(lines, int) else lines[0])


def _within(step: str | int, children: list[Lines]) -> bool:
    return isinstance(step, int) and 0 <= step < len(children)


class _RefusedError(Exception):
    """A document that is YAML, but not for us."""

    def __init__(self, line: int, message: str, hint: str = "", field: str = "") -> None:
        super().__init__(message)
        self.line, self.message, self.hint, self.field = line, message, hint, field


class _Composer(CParser):
    """libyaml's parser with a resolver that only tells plain scalars from quoted ones."""

    def __init__(self, text: bytes) -> None:
        CParser.__init__(self, text)

    def resolve(self, kind: type, value: str | None, implicit: tuple[bool, bool]) -> str:  # noqa: ARG002
        """The tag of a node that has none of its own."""
        if kind is not yaml.ScalarNode:
            return COLLECTION
        return PLAIN if implicit[0] else TEXT

    def descend_resolver(self, parent: Any, index: Any) -> None:
        """Nothing depends on where a node stands."""

    def ascend_resolver(self) -> None:
        """Nothing depends on where a node stands."""


def load(text: bytes, file: str) -> tuple[list[Document], list[Problem]]:
    """All documents of a file that can be read, and what is wrong with the others. Never raises."""
    found, problems = pieces(text, file)
    documents: list[Document] = []
    for piece in found:
        read, wrong = parse(piece, file)
        documents += read
        problems += wrong
    return documents, problems


def parse(piece: Piece, file: str) -> tuple[list[Document], list[Problem]]:
    """The documents in one piece: one, unless it was ended by `...` and followed by another."""
    documents: list[Document] = []
    try:
        documents.extend(_documents(piece, file))
    except _RefusedError as refusal:
        return documents, [file_problem(file, refusal.line, refusal.message, refusal.hint, refusal.field)]
    except yaml.YAMLError as error:
        return documents, [_syntax(error, piece, file)]
    except (ValueError, RecursionError) as error:
        return documents, [file_problem(file, piece.line, f"cannot be read: {error}")]
    return documents, []


def _documents(piece: Piece, file: str) -> Iterator[Document]:
    if len(piece.text) > MAX_DOCUMENT_BYTES:
        hint = f"at most {MAX_DOCUMENT_BYTES} bytes are read, as in a cluster"
        raise _RefusedError(piece.line, f"the document is {len(piece.text)} bytes long", hint)
    expansion = _measure(piece) if _suspicious(piece.text) else None
    composer: Any = _Composer(piece.text)
    while composer.check_node():
        node = composer.get_node()
        if expansion is not None:
            _expand(expansion, node)
        line = piece.line + node.start_mark.line
        if not isinstance(node, yaml.MappingNode):
            if isinstance(node, yaml.ScalarNode) and node.tag == PLAIN and plain(node.value) is None:
                continue
            raise _RefusedError(line, "a document must be one object", "begin it with `apiVersion:` and `kind:`")
        line = piece.line + node.value[0][0].start_mark.line if node.value else line
        value, lines = _build(node, line, piece.line, ())
        yield Document(file, line, value, lines)


def _expand(expansion: Expansion, node: Any) -> None:
    try:
        expansion.document(node)
    except AliasError as error:
        raise _RefusedError(error.line, error.message, error.hint) from None


def _build(node: Any, line: int, base: int, path: Path) -> tuple[Any, Lines]:
    """The value of a node, and its lines; `line` is where it counts as written: at its key."""
    if node.tag not in TAGS:
        raise _RefusedError(line, f"the tag {printable(node.tag)} is not allowed", "remove it", dotted(path))
    if isinstance(node, yaml.ScalarNode):
        return (plain(node.value) if node.tag == PLAIN else node.value), line
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, line, base, path)
    values, lines = [], []
    for index, item in enumerate(node.value):
        value, place = _build(item, base + item.start_mark.line, base, (*path, index))
        values.append(value)
        lines.append(place)
    return values, (line, lines)


def _mapping(node: Any, line: int, base: int, path: Path) -> tuple[dict[str, Any], Lines]:
    values: dict[str, Any] = {}
    lines: dict[str, Lines] = {}
    for key, item in node.value:
        place = base + key.start_mark.line
        name = key.value
        if not isinstance(name, str):
            raise _RefusedError(place, "a key must be text, not a list or mapping", TEMPLATE, dotted(path))
        if name in values:
            hint = f"it stands already in line {_line(lines[name])}; remove one of them"
            raise _RefusedError(place, f"the key `{printable(name)}` is there twice", hint, dotted((*path, name)))
        values[name], lines[name] = _build(item, place, base, (*path, name))
    return values, (line, lines)


def _line(lines: Lines) -> int:
    return lines if isinstance(lines, int) else lines[0]


def _suspicious(text: bytes) -> bool:
    """Whether the text might hold an alias or a merge key, or nest too deep; cheap, wrong only in the safe direction.

    Nested blocks need growing indentation, so no line indented by 24 means at most 26 levels and the brackets.
    """
    brackets = text.count(b"[") + text.count(b"{")
    deep = brackets > FREE_BRACKETS or DEEP_LINE.search(text) is not None
    return deep or (b"*" in text and b"&" in text) or b"<<" in text or ODD_BREAKS.search(text) is not None


def _measure(piece: Piece) -> Expansion:
    """Walk the events, which needs no recursion: libyaml's composer overflows the stack on deep nesting. Newer ones
    count for themselves, and may look so far ahead that they complain first.
    """
    try:
        return Expansion(iter(_walk(piece)), piece.line, MAX_DEPTH, PLAIN)
    except yaml.MarkedYAMLError as error:
        if "maximum nesting depth" not in str(error.problem) or error.problem_mark is None:
            raise
        raise _too_deep(piece.line + error.problem_mark.line) from None


def _too_deep(line: int) -> _RefusedError:
    return _RefusedError(line, f"nested deeper than {MAX_DEPTH} levels")


def _walk(piece: Piece) -> list[Alias]:
    parser: Any = _Composer(piece.text)
    aliases: list[Alias] = []
    depth = 0
    while parser.check_event():
        event = parser.get_event()
        line = piece.line + event.start_mark.line
        if isinstance(event, yaml.AliasEvent):
            aliases.append(Alias(event.anchor or "", line))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise _too_deep(line)
    return aliases


SYNTAX_HINTS = (
    ("mapping values are not allowed", "indent the line like its neighbours, and quote a text that contains `: `"),
    ("while scanning an alias", "quote a text that begins with `*`, for example `'*.example.com'`"),
    ("found undefined alias", "quote a text that begins with `*`; else write its anchor (`&name`) before it"),
    ("found duplicate anchor", "give each anchor of a document a name of its own"),
    ("while scanning an anchor", "quote a text that begins with `&`"),
    ("cannot start any token", "indent with blanks, not tabs; quote a text that begins with `@`, `%` or a backtick"),
    ("tab character", "indent with blanks instead of tabs"),
    ("did not find expected key", "check the indentation, and that every quote is closed"),
    ("did not find expected node content", "check that every `[` and `{` is closed"),
    ("did not find expected '-' indicator", "check the indentation of the list"),
    ("could not find expected ':'", "write `name: value`, and check that every quote is closed"),
    ("unexpected end of stream", "close the quote"),
)


def _syntax(error: yaml.YAMLError, piece: Piece, file: str) -> Problem:
    """libyaml's own words, with our place and what usually causes them."""
    if isinstance(error, yaml.reader.ReaderError) and (problem := control_character(piece.text, piece.line, file)):
        return problem
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    words = (getattr(error, "context", None), getattr(error, "problem", None) or getattr(error, "reason", None))
    message = ", ".join(word for word in words if word) or "cannot be read"
    hint = next((hint for words, hint in SYNTAX_HINTS if words in message), "")
    if b"{{" in piece.text:
        hint = TEMPLATE
    line = piece.line + min(mark.line if mark else 0, piece.text.count(b"\n"))
    return file_problem(file, line, f"no valid YAML: {message}", hint)
