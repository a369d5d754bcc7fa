"""Rules of the routes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from gatewayd.api.grpcroute import GRPCMethodMatch, GRPCRouteSpec
from gatewayd.api.httproute import HTTPPathMatch, HTTPRouteRule, HTTPRouteSpec, HTTPRouteTimeouts
from gatewayd.api.names import PATH_CHARACTERS
from gatewayd.api.persistence import SessionPersistence
from gatewayd.api.quantity import milliseconds
from gatewayd.api.record import Record
from gatewayd.api.references import BackendObjectReference, ParentReference
from gatewayd.api.rules.filters import union
from gatewayd.api.rules.gateways import is_ip
from gatewayd.api.rules.rule import Rule, holds, items, repeated
from gatewayd.api.tcproute import TCPRouteSpec
from gatewayd.api.tlsroute import TLSRouteSpec
from gatewayd.api.udproute import UDPRouteSpec

MAX_MATCHES = 128
PATH = re.compile(PATH_CHARACTERS)
SERVICE = re.compile(r"\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*", re.IGNORECASE | re.ASCII)
METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def _parent(reference: ParentReference) -> tuple[str, str, str, str | None]:
    return reference.group, reference.kind, reference.name, reference.namespace


def _unspecific(spec: Any) -> Iterator[int]:
    """References to a parent that another one names too, but with other parts (sectionName, port) set."""
    shapes: dict[Any, set[tuple[bool, bool]]] = {}
    for each in spec.parent_refs:
        shapes.setdefault(_parent(each), set()).add((each.section_name is None, each.port is None))
    for index, each in enumerate(spec.parent_refs):
        shape = (each.section_name is None, each.port is None)
        if len(shapes[_parent(each)]) > 1 and shape == max(shapes[_parent(each)]):
            yield index


def _excess_matches(spec: Any) -> Iterator[int]:
    total = 0
    for index, rule in enumerate(spec.rules):
        total += len(rule.matches)
        if total > MAX_MATCHES >= total - len(rule.matches):
            yield index


PARENTS = (
    items(
        "parents-specific",
        "parent_refs",
        _unspecific,
        "parentRefs",
        "sectionName or port must be specified when parentRefs includes 2 or more references to the same parent",
        "name the listener of each with sectionName",
    ),
    items(
        "parents-distinct",
        "parent_refs",
        lambda it: repeated((*_parent(each), each.section_name, each.port) for each in it.parent_refs),
        "parentRefs",
        "sectionName or port must be unique when parentRefs includes 2 or more references to the same parent",
        "remove it: it is there twice",
    ),
)
RULE_NAMES = items(
    "rule-names-distinct",
    "rules",
    lambda it: repeated(each.name for each in it.rules),
    "rules",
    "the name of a rule must be unique within the route",
    "give it another name",
)
MATCHES = items(
    "matches-at-most-128",
    "rules",
    _excess_matches,
    "rules",
    f"the matches of all rules together must not exceed {MAX_MATCHES}",
    "split the route into two",
)


def _path(name: str, fine: Callable[[str], bool], message: str, hint: str) -> Rule:
    return holds(
        name,
        "type value",
        lambda it: it.type == "RegularExpression" or fine(it.value),
        "value",
        f"{message} when type is Exact or PathPrefix",
        hint,
    )


def _without(part: str, hint: str) -> Rule:
    return _path(f"path-without-{part}", lambda value: part not in value, f"must not contain `{part}`", hint)


def _not_at_end(part: str) -> Rule:
    hint = "write the path that is meant, without dot segments"
    return _path(f"path-not-ending-{part}", lambda value: not value.endswith(part), f"must not end with `{part}`", hint)


def _one_prefix(rule: HTTPRouteRule) -> bool:
    return len(rule.matches) == 1 and rule.matches[0].path.type == "PathPrefix"


def _replaces_prefix(each: Any, attribute: str) -> bool:
    changed = getattr(each, attribute)
    return changed is not None and changed.path is not None and changed.path.replace_prefix_match is not None


def _prefix_rule(filter_type: str, attribute: str) -> Rule:
    """Replacing a prefix needs one PathPrefix match.

    For backends it counts when exactly one of them replaces a prefix: so the CRD has it (`exists_one`).
    """

    def fine(it: Any) -> bool:
        replaced = sum(_replaces_prefix(each, attribute) for each in it.filters)
        backends = sum(any(_replaces_prefix(each, attribute) for each in ref.filters) for ref in it.backend_refs)
        return _one_prefix(it) or (replaced != 1 and backends != 1)

    return holds(
        f"{attribute}-prefix",
        "matches filters backend_refs",
        fine,
        "matches",
        f"exactly one PathPrefix match must be specified when {filter_type} uses replacePrefixMatch",
        "use ReplaceFullPath, or give each prefix a rule of its own",
    )


def _timeouts_fit(timeouts: HTTPRouteTimeouts) -> bool:
    whole, one = timeouts.request, timeouts.backend_request
    if whole is None or one is None or milliseconds(whole) == 0:
        return True
    return milliseconds(one) <= milliseconds(whole)


def _fits(pattern: re.Pattern[str], attribute: str) -> Callable[[Any], bool]:
    def fine(it: Any) -> bool:
        value = getattr(it, attribute)
        return it.type != "Exact" or value is None or pattern.fullmatch(value) is not None

    return fine


RULES: dict[type[Record], tuple[Rule, ...]] = {
    HTTPRouteSpec: (*PARENTS, RULE_NAMES, MATCHES),
    GRPCRouteSpec: (*PARENTS, RULE_NAMES, MATCHES),
    TCPRouteSpec: (*PARENTS, RULE_NAMES),
    UDPRouteSpec: (*PARENTS, RULE_NAMES),
    TLSRouteSpec: (*PARENTS, RULE_NAMES),
    BackendObjectReference: (
        holds(
            "service-needs-port",
            "group kind port",
            lambda it: it.group != "" or it.kind != "Service" or it.port is not None,
            "port",
            "a reference to a Service must have a port",
            "write `port:` with the port of the Service",
        ),
    ),
    HTTPPathMatch: (
        _path("path-absolute", lambda value: value.startswith("/"), "must start with `/`", "write `/` before it"),
        _without("//", "write one slash"),
        _without("/./", "write the path that is meant, without dot segments"),
        _without("/../", "write the path that is meant, without dot segments"),
        _without("%2f", "an encoded slash cannot be matched; use RegularExpression"),
        _without("%2F", "an encoded slash cannot be matched; use RegularExpression"),
        _without("#", "a fragment is never sent to a server; remove it"),
        _not_at_end("/.."),
        _not_at_end("/."),
        _path(
            "path-characters",
            lambda value: PATH.fullmatch(value) is not None,
            "must consist of the characters of a path (RFC 3986)",
            "write other characters percent-encoded",
        ),
    ),
    HTTPRouteRule: (
        holds(
            "redirect-without-backends",
            "filters backend_refs",
            lambda it: not it.backend_refs or all(each.request_redirect is None for each in it.filters),
            "backendRefs",
            "the RequestRedirect filter must not be used together with backendRefs",
            "remove backendRefs: a redirect is answered by the gateway",
        ),
        _prefix_rule("RequestRedirect", "request_redirect"),
        _prefix_rule("URLRewrite", "url_rewrite"),
    ),
    HTTPRouteTimeouts: (
        holds(
            "timeouts-ordered",
            "request backend_request",
            _timeouts_fit,
            "backendRequest",
            "the backendRequest timeout must not be longer than the request timeout",
        ),
    ),
    SessionPersistence: (
        holds(
            "persistence-permanent",
            "cookie absolute_timeout",
            lambda it: it.cookie is None or it.cookie.lifetime_type != "Permanent" or it.absolute_timeout is not None,
            "absoluteTimeout",
            "absoluteTimeout must be specified when the lifetimeType of the cookie is Permanent",
            "for example `absoluteTimeout: 24h`",
        ),
        *union((("Cookie", "cookie", "cookie"), ("Header", "header", "header"))),
    ),
    GRPCMethodMatch: (
        holds(
            "grpc-method-or-service",
            "service method",
            lambda it: it.service is not None or it.method is not None,
            "",
            "one or both of service and method must be specified",
        ),
        holds(
            "grpc-service-characters",
            "type service",
            _fits(SERVICE, "service"),
            "service",
            "must be the name of a gRPC service when type is Exact",
            "for example `com.example.Service`",
        ),
        holds(
            "grpc-method-characters",
            "type method",
            _fits(METHOD, "method"),
            "method",
            "must be the name of a gRPC method when type is Exact",
            "for example `Login`",
        ),
    ),
}

V1_ONLY: dict[type[Record], tuple[Rule, ...]] = {
    each: (
        holds(
            "one-rule",
            "rules",
            lambda it: len(it.rules) == 1,
            "rules",
            "exactly one rule is allowed in this version",
            "put several backends into the backendRefs of one rule, or make several routes",
        ),
    )
    for each in (TCPRouteSpec, UDPRouteSpec, TLSRouteSpec)
}
V1_ONLY[TLSRouteSpec] += (
    holds(
        "tls-hostnames",
        "hostnames",
        lambda it: bool(it.hostnames),
        "hostnames",
        "at least one hostname is required in this version",
        "for example `hostnames: [shop.example.com]`",
    ),
    items(
        "tls-hostname-no-ip",
        "hostnames",
        lambda it: [index for index, name in enumerate(it.hostnames) if is_ip(name)],
        "hostnames",
        "a hostname must not be an IP address",
        "TLS names servers by host name only",
    ),
)
