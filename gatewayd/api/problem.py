"""What is wrong with an object or a file, where, and what to write instead."""

from __future__ import annotations

from typing import Literal

import msgspec


class Problem(msgspec.Struct, frozen=True):
    """One finding. `object` is "HTTPRoute shop/cart" or "", `field` a path such as "spec.rules[0].name" or "".

    An error sets the object (or the file) aside, a warning does not. Lines count from 1; 0 means the whole file.
    """

    file: str
    line: int
    object: str
    field: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        """`file:line: HTTPRoute shop/cart: spec.rules[0].name: message; hint`, without the parts that are empty."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        text = ": ".join(part for part in (place, self.object, self.field, self.message) if part)
        return f"{text}; {self.hint}" if self.hint else text


Path = tuple[str | int, ...]


def printable(text: str) -> str:
    """`text` with control characters and line breaks escaped, so that no file can forge a line of output."""
    return text if text.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def dotted(path: Path) -> str:
    """A field path as Kubernetes writes it: `spec.rules[0].matches`, keys that are no plain names in brackets."""
    text = ""
    for step in path:
        if isinstance(step, int) or not step.isidentifier():
            text += f"[{printable(str(step))}]"
        else:
            text += f".{step}" if text else step
    return text
