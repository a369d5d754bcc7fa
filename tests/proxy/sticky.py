"""Words for conversations about sessions: who answered, and the token that the answer carried."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from msgspec.structs import replace

from gatewayd.routing.change import difference
from gatewayd.routing.snapshot import BackendPlan, Persistence, RulePlan, SharePlan
from tests.proxy.conversation import OK, Backend, Client, Conversation, message, rule

ONE, OTHER, THIRD = ("10.0.0.1", 80), ("10.0.0.2", 80), ("10.0.0.3", 80)
TWO = {"shop": (ONE, OTHER)}
COOKIE = Persistence(name=b"sid")
FIELD = Persistence(kind="header", name=b"x-sid")
_TOKEN = re.compile(rb"(?:set-cookie: sid=|x-sid: )([A-Za-z0-9_-]+)")


class Answer(NamedTuple):
    """The address of the endpoint that answered, the whole answer, and its token if it has one."""

    address: str
    data: bytes
    token: bytes


def token_of(data: bytes) -> bytes:
    """The token in an answer, b"" where there is none."""
    found = _TOKEN.search(data)
    return found[1] if found else b""


def get(token: bytes = b"", *lines: str, method: str = "GET") -> bytes:
    """A request that shows a token, in the cookie and in the field alike."""
    shown = [f"Cookie: theme=dark; sid={token.decode()}; a=b", f"X-Sid: {token.decode()}"] if token else []
    return message(f"{method} / HTTP/1.1", "Host: a", *shown, *lines)


def sticky(persistence: Persistence = COOKIE, **more: Any) -> RulePlan:
    """A rule that keeps sessions."""
    return rule(persistence=persistence, **more)


def shares(*weights: tuple[str, int], persistence: Persistence = COOKIE) -> RulePlan:
    """A rule with these backends and weights."""
    found = tuple(SharePlan(backend=key, weight=weight) for key, weight in weights)
    return RulePlan(index=0, shares=found, persistence=persistence)


def asked(talk: Conversation) -> Backend:
    """The backend that the request has gone to, by a new connection or by one that is there."""
    if talk.asks:
        return talk.backend()
    (found,) = [
        peer for peer in talk.peers if isinstance(peer, Backend) and peer.state == "open" and peer.transport.out
    ]
    return found


def answers(talk: Conversation, response: bytes) -> str:
    """The backend that was asked answers; its address."""
    backend = asked(talk)
    backend.takes()
    backend.sends(response)
    return backend.transport.peer


def exchange(talk: Conversation, client: Client, request: bytes, response: bytes = OK) -> Answer:
    """One request and its answer."""
    client.sends(request)
    address = answers(talk, response)
    data = client.takes()
    return Answer(address, data, token_of(data))


def moves(talk: Conversation, *endpoints: tuple[str, int], draining: tuple[tuple[str, int], ...] = ()) -> None:
    """The backend `shop` has other endpoints from now on."""
    old = talk.runtime.snapshot
    plan = BackendPlan("shop", endpoints, old.backends["shop"].protocol, draining=draining)
    new = replace(old, generation=old.generation + 1, backends={**old.backends, "shop": plan})
    talk.runtime.apply(difference(old, new), {})
    talk.settle()


def changes(talk: Conversation, *rules: RulePlan) -> None:
    """The route has other rules from now on."""
    old = talk.runtime.snapshot
    ((key, route),) = old.routes.items()
    new = replace(old, generation=old.generation + 1, routes={key: replace(route, rules=rules)})
    talk.runtime.apply(difference(old, new), {})
