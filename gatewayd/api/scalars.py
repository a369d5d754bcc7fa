"""Plain (unquoted) scalars, read by the rules of JSON.

YAML 1.1 makes 83 of `0123`, 45045 of `12:30:45` and True of `on`. Here only what JSON knows is converted; all else is
text. Whether a text may stand for a bool, or a number for a text, is decided where the schema is known (`api.forms`),
so two subclasses remember what was written.
"""

from __future__ import annotations

import re
from typing import Self

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,18})", re.ASCII)
FLOAT = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?", re.ASCII)
# Words that YAML 1.1, and so Kubernetes, reads as booleans when they are not quoted.
YAML_BOOLEANS = {
    **dict.fromkeys(("yes", "Yes", "YES", "on", "On", "ON", "True", "TRUE"), True),
    **dict.fromkeys(("no", "No", "NO", "off", "Off", "OFF", "False", "FALSE"), False),
}


class Number(float):
    """A number with fraction or exponent; `text` is how it was written."""

    text: str

    def __new__(cls, text: str) -> Self:
        """ValueError when `text` is no number."""
        number = super().__new__(cls, text)
        number.text = text
        return number


class Word(str):
    """A plain scalar that YAML 1.1 reads as a boolean, such as `no`."""

    __slots__ = ()


Scalar = None | bool | int | float | str


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar: None, bool, int, Number, Word or str."""
    first = text[:1]
    if first.isalpha() and first not in "tfnNyYoOTF":
        return text
    if text in NULLS:
        return None
    if text in {"true", "false"}:
        return text == "true"
    if first in "-0123456789":
        return _number(text)
    return Word(text) if text in YAML_BOOLEANS else text


def _number(text: str) -> Scalar:
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        return Number(text)
    return text
