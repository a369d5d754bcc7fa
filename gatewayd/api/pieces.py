"""A file of YAML, cut apart into the texts of its documents.

Cutting comes before parsing: a `---` at column 0 ends every YAML construct, so a syntax error spoils its own document
only. What no document can survive is found here: text that is not UTF-8, control characters, too many documents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from gatewayd.api.problem import Problem

MAX_DOCUMENT_BYTES = 1 << 20
MAX_FILE_BYTES = 32 << 20
MAX_DOCUMENTS = 10_000

MARKER = re.compile(rb"(?m)^---(?=[ \t\r\n]|\Z)")
# A line that is neither blank nor a comment, a directive or a marker; or what follows a marker in its line.
SOMETHING = re.compile(rb"(?m)(?:\A---(?=[ \t])|^(?!%|---(?:[ \t\r\n]|\Z)))[ \t]*[^ \t\r\n#]")
CONTROLS = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
PRINTABLE = bytes(each for each in range(256) if not CONTROLS.match(bytes([each])))
FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
# A character beyond U+FFFF as JSON escapes it (RFC 8259 section 7), after an even number of backslashes.
SURROGATES = re.compile(rb"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
# Line breaks besides \n make the cheap bound on the depth worthless; then the depth is counted.
ODD_BREAKS = re.compile(rb"\r(?!\n)|\xc2\x85|\xe2\x80[\xa8\xa9]")


class Piece(msgspec.Struct, frozen=True, gc=False):
    """The text of one document, and the line of the file at which it begins (from 1)."""

    line: int
    text: bytes


def pieces(text: bytes, file: str) -> tuple[list[Piece], list[Problem]]:
    """Cut a file into documents; those that hold nothing but comments are left out."""
    refusal = _unreadable(text, file)
    if refusal:
        return [], [refusal]
    if file.endswith(".json"):
        text = SURROGATES.sub(_joined, text)
    found: list[Piece] = []
    for count, (line, part) in enumerate(_cut(text.removeprefix(b"\xef\xbb\xbf"))):
        if count == MAX_DOCUMENTS:
            hint = "split it into several files"
            return found, [file_problem(file, line, f"more than {MAX_DOCUMENTS} documents in one file", hint)]
        if len(part) > MAX_DOCUMENT_BYTES or SOMETHING.search(part) or ODD_BREAKS.search(part):
            found.append(Piece(line, part))
    return found, []


def _joined(pair: re.Match[bytes]) -> bytes:
    """The character itself for its two escapes, which YAML does not know."""
    units = bytes.fromhex(f"{pair[2].decode()}{pair[3].decode()}")
    return pair[1] + units.decode("utf-16-be").encode()


def _cut(text: bytes) -> Iterator[tuple[int, bytes]]:
    """The text between the markers, each part with its marker and its first line."""
    line, start = 1, 0
    for mark in MARKER.finditer(text):
        if mark.start():
            yield line, text[start : mark.start()]
            line += text.count(b"\n", start, mark.start())
            start = mark.start()
    yield line, text[start:]


def _unreadable(text: bytes, file: str) -> Problem | None:
    """What keeps the whole file from being read, or None."""
    if len(text) > MAX_FILE_BYTES:
        return file_problem(file, 0, "the file is too long", f"at most {MAX_FILE_BYTES} bytes are read; split it")
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        return file_problem(file, line, f"byte 0x{text[error.start]:02x} is not UTF-8", "save the file as UTF-8")
    # Deleting the good bytes is thirty times as fast as searching for bad ones.
    return control_character(text, 1, file) if text.translate(None, PRINTABLE) else None


def control_character(text: bytes, line: int, file: str) -> Problem | None:
    """The first character that YAML forbids; `line` is that of the start of `text`."""
    decoded = text.decode("utf-8")
    found = FORBIDDEN.search(decoded)
    if found is None:
        return None
    line += decoded.count("\n", 0, found.start())
    message = f"the control character U+{ord(found.group()):04X} is not allowed in YAML"
    return file_problem(file, line, message, "remove it")


def file_problem(file: str, line: int, message: str, hint: str = "", field: str = "") -> Problem:
    """A problem that concerns no object."""
    return Problem(file=file, line=line, object="", field=field, message=message, hint=hint)
