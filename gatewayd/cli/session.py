"""The session that a request is in: how its rule keeps sessions, and the endpoint that its token stands for."""

from __future__ import annotations

from collections.abc import Iterator
from time import time
from typing import Any

from gatewayd.routing.rule import Rule
from gatewayd.routing.sessions import Place
from gatewayd.routing.snapshot import Settings, Snapshot
from gatewayd.upstream.backend import Backend
from gatewayd.wire.head import RequestHead

Data = dict[str, Any]


def place_of(rule: Rule, head: RequestHead, settings: Settings, snapshot: Snapshot) -> Place | None:
    """Where the request's token leads to, by the code that serves the traffic. That endpoints may just have failed is
    known to workers only.
    """
    if rule.sessions is None:
        return None
    for share in rule.shares:
        plan = snapshot.backends.get(share.key)
        if plan is not None:
            share.backend = Backend(share.key)
            share.backend.update(plan.endpoints, plan.draining)
    return rule.sessions.find(head.block, settings.session_key, time())


def session(rule: Rule, place: Place | None) -> Data | None:
    """As plain data; None where the rule keeps no sessions."""
    sessions = rule.sessions
    if sessions is None:
        return None
    plan = sessions.plan
    return {
        "kind": plan.kind,
        "name": sessions.name.decode(),
        "path": plan.path.decode() if plan.kind == "cookie" else None,
        "permanent": plan.permanent,
        "timeout": plan.timeout,
        "backend": None if place is None else place.share.key,
        "endpoint": None if place is None else place.endpoint.label.decode(),
    }


def session_lines(session: Data) -> Iterator[str]:
    """For people."""
    below = f" for paths below {session['path']}" if session["path"] not in (None, "/") else ""
    ends = f", for {session['timeout']:g} s at most" if session["timeout"] else ""
    lasts = " that outlives the browser" if session["permanent"] else ""
    yield f"kept by {session['kind']} {session['name']}{lasts}{below}{ends}"
    if session["endpoint"] is None:
        yield "the request shows no valid token: its answer begins a session"
    else:
        yield f"the request's token leads to {session['endpoint']} of {session['backend']}, whatever the weights"
