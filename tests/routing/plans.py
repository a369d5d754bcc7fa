"""Plans in a line: routes, listeners and ports as the configuration path hands them over, and requests to ask them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gatewayd.routing.match import Match
from gatewayd.routing.snapshot import Condition, ListenerPlan, MatchPlan, PortPlan, RoutePlan, RulePlan, SharePlan
from gatewayd.routing.table import PortTable, compile_port
from gatewayd.wire.head import HeadLimits, RequestHead, parse_request


def conditions(text: str) -> tuple[Condition, ...]:
    """`"version=one color~[a-z]+"`: names with exact values, or with expressions."""
    found = []
    for part in text.split():
        regex = "~" in part
        name, _, value = part.partition("~" if regex else "=")
        found.append(Condition(name.encode(), value.encode(), regex))
    return tuple(found)


def match(path: str = "/", method: str = "", headers: str = "", query: str = "") -> MatchPlan:
    """`"/a"` is a prefix, `"=/a"` exact, `"~/a.*"` an expression."""
    kinds = {"=": "exact", "~": "regex"}
    kind = kinds.get(path[0], "prefix")
    return MatchPlan(
        path_kind=kind,  # type: ignore[arg-type]
        path=path.lstrip("=~").encode(),
        method=method.encode() or None,
        headers=conditions(headers),
        query=conditions(query),
    )


def call(service: str = "", method: str = "", headers: str = "") -> MatchPlan:
    """A match of a GRPCRoute."""
    exact = bool(service and method)
    return MatchPlan(
        path_kind="exact" if exact else "prefix",
        path=f"/{service}/{method}".encode() if exact else f"/{service}".encode(),
        method=b"POST",
        headers=conditions(headers),
        grpc=True,
        call=b"" if service else method.encode(),
    )


def route(name: str, *rules: MatchPlan | Iterable[MatchPlan], created: str = "", namespace: str = "ns") -> RoutePlan:
    """A route; each of its rules is a match or several."""
    plans = []
    for index, rule in enumerate(rules):
        matches = (rule,) if isinstance(rule, MatchPlan) else tuple(rule)
        plans.append(RulePlan(index=index, matches=matches, shares=(SharePlan(f"{name}/{index}"),)))
    key = f"HTTPRoute/{namespace}/{name}"
    return RoutePlan(key=key, kind="HTTPRoute", namespace=namespace, name=name, created=created, rules=tuple(plans))


def listener(name: str, hosts: Mapping[str, Iterable[RoutePlan]], hostname: str = "") -> ListenerPlan:
    """A listener with the routes attached by effective hostname."""
    attached = {host.encode(): tuple(route.key for route in routes) for host, routes in hosts.items()}
    return ListenerPlan(
        key=f"ns/gw/{name}", gateway="ns/gw", name=name, protocol="HTTP", hostname=hostname.encode(), hosts=attached
    )


def port(*listeners: ListenerPlan) -> PortPlan:
    """A port of these listeners."""
    return PortPlan(key=":80", address="", port=80, number=80, transport="http", listeners=listeners)


def table(*routes: RoutePlan, hosts: Mapping[str, Iterable[RoutePlan]] | None = None) -> PortTable:
    """One listener for any host, with these routes on any host unless `hosts` says otherwise."""
    attached = {"": routes} if hosts is None else hosts
    every = {plan.key: plan for plans in attached.values() for plan in plans}
    return compile_port(port(listener("http", attached)), every)


def head(request: str, *fields: str) -> RequestHead:
    """`"GET http://host/path?query"`, or `"/path"` for a GET of host `h`."""
    method, _, target = request.rpartition(" ")
    target = target.partition("://")[2] or "h" + target
    host, slash, path = target.partition("/")
    lines = [f"{method or 'GET'} {slash}{path or '/' * (not slash)} HTTP/1.1", f"Host: {host}", *fields]
    found = parse_request(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), HeadLimits())
    assert found is not None
    return found


def winner(ports: PortTable, asked: RequestHead) -> Match | None:
    """The match that takes the request."""
    found = ports.listener(asked.host)
    return None if found is None else found.find(asked)


def answer(ports: PortTable, request: str, *fields: str) -> str:
    """`"route/rule"`, or `"404"`."""
    found = winner(ports, head(request, *fields))
    return "404" if found is None else f"{found.route.name}/{found.rule.plan.index}"
