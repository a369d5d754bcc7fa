"""What is served of a rule otherwise than its author may think: told by `check`, and no reason to refuse it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from gatewayd.api.problem import Path


class Remark(NamedTuple):
    """`path` begins below what was looked at."""

    path: Path
    message: str
    hint: str


def of_headers(headers: Iterable[Any], path: Path) -> Iterator[Remark]:
    """Headers with the name of one before them, but for case (Gateway API, HTTPHeader.name, HTTPHeaderMatch.name)."""
    seen: set[str] = set()
    for index, header in enumerate(headers):
        name = header.name.lower()
        if name in seen:
            message = "is ignored: one before it has the same name, for case does not count"
            yield Remark((*path, index), message, "remove one of them")
        seen.add(name)


_MODIFIERS = {
    "request_header_modifier": "requestHeaderModifier",
    "response_header_modifier": "responseHeaderModifier",
}
_PATHS = {"request_redirect": "requestRedirect", "url_rewrite": "urlRewrite"}


def of_filter(spec: Any) -> Iterator[Remark]:
    """Of one filter."""
    for name, field in _MODIFIERS.items():
        edit = getattr(spec, name)
        if edit is not None:
            yield from of_headers(edit.set, (field, "set"))
            yield from of_headers(edit.add, (field, "add"))
    for name, field in _PATHS.items():
        wanted = getattr(spec, name, None)
        if wanted is not None and wanted.path is not None:
            yield from _of_path(wanted.path, (field, "path"))


def _of_path(path: Any, place: Path) -> Iterator[Remark]:
    values = {"replaceFullPath": path.replace_full_path, "replacePrefixMatch": path.replace_prefix_match}
    for field, value in values.items():
        if value and ("?" in value or "#" in value):
            message = f"`{value}` is a path as a whole: `?` and `#` are sent encoded, and the request's query is kept"
            yield Remark((*place, field), message, "write the path alone")
