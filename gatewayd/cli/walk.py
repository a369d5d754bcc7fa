"""What becomes of a request at one port, as plain data: the listener, the rule, the losers, filters and backends."""

from __future__ import annotations

from typing import Any

from gatewayd.api.objects import Objects
from gatewayd.cli.filters import filter_lines, limit_lines, policy_lines
from gatewayd.cli.question import Question
from gatewayd.cli.session import place_of, session
from gatewayd.proxy.edits import edit_path, location
from gatewayd.routing.explain import Candidate, Explanation, explain
from gatewayd.routing.match import Match
from gatewayd.routing.rule import Rule, Share
from gatewayd.routing.sessions import Place
from gatewayd.routing.snapshot import PortPlan, Settings, Snapshot
from gatewayd.routing.step import Step
from gatewayd.routing.table import compile_port
from gatewayd.wire import grpc
from gatewayd.wire.head import HeadLimits, RequestHead
from gatewayd.wire.refused import Refused

KINDS = {"exact": "Exact", "prefix": "PathPrefix", "regex": "RegularExpression"}
Data = dict[str, Any]


def walk(asked: Question, plan: PortPlan, snapshot: Snapshot, objects: Objects) -> Data:
    """Follow the request through the port's tables, the very ones that a worker compiles. `objects` tell the names of
    backends that could not be resolved.
    """
    found = nothing_yet(plan)
    table = compile_port(plan, snapshot.routes)
    secured = table.listener(asked.name.encode()) if plan.transport == "https" else None
    if plan.transport == "https" and (secured is None or not secured.plan.certificates):
        return {
            **found,
            "answer": _answer(None, "no listener has a certificate for this name: the handshake is refused"),
        }
    try:
        head = asked.parse(_limits(plan, snapshot))
    except Refused as refused:
        return {**found, "answer": _answer(refused.status, refused.reason)}
    explained = explain(table, head)
    found["candidates"] = [_candidate(candidate, objects) for candidate in explained.candidates]
    if explained.listener is not None:
        owner = explained.listener.plan
        found["listener"] = {"key": owner.key, "hostname": owner.hostname.decode(), "source": owner.source}
    if secured is not None and explained.listener is not None and secured.key != explained.listener.key:
        return {**found, "answer": _for_client(_answer(421, "misdirected"), head)}
    outcome = _outcome(explained, head, plan, snapshot, objects)
    return {**found, **outcome, "answer": _for_client(outcome["answer"], head)}


def nothing_yet(plan: PortPlan) -> Data:
    """An explanation that knows the port only."""
    where = {"address": plan.address or "*", "port": plan.port, "number": plan.number, "transport": plan.transport}
    found: Data = {"port": where, "listener": None, "rule": None, "candidates": []}
    return {**found, "filters": [], "limits": [], "session": None, "backends": []}


def _for_client(answer: Data, head: RequestHead) -> Data:
    """An answer of the gateway's own as a gRPC client gets it, when the request is a call."""
    if answer["status"] is None or not head.call:
        return answer
    return {**answer, "grpc_status": grpc.status_of(answer["status"])}


def _limits(plan: PortPlan, snapshot: Snapshot) -> HeadLimits:
    key = plan.listeners[0].settings if plan.listeners else ""
    settings = snapshot.settings.get(key, Settings())
    return HeadLimits(settings.head_bytes, settings.request_line_bytes, settings.fields)


def _outcome(explained: Explanation, head: RequestHead, plan: PortPlan, snapshot: Snapshot, objects: Objects) -> Data:
    """The rule with its filters and backends, and the answer. The order of checks is that of proxy.exchange."""
    if explained.listener is None:
        return {"answer": _answer(404, "no_listener")}
    if explained.match is None:
        return {"answer": _answer(404, "no_route")}
    rule = explained.match.rule
    settings = snapshot.settings.get(explained.listener.plan.settings, Settings())
    place = place_of(rule, head, settings, snapshot)
    data: Data = {
        "rule": {**_named(explained.match, objects), "path_normal_form": head.path.decode()},
        "filters": filter_lines(rule.plan.filters),
        "limits": limit_lines(rule.plan),
        "session": session(rule, place),
        "backends": [
            {"backend": share.key or written(rule, index, objects), **_backend(share, rule, head, snapshot)}
            for index, share in enumerate(rule.shares)
        ],
    }
    return {**data, "answer": _rule_answer(rule, place, head, plan, snapshot)}


def _rule_answer(rule: Rule, place: Place | None, head: RequestHead, plan: PortPlan, snapshot: Snapshot) -> Data:
    if rule.refusal:
        return _answer(500, rule.refusal)
    if _is_preflight(rule.step, head):
        return _answer(204, "cors_preflight")
    service = _service(rule.step)
    if service and not _reachable(service, snapshot):
        return _answer(503, "auth_no_endpoints")
    answer = _passed_answer(rule, place, head, plan, snapshot)
    return {**answer, "allowed_by": service} if service else answer


