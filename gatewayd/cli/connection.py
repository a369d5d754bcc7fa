"""What becomes of a connection on a listener of protocol TLS or TCP, as plain data, in the shape of `walk`."""

from __future__ import annotations

from typing import Any

from gatewayd.api.objects import Objects
from gatewayd.cli.question import Question
from gatewayd.cli.walk import Data, described, nothing_yet, written
from gatewayd.routing.explain import explain_connection
from gatewayd.routing.match import Match
from gatewayd.routing.rule import Rule, Share
from gatewayd.routing.snapshot import ListenerPlan, PortPlan, Snapshot
from gatewayd.routing.table import compile_port

_ANYTHING = {"TCPRoute": "every connection"}


def walk_connection(asked: Question, plan: PortPlan, snapshot: Snapshot, objects: Objects) -> Data | None:
    """Follow the connection to its backends; None where the name leads to a listener that speaks HTTP, and HTTP is what
    was asked about.
    """
    if plan.transport == "http":
        return None
    found = nothing_yet(plan)
    raw = plan.transport == "tcp"
    name = b"" if raw else asked.name.encode()
    explained = explain_connection(compile_port(plan, snapshot.routes), name)
    listener = explained.listener
    if listener is None and (asked.url.scheme, plan.transport) == ("https", "https"):
        return None
    if listener is None:
        closed = all(one.passthrough for one in plan.listeners)
        return {**found, "answer": _answer("unknown_name" if closed else "unrecognized_name")}
    owner = listener.plan
    found["listener"] = {"key": owner.key, "hostname": owner.hostname.decode(), "source": owner.source}
    if not raw and owner.protocol != "TLS":
        return {**found, "answer": _answer("speaks_http")} if asked.url.scheme == "tls" else None
    found["candidates"] = [
        {
            **_named(one.match, one.host, objects),
            "hostname": one.host.decode(),
            "outcome": one.outcome,
            "step": one.step,
        }
        for one in explained.candidates
    ]
    if explained.match is None:
        return {**found, "answer": _answer("closed" if raw or owner.passthrough else "unrecognized_name")}
    host = next(one.host for one in explained.candidates if one.outcome == "taken")
    return {**found, **_outcome(explained.match, host, owner, snapshot, objects)}


def _outcome(match: Match, host: bytes, owner: ListenerPlan, snapshot: Snapshot, objects: Objects) -> Data:
    rule = match.rule
    backends = [
        {
            "backend": share.key or written(rule, index, objects),
            **described(share, rule, snapshot),
            "answer": _failed(share, owner, snapshot),
        }
        for index, share in enumerate(rule.shares)
    ]
    live = [one for one in backends if one["weight"] > 0 and one["answer"] is None]
    by_tls = "passed_through" if owner.passthrough else "decrypted"
    served = "streamed" if owner.protocol == "TCP" else by_tls
    named = _named(match, host, objects)
    return {"rule": named, "backends": backends, "answer": _answer(served if live else "closed")}


def _failed(share: Share, owner: ListenerPlan, snapshot: Snapshot) -> Data | None:
    """Why connections that a share takes are reset."""
    failure = share.failure or ("" if owner.passthrough or owner.protocol == "TCP" else share.clear_failure)
    backend = snapshot.backends.get(share.key)
    if not failure and (backend is None or not (backend.endpoints or backend.dns)):
        failure = "no_endpoints"
    return _answer(failure) if failure else None


def _answer(reason: str) -> Data:
    return {"status": None, "reason": reason}


def _named(match: Match, host: bytes, objects: Objects) -> Data:
    rule: Rule = match.rule
    route: Any = objects.get(match.route.kind, match.route.namespace, match.route.name)
    source = route.source(("spec", "rules", rule.plan.index)) if route is not None else ""
    asks = f"server name {host.decode()}" if host else _ANYTHING.get(match.route.kind, "any server name")
    return {"route": match.route.key, "rule": rule.name, "source": source, "match": [asks]}
