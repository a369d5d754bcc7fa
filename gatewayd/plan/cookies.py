"""Session cookies that two rules give to one client: each would be overwritten by the other (GEP-1619, "Session Naming
Collision"). Cookies are told apart by host, name and path (RFC 6265 section 5.3), and not by port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gatewayd.api.problem import Path, Problem
from gatewayd.plan.parts import spec
from gatewayd.plan.problems import warn
from gatewayd.plan.routes import Routed


class _Owner(NamedTuple):
    route: str  # "HTTPRoute shop/cart"
    rule: int


class _Seen:
    """The cookies of one name on one host of one Gateway: their paths, and all paths above those."""

    def __init__(self) -> None:
        self._paths: dict[str, _Owner] = {}
        self._above: dict[str, _Owner] = {}

    def other(self, path: str, owner: _Owner) -> _Owner | None:
        """Who has a cookie that a client sends along with this one, at some path. This one is seen from now on."""
        steps = list(_steps(path))
        found = next((self._paths[step] for step in steps if step in self._paths), None) or self._above.get(steps[0])
        self._paths.setdefault(steps[0], owner)
        for step in steps[1:]:
            self._above.setdefault(step, owner)
        return None if found == owner else found


def _steps(path: str) -> Iterator[str]:
    """The path and those above it, without slashes at their ends."""
    path = path.rstrip("/")
    while path:
        yield path
        path = path.rpartition("/")[0]
    yield ""


def problems(routes: Iterable[Routed]) -> list[Problem]:
    """A warning for each rule that an older one goes before."""
    seen: dict[tuple[str, str, str], _Seen] = {}
    found = []
    for route in sorted(routes, key=lambda one: one.compiled.order):
        for cookie in route.compiled.cookies:
            owner = _Owner(route.compiled.item.title, cookie.rule)
            places = dict.fromkeys((one.gateway, host, cookie.name) for one in route.attachments for host in one.hosts)
            others = [seen.setdefault(place, _Seen()).other(cookie.path, owner) for place in places]
            other = next((one for one in others if one is not None), None)
            if other is not None:
                found.append(_problem(route, cookie.rule, cookie.name, other))
    return found


def _problem(route: Routed, rule: int, name: str, other: _Owner) -> Problem:
    place: Path = ("spec", "rules", rule)
    if spec(route.compiled.item).rules[rule].session_persistence is not None:
        place = (*place, "sessionPersistence", "cookie", "name")
    message = f"sessions of spec.rules[{other.rule}] of {other.route} have a cookie of the same name, {name}"
    return warn(
        route.compiled.item,
        place,
        f"{message}: each of the two rules ends the sessions of the other",
        "give the cookie another name or path, or none: then the gateway makes a name",
    )
