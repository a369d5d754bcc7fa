"""The matching of the Gateway API written straight from its text: look at everything, keep what fits, sort."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl

from gatewayd.routing.snapshot import Condition, ListenerPlan, MatchPlan, PortPlan, RoutePlan


class Asked(NamedTuple):
    """A request."""

    method: str
    host: str
    path: str
    query: str
    fields: tuple[tuple[str, str], ...]


class Won(NamedTuple):
    """The one match that takes it."""

    host: str
    route: str
    rule: int
    match: int


def host_fits(pattern: str, host: str) -> bool:
    """HTTPRouteSpec.hostnames: a wildcard stands for one or more labels."""
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1
    return pattern in {"", host}


def host_rank(pattern: str) -> tuple[bool, bool, int]:
    """Characters of a non-wildcard hostname, then characters of a wildcard, then no hostname."""
    return (pattern == "", pattern.startswith("*."), -len(pattern))


def path_fits(match: MatchPlan, path: str) -> bool:
    """HTTPPathMatch; GRPCMethodMatch with a method only."""
    value = match.path.decode()
    if match.call and not re.fullmatch(f"/[^/]+/{re.escape(match.call.decode())}", path):
        return False
    if match.path_kind == "exact":
        return path == value
    if match.path_kind == "regex":
        return re.fullmatch(value, path) is not None
    wanted = [part for part in value.split("/")[1:] if part]
    return path.split("/")[1 : len(wanted) + 1] == wanted


def _holds(condition: Condition, value: str | None) -> bool:
    if value is None:
        return False
    wanted = condition.value.decode()
    return re.fullmatch(wanted, value) is not None if condition.regex else wanted == value


def _first_by_name(conditions: tuple[Condition, ...]) -> list[Condition]:
    return [one for place, one in enumerate(conditions) if one.name not in [other.name for other in conditions[:place]]]


def rest_fits(match: MatchPlan, asked: Asked) -> bool:
    """HTTPRouteMatch and GRPCRouteMatch: everything but the path."""
    if match.method is not None and match.method.decode() != asked.method:
        return False
    types = [value for name, value in asked.fields if name == "content-type"]
    if match.grpc and not re.match(r"application/grpc($|[+;])", "".join(types)):
        return False
    for condition in _first_by_name(match.headers):
        values = [value for name, value in asked.fields if name.lower() == condition.name.decode()]
        if not _holds(condition, ", ".join(values) if values else None):
            return False
    parameters = dict(reversed(parse_qsl(asked.query, keep_blank_values=True)))
    return all(_holds(condition, parameters.get(condition.name.decode())) for condition in _first_by_name(match.query))


def _path_rank(match: MatchPlan) -> tuple[int, int]:
    return (["exact", "regex", "prefix"].index(match.path_kind), -len(match.path))


def listener_of(port: PortPlan, host: str) -> ListenerPlan | None:
    """Listener.hostname: the most specific one that fits is the only one that is asked."""
    fitting = [listener for listener in port.listeners if host_fits(listener.hostname.decode(), host)]
    return min(fitting, key=lambda listener: host_rank(listener.hostname.decode()), default=None)


def find(port: PortPlan, routes: Mapping[str, RoutePlan], asked: Asked) -> Won | None:
    """HTTPRouteRule.matches, GRPCRouteRule.matches: of all matches that fit, the first by the order of precedence."""
    listener = listener_of(port, asked.host)
    if listener is None:
        return None
    found = []
    for pattern, keys in listener.hosts.items():
        host = pattern.decode()
        for route in [routes[key] for key in keys if key in routes] if host_fits(host, asked.host) else []:
            for rule in route.rules:
                for index, match in enumerate(rule.matches):
                    if path_fits(match, asked.path) and rest_fits(match, asked):
                        rank = (
                            host_rank(host),
                            _path_rank(match),
                            not match.grpc,
                            -len(match.call),
                            match.method is None,
                            -len(_first_by_name(match.headers)),
                            -len(_first_by_name(match.query)),
                            (route.created == "", route.created),
                            f"{route.namespace}/{route.name}",
                            rule.index,
                            index,
                        )
                        found.append((rank, Won(host, route.key, rule.index, index)))
    return min(found)[1] if found else None
