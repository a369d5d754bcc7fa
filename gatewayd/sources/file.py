"""One file: its documents as they were read last, and the objects in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import msgspec

from gatewayd.api.decode import SILENT, decode, expand, key_of
from gatewayd.api.documents import parse
from gatewayd.api.objects import Object
from gatewayd.api.pieces import Piece, pieces
from gatewayd.api.problem import Problem
from gatewayd.sources.scan import Signature

PieceKey = tuple[int, bytes]
SKIPPED = tuple(f"kind: {kind}".encode() for kind in sorted(SILENT))


class Part(msgspec.Struct, frozen=True):
    """What one document gave. `invalid`: keys of objects that have errors; `broken`: it could not be parsed."""

    objects: tuple[Object, ...] = ()
    problems: tuple[Problem, ...] = ()
    invalid: tuple[str, ...] = ()
    broken: bool = False

    def further(self, down: int) -> Part:
        """The same document, so many lines further down."""
        return msgspec.structs.replace(self, objects=tuple(item.further(down) for item in self.objects))


class File(msgspec.Struct):
    """State of one file. `kept` are objects of an earlier reading that stay in force, since now they cannot be read.

    `settled` is False when the file was written so recently that a later write might leave the signature as it is.
    """

    path: str
    signature: Signature | None = None
    settled: bool = True
    parts: dict[PieceKey, Part] = msgspec.field(default_factory=dict)
    objects: tuple[Object, ...] = ()
    kept: dict[str, Object] = msgspec.field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    failed: tuple[Problem, ...] = ()

    def read(self, text: bytes, earlier: Callable[[str], Object | None]) -> None:
        """Take new content. Documents that are the same, in the same line, keep their objects as the same instances;
        those that moved are not read again.

        `earlier(key)` gives the object that is in force now, for those that became invalid.
        """
        found, problems = pieces(text, self.path)
        parts: dict[PieceKey, Part] = {}
        elsewhere = {digest: line for line, digest in self.parts}
        for piece in found:
            digest = hashlib.blake2b(piece.text, digest_size=16).digest()
            key = piece.line, digest
            known = self.parts.get(key) or self._further(piece.line, digest, elsewhere)
            parts[key] = known or part_of(piece, self.path)
        self._replace(parts, problems, earlier)

    def _further(self, line: int, digest: bytes, elsewhere: dict[bytes, int]) -> Part | None:
        """The part with this text, from another line; None where there is none, or where its problems name lines."""
        if digest not in elsewhere:
            return None
        part = self.parts[elsewhere[digest], digest]
        return None if part.problems else part.further(line - elsewhere[digest])

    def fail(self, problem: Problem) -> None:
        """The file cannot be read now: everything stays in force as it was."""
        self.failed = (problem,)

    def _replace(
        self, parts: dict[PieceKey, Part], problems: list[Problem], earlier: Callable[[str], Object | None]
    ) -> None:
        objects = tuple(item for part in parts.values() for item in part.objects)
        fresh = {item.key for item in objects}
        kept: dict[str, Object] = {}
        if problems or any(part.broken for part in parts.values()):
            before = [*self.objects, *self.kept.values()]
            kept.update((item.key, item) for item in before if item.key not in fresh)
        for key in (key for part in parts.values() for key in part.invalid):
            item = self.kept.get(key) or earlier(key)
            if item is not None and key not in fresh:
                kept[key] = item
        self.parts, self.objects, self.kept, self.failed = parts, objects, kept, ()
        self.problems = (*problems, *(each for part in parts.values() for each in part.problems))

    def report(self) -> tuple[Problem, ...]:
        """All problems, and a warning for the objects that stay in force as they were."""
        if not self.kept:
            return (*self.failed, *self.problems)
        stays = ", ".join(sorted(item.title for item in self.kept.values()))
        warning = Problem(
            file=self.path,
            line=0,
            object="",
            field="",
            message=f"the last valid version stays in force of: {stays}",
            severity="warning",
        )
        return (*self.failed, *self.problems, warning)


def part_of(piece: Piece, file: str) -> Part:
    """Parse and decode one document."""
    if any(line in piece.text for line in SKIPPED) and _is_silent(piece.text):
        return Part()
    documents, problems = parse(piece, file)
    broken = bool(problems)
    objects: list[Object] = []
    invalid: list[str] = []
    for document in (each for whole in documents for each in expand(whole)):
        item, found = decode(document)
        problems += found
        if item is not None:
            objects.append(item)
        elif any(each.severity == "error" for each in found) and (key := key_of(document)):
            invalid.append(key)
    return Part(tuple(objects), tuple(problems), tuple(invalid), broken)


def _is_silent(text: bytes) -> bool:
    """Whether a line at column 0 names a kind that is skipped: a CRD of half a megabyte is not worth parsing."""
    return any(line.rstrip() in SKIPPED for line in text.splitlines())
