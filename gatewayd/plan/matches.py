"""Matches of HTTPRoutes and GRPCRoutes -> MatchPlan. UnservableError when a value cannot be matched by anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gatewayd.api.problem import Path
from gatewayd.plan.filters import UnservableError, field_name
from gatewayd.routing.match import regex
from gatewayd.routing.snapshot import Condition, MatchPlan
from gatewayd.wire.path import normalise


def compile_matches(kind: str, rule: Any, path: Path) -> tuple[MatchPlan, ...]:
    """The matches of the rule at `path`; () for the kinds of routes that have none."""
    if kind == "GRPCRoute":
        return tuple(_each(_call, rule, path)) or (_EVERY_CALL,)
    return tuple(_each(_request, rule, path)) if kind == "HTTPRoute" else ()


def _each(compiler: Callable[[Any], MatchPlan], rule: Any, path: Path) -> Iterator[MatchPlan]:
    for index, match in enumerate(rule.matches):
        try:
            yield compiler(match)
        except UnservableError as error:
            raise error.under(*path, "matches", index) from None


def _request(match: Any) -> MatchPlan:
    """One match of an HTTPRoute."""
    kind, path = _path(match.path)
    return MatchPlan(
        path_kind=kind,
        path=path,
        method=match.method.encode() if match.method else None,
        headers=_headers(match),
        query=tuple(_condition(parameter, parameter.name.encode()) for parameter in match.query_params),
    )


def prefix_of(matches: tuple[MatchPlan, ...]) -> bytes | None:
    """The prefix that ReplacePrefixMatch replaces: that of the rule's only match, when it is a prefix match."""
    if len(matches) == 1 and matches[0].path_kind == "prefix":
        return matches[0].path
    return None


_EVERY_CALL = MatchPlan(method=b"POST", grpc=True)


def _call(match: Any) -> MatchPlan:
    """One match of a GRPCRoute. A call is a POST to `/<service>/<method>` (gRPC over HTTP/2, "Path")."""
    wanted = match.method
    headers = _headers(match)
    kind, path, call = "prefix", b"/", b""
    if wanted is not None:
        service, method = wanted.service or "", wanted.method or ""
        if wanted.type == "RegularExpression":
            kind, path = "regex", _expression(_call_expression(service, method))
        elif service and method:
            kind, path = "exact", f"/{service}/{method}".encode()
        elif service:
            path = f"/{service}".encode()
        else:
            call = method.encode()
    return MatchPlan(
        path_kind=kind,  # type: ignore[arg-type]
        path=path,
        method=b"POST",
        headers=headers,
        grpc=True,
        call=call,
    )


def _call_expression(service: str, method: str) -> bytes:
    """One expression for the path. Each part stands alone first: "a)|(b" must not reach into the other."""
    for part in filter(None, (service, method)):
        _expression(part.encode())
    return "/{}/{}".format(*(f"(?:{part})" if part else "[^/]+" for part in (service, method))).encode()


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


def _headers(match: Any) -> tuple[Condition, ...]:
    """Of names that differ only by case the first counts (Gateway API, HTTPHeaderMatch.name)."""
    found: dict[bytes, Condition] = {}
    for header in match.headers:
        found.setdefault(field_name(header.name), _condition(header, header.name.lower().encode()))
    return tuple(found.values())


def _condition(spec: Any, name: bytes) -> Condition:
    value = spec.value.encode()
    if spec.type == "RegularExpression":
        return Condition(name=name, value=_expression(value), regex=True)
    return Condition(name=name, value=value)


def _expression(pattern: bytes) -> bytes:
    """The expression itself, once RE2 has taken it."""
    try:
        regex(pattern)
    except ValueError as error:
        raise UnservableError(f"regular expression {pattern.decode()!r} is none that RE2 takes: {error}") from None
    return pattern
