"""HTTPRoute matches -> MatchPlan. UnservableError when a value cannot be matched by anything."""

from __future__ import annotations

from typing import Any

from gatewayd.plan.filters import UnservableError, field_name
from gatewayd.routing.rule import regex
from gatewayd.routing.snapshot import Condition, MatchPlan
from gatewayd.wire.path import normalise


def compile_match(match: Any) -> MatchPlan:
    """One entry of rules[].matches."""
    kind, path = _path(match.path)
    return MatchPlan(
        path_kind=kind,
        path=path,
        method=match.method.encode() if match.method else None,
        headers=tuple(_condition(header, field_name(header.name)) for header in match.headers),
        query=tuple(_condition(parameter, parameter.name.encode()) for parameter in match.query_params),
    )


def prefix_of(matches: tuple[MatchPlan, ...]) -> bytes | None:
    """The prefix that ReplacePrefixMatch replaces: that of the rule's only match, when it is a prefix match."""
    if len(matches) == 1 and matches[0].path_kind == "prefix":
        return matches[0].path
    return None


def _path(spec: Any) -> tuple[Any, bytes]:
    value = spec.value.encode()
    if spec.type == "RegularExpression":
        return "regex", _expression(value)
    try:
        path = normalise(value)
    except ValueError as error:
        raise UnservableError(f"path {spec.value!r}: {error}") from None
    if spec.type == "Exact":
        return "exact", path
    # "/foo/" and "/foo" are the same prefix (Gateway API, PathMatchPathPrefix).
    return "prefix", path.rstrip(b"/") or b"/"


def _condition(spec: Any, name: bytes) -> Condition:
    """Of equal names the first counts; the lookup sees to it."""
    value = spec.value.encode()
    if spec.type == "RegularExpression":
        return Condition(name=name, value=_expression(value), regex=True)
    return Condition(name=name, value=value)


def _expression(pattern: bytes) -> bytes:
    """The expression itself, once RE2 has taken it."""
    try:
        regex(pattern)
    except ValueError as error:
        raise UnservableError(f"regular expression {pattern.decode()!r}: {error}") from None
    return pattern
