"""Rules of the filters of HTTPRoute and GRPCRoute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatewayd.api.filters import (
    Fraction,
    GRPCRouteFilter,
    HTTPCORSFilter,
    HTTPExternalAuthFilter,
    HTTPPathModifier,
    HTTPRequestMirrorFilter,
    HTTPRouteFilter,
)
from gatewayd.api.grpcroute import GRPCBackendRef, GRPCRouteRule
from gatewayd.api.httproute import HTTPBackendRef, HTTPRouteRule
from gatewayd.api.record import Record
from gatewayd.api.rules.rule import Rule, holds, items, repeated

# The field that belongs to each type of a union: type, attribute, YAML name.
GRPC_FILTERS = (
    ("RequestHeaderModifier", "request_header_modifier", "requestHeaderModifier"),
    ("ResponseHeaderModifier", "response_header_modifier", "responseHeaderModifier"),
    ("RequestMirror", "request_mirror", "requestMirror"),
    ("ExtensionRef", "extension_ref", "extensionRef"),
)
HTTP_FILTERS = (
    *GRPC_FILTERS,
    ("RequestRedirect", "request_redirect", "requestRedirect"),
    ("URLRewrite", "url_rewrite", "urlRewrite"),
    ("CORS", "cors", "cors"),
    ("ExternalAuth", "external_auth", "externalAuth"),
)
PATH_MODIFIERS = (
    ("ReplaceFullPath", "replace_full_path", "replaceFullPath"),
    ("ReplacePrefixMatch", "replace_prefix_match", "replacePrefixMatch"),
)
AUTH_PROTOCOLS = (("GRPC", "grpc", "grpc"), ("HTTP", "http", "http"))
ONCE_IN_GRPC = ("RequestHeaderModifier", "ResponseHeaderModifier")
ONCE_IN_HTTP = (*ONCE_IN_GRPC, "CORS", "RequestRedirect", "URLRewrite")


def union(members: tuple[tuple[str, str, str], ...], selector: str = "type") -> tuple[Rule, ...]:
    """Two rules for each member: its field is set when `selector` names it, and only then."""
    return tuple(rule for member in members for rule in _member(*member, selector))


def _member(name: str, attribute: str, field: str, selector: str) -> tuple[Rule, Rule]:
    reads = f"{selector} {attribute}"
    needed: Callable[[Any], bool] = lambda it: getattr(it, selector) != name or getattr(it, attribute) is not None  # noqa: E731
    allowed: Callable[[Any], bool] = lambda it: getattr(it, selector) == name or getattr(it, attribute) is None  # noqa: E731
    return (
        holds(
            f"{field}-needed",
            reads,
            needed,
            field,
            f"{field} must be set when {selector} is {name}",
            f"write `{field}:` and its fields, or change {selector}",
        ),
        holds(
            f"{field}-alone",
            reads,
            allowed,
            field,
            f"{field} must not be set unless {selector} is {name}",
            f"write `{selector}: {name}`, or remove {field}",
        ),
    )


def once(types: tuple[str, ...]) -> Rule:
    """Each of `types` occurs once at most among `filters`."""
    return items(
        "filters-not-repeated",
        "filters",
        lambda it: repeated(each.type if each.type in types else None for each in it.filters),
        "filters",
        "a filter of this type must not be repeated",
        "merge it into the first one",
    )


REDIRECT_OR_REWRITE = holds(
    "redirect-or-rewrite",
    "filters",
    lambda it: not {"RequestRedirect", "URLRewrite"} <= {each.type for each in it.filters},
    "filters",
    "RequestRedirect and URLRewrite must not be used together",
    "a redirect is answered at once, nothing is left to rewrite: remove one of them",
)


def alone(attribute: str, field: str) -> Rule:
    """`*` stands alone in a list of a CORS filter."""

    def fine(it: Any) -> bool:
        values = getattr(it, attribute)
        return "*" not in values or len(values) == 1

    message = f"{field} must not hold `*` beside other entries"
    return holds(f"{field}-wildcard", attribute, fine, field, message, "keep `*` alone, or remove it")


RULES: dict[type[Record], tuple[Rule, ...]] = {
    HTTPRouteFilter: union(HTTP_FILTERS),
    GRPCRouteFilter: union(GRPC_FILTERS),
    HTTPPathModifier: union(PATH_MODIFIERS),
    HTTPExternalAuthFilter: union(AUTH_PROTOCOLS, "protocol"),
    HTTPRouteRule: (REDIRECT_OR_REWRITE, once(ONCE_IN_HTTP)),
    HTTPBackendRef: (REDIRECT_OR_REWRITE, once(ONCE_IN_HTTP)),
    GRPCRouteRule: (once(ONCE_IN_GRPC),),
    GRPCBackendRef: (once(ONCE_IN_GRPC),),
    HTTPRequestMirrorFilter: (
        holds(
            "mirror-percent-or-fraction",
            "percent fraction",
            lambda it: it.percent is None or it.fraction is None,
            "",
            "only one of percent and fraction may be set",
            "remove one of them",
        ),
    ),
    Fraction: (
        holds(
            "fraction-at-most-one",
            "numerator denominator",
            lambda it: it.numerator <= it.denominator,
            "numerator",
            "numerator must be less than or equal to denominator",
        ),
    ),
    HTTPCORSFilter: (
        alone("allow_origins", "allowOrigins"),
        alone("allow_methods", "allowMethods"),
        alone("allow_headers", "allowHeaders"),
    ),
}
