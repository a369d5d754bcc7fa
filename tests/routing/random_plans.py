"""Random routes, ports and requests, from pools so small that they meet and tie.

Hypothesis draws the seed alone: a whole table drawn by it takes a hundred times as long as asking the table.
"""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from gatewayd.routing.snapshot import Condition, ListenerPlan, MatchPlan, PortPlan, RoutePlan, RulePlan
from gatewayd.wire.head import RequestHead
from tests.routing.plans import head, port
from tests.routing.reference import Asked

DICE = st.integers(0, 2**63).map(Random)
NAMES = ["r1", "r2", "r3", "r4", "r5"]
HOSTS = ["", "", "*.c", "*.b.c", "*.a.b.c", "c", "b.c", "a.b.c", "x.a.b.c", "*.d"]
_ASKED_HOSTS = ["c", "b.c", "a.b.c", "x.a.b.c", "y.x.a.b.c", "x.b.c", "x.c", "d", "z.d", "xb.c"]
_PATHS = ["/", "/", "/a", "/a/b", "/a/b/c", "/ab", "/b"]
_REGEXES = ["/a.*", "/[ab]", "/a/b|/b", "/.*c", "/", "/a/[a-z]", ".*"]
_CALLS = [("exact", "/a/b", ""), ("prefix", "/a", ""), ("prefix", "/", "b"), ("prefix", "/", "bc"), ("prefix", "/", "")]
_TYPES = ["application/grpc", "application/grpc", "application/grpc+proto", "application/grpc-web", "text/plain"]
_ASKED_PATHS = [*_PATHS, "/a/", "/a//b", "/a/b/c/d", "/a/bc", "//", "/c", "/a/b/c/" + "d/" * 40]
_CONDITIONS = [
    Condition(b"x", b"1"),
    Condition(b"x", b"2"),
    Condition(b"x", b"[12]", True),
    Condition(b"y", b"1"),
    Condition(b"y", b".*", True),
]
_CREATED = ["", "", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]


def _some(dice: Random, pool: list[str], least: int, most: int) -> list[str]:
    """Some of a pool, each once, in any order."""
    return list(dict.fromkeys(dice.sample(pool, dice.randint(least, most))))


def _conditions(dice: Random) -> tuple[Condition, ...]:
    return tuple(dice.choices(_CONDITIONS, k=dice.choice([0, 0, 0, 0, 1, 2])))


def a_match(dice: Random) -> MatchPlan:
    """A match."""
    if dice.random() < 0.2:
        return a_call(dice)
    kind = dice.choice(["exact", "prefix", "prefix", "regex"])
    path = dice.choice(_REGEXES if kind == "regex" else _PATHS)
    method = dice.choice([None, None, None, b"GET", b"PUT"])
    return MatchPlan(
        path_kind=kind,  # type: ignore[arg-type]
        path=path.encode(),
        method=method,
        headers=_conditions(dice),
        query=_conditions(dice),
    )


def a_call(dice: Random) -> MatchPlan:
    """A match of a GRPCRoute: a service and a method, or one of them, or neither."""
    kind, path, call = dice.choice(_CALLS)
    return MatchPlan(
        path_kind=kind,  # type: ignore[arg-type]
        path=path.encode(),
        method=b"POST",
        headers=_conditions(dice),
        grpc=True,
        call=call.encode(),
    )


def a_route(dice: Random, name: str) -> RoutePlan:
    """A route of this name with a few rules; sometimes with none."""
    rules = []
    for index in range(dice.randint(0, 4)):
        matches = tuple(a_match(dice) for _ in range(dice.randint(1, 2)))
        rules.append(RulePlan(index=index, matches=matches))
    return RoutePlan(
        key=f"HTTPRoute/{name}",  # the name alone: a change of namespace is a change of the same route
        kind="HTTPRoute",
        namespace=dice.choice(["m", "n"]),
        name=name,
        created=dice.choice(_CREATED),
        rules=tuple(rules),
    )


def some_routes(dice: Random) -> dict[str, RoutePlan]:
    """Routes by key."""
    found = [a_route(dice, name) for name in _some(dice, NAMES, 3, 5)]
    return {route.key: route for route in found}


def a_listener(dice: Random, hostname: str) -> ListenerPlan:
    """A listener; it names routes that may not exist."""
    hosts = _some(dice, HOSTS, 2, 8)
    return ListenerPlan(
        key=f"ns/gw/{hostname}",
        gateway="ns/gw",
        name=hostname,
        protocol="HTTP",
        hostname=hostname.encode(),
        hosts={host.encode(): tuple(f"HTTPRoute/{name}" for name in _some(dice, NAMES, 1, 5)) for host in hosts},
    )


def a_port(dice: Random) -> PortPlan:
    """A port with listeners of different hostnames, most often with one for any."""
    hostnames = [""] if dice.random() < 0.5 else _some(dice, HOSTS, 1, 4)
    return port(*[a_listener(dice, hostname) for hostname in hostnames])


def _pairs(dice: Random) -> list[tuple[str, str]]:
    return [(dice.choice(["x", "x", "X", "y"]), dice.choice(["1", "1", "2", "3"])) for _ in range(dice.randint(0, 3))]


def a_request(dice: Random) -> Asked:
    """A request."""
    method = dice.choice(["GET", "GET", "PUT", "POST", "POST"])
    types = [("content-type", dice.choice(_TYPES))] if method == "POST" else []
    return Asked(
        method=method,
        host=dice.choice(_ASKED_HOSTS),
        path=dice.choice(_ASKED_PATHS),
        query="&".join(f"{name}={value}" for name, value in _pairs(dice)),
        fields=(*_pairs(dice), *types),
    )


def changed(dice: Random, plan: PortPlan, routes: dict[str, RoutePlan]) -> tuple[PortPlan, dict[str, RoutePlan]]:
    """One route added, changed or removed, or the attachments of one listener changed, or nothing at all."""
    what = dice.choice(["route", "route", "drop", "listener", "nothing"])
    if what == "route":
        route = a_route(dice, dice.choice(NAMES))
        return plan, {**routes, route.key: route}
    if what == "drop" and routes:
        gone = dice.choice(sorted(routes))
        return plan, {key: route for key, route in routes.items() if key != gone}
    if what == "listener":
        kept = list(plan.listeners)
        place = dice.randrange(len(kept))
        kept[place] = a_listener(dice, kept[place].name)
        return port(*kept), routes
    return plan, routes


def head_of(asked: Asked) -> RequestHead:
    """The request as it comes from the wire."""
    mark = "?" if asked.query else ""
    fields = [f"{name}: {value}" for name, value in asked.fields]
    return head(f"{asked.method} http://{asked.host}{asked.path}{mark}{asked.query}", *fields)