def _passed_answer(rule: Rule, place: Place | None, head: RequestHead, plan: PortPlan, snapshot: Snapshot) -> Data:
    """The answer to a request that nobody objects to."""
    path = head.path
    if rule.step is not None and rule.step.redirect is not None:
        there = location(rule.step.redirect, plan.transport.encode(), head.host, plan.number, path, head.query)
        return {**_answer(rule.step.redirect.status, "redirect"), "location": there.decode("latin-1")}
    live = [share for share in rule.shares if share.weight > 0] if place is None else [place.share]
    if not live:
        return _answer(500, "no_weight" if rule.shares else "no_backends")
    failures = {_failure(share, head, snapshot) for share in live}
    if len(failures) == 1 and (failure := failures.pop()) is not None:
        return _answer(*failure)
    host = head.authority
    for step in (rule.step, live[0].step if len(live) == 1 else None):
        if step is not None:
            path = path if step.path is None else edit_path(step.path, path)
            host = step.hostname or host
    return {
        **_answer(None, "forwarded"),
        "target": (path + head.query).decode("latin-1"),
        "host": host.decode("latin-1"),
    }


def _answer(status: int | None, reason: str) -> Data:
    """The gateway's own status, or None where it has none (a backend answers, or nobody)."""
    return {"status": status, "reason": reason}


def _is_preflight(step: Step | None, head: RequestHead) -> bool:
    return step is not None and step.cors is not None and step.cors.preflight(head) is not None


def _service(step: Step | None) -> str:
    """The backend that authorizes, or ""."""
    return step.authorizer.backend if step is not None and step.authorizer is not None else ""


def _reachable(key: str, snapshot: Snapshot) -> bool:
    backend = snapshot.backends.get(key)
    return backend is not None and bool(backend.endpoints or backend.dns)


def _failure(share: Share, head: RequestHead, snapshot: Snapshot) -> tuple[int, str] | None:
    """Why a share's requests are answered by the gateway itself."""
    if share.failure:
        return 500, share.failure
    if _is_preflight(share.step, head):
        return 204, "cors_preflight"
    service = _service(share.step)
    if service and not _reachable(service, snapshot):
        return 503, "auth_no_endpoints"
    if share.step is not None and share.step.redirect is not None:
        return share.step.redirect.status, "redirect"
    return None if _reachable(share.key, snapshot) else (503, "no_endpoints")


def _backend(share: Share, rule: Rule, head: RequestHead, snapshot: Snapshot) -> Data:
    failure = _failure(share, head, snapshot)
    return {**described(share, rule, snapshot), "answer": None if failure is None else _answer(*failure)}


def described(share: Share, rule: Rule, snapshot: Snapshot) -> Data:
    """A share of a rule whatever it is asked for."""
    total = sum(other.weight for other in rule.shares)
    plan = snapshot.backends.get(share.key)
    filters = rule.plan.shares[rule.shares.index(share)].filters
    endpoints = [f"{host}:{port}" for host, port in plan.endpoints] if plan else []
    if plan is not None and plan.dns is not None:
        endpoints.append(f"{plan.dns[0]}:{plan.dns[1]} (by DNS)")
    return {
        "weight": share.weight,
        "percent": round(100 * share.weight / total, 1) if total else 0.0,
        "endpoints": endpoints,
        "protocol": plan.protocol if plan else None,
        "filters": filter_lines(filters),
        "policies": policy_lines(plan),
    }


def written(rule: Rule, index: int, objects: Objects) -> str:
    """A backendRef as its route writes it: `Service search/stock:80`."""
    kind, namespace, name = rule.route.split("/")
    route: Any = objects.get(kind, namespace, name)
    if route is None:
        return ""
    ref = route.resource.spec.rules[rule.plan.index].backend_refs[index]
    return f"{ref.kind} {ref.namespace or namespace}/{ref.name}{f':{ref.port}' if ref.port else ''}"


def _candidate(candidate: Candidate, objects: Objects) -> Data:
    named = _named(candidate.match, objects)
    return {**named, "hostname": candidate.host.decode(), "outcome": candidate.outcome, "step": candidate.step}


def _named(match: Match, objects: Objects) -> Data:
    """A match with the names of its rule and route, the place of the rule, and what it asks for."""
    plan = match.rule.plan.matches[match.index]
    asks = [f"{KINDS[plan.path_kind]} {plan.path.decode('latin-1')}"]
    asks += [f"method {plan.method.decode()}"] if plan.method and not plan.grpc else []
    asks += ["gRPC"] if plan.grpc else []
    asks += [f"gRPC method {plan.call.decode()}"] if plan.call else []
    for word, conditions in (("header", plan.headers), ("query parameter", plan.query)):
        for condition in conditions:
            sign = "~" if condition.regex else "="
            asks.append(
                f"{word} {condition.name.decode('latin-1')} {sign} {condition.value.decode('utf-8', 'replace')}"
            )
    route = objects.get(match.route.kind, match.route.namespace, match.route.name)
    source = route.source(("spec", "rules", match.rule.plan.index)) if route is not None else ""
    return {"route": match.route.key, "rule": match.rule.name, "source": source, "match": asks}
