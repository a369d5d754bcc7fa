"""Problems found across objects: each names the file, the line, the object and the field."""

from __future__ import annotations

from typing import Literal

from gatewayd.api.objects import Object
from gatewayd.api.problem import Path, Problem, dotted


def report(
    item: Object, path: Path, message: str, hint: str = "", severity: Literal["error", "warning"] = "error"
) -> Problem:
    """A problem of `item` at `path`."""
    return Problem(
        file=item.file,
        line=item.line_of(path),
        object=item.title,
        field=dotted(path),
        message=message,
        hint=hint,
        severity=severity,
    )


def warn(item: Object, path: Path, message: str, hint: str = "") -> Problem:
    """A problem that leaves the object served, only not as its author may think."""
    return report(item, path, message, hint, "warning")
