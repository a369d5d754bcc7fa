"""Kinds that are valid and not served yet: their status says so, and so does a problem."""

from __future__ import annotations

from collections.abc import Mapping

from gatewayd.api.objects import Object, Objects
from gatewayd.api.problem import Problem
from gatewayd.plan.ancestors import ANCESTORS, entry, known
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.conditions import Status, condition
from gatewayd.plan.parts import generation, spec
from gatewayd.plan.problems import report, warn
from gatewayd.plan.users import Users

KINDS = ("ListenerSet", "BackendTLSPolicy", "XMesh")


def statuses(objects: Objects, views: Mapping[str, GatewayView], users: Users) -> dict[str, Status]:
    """The status of every object of these kinds that has anybody to report to."""
    found = {item.key: _listener_set(item) for item in objects.of("ListenerSet") if _parent(item) in views}
    for item in objects.of("BackendTLSPolicy"):
        gateways = users.of(*((ref.group, ref.kind, item.namespace, ref.name) for ref in spec(item).target_refs))
        conditions = [_refusal(item, "Accepted")]
        ancestors = [entry("ancestorRef", view, conditions) for view in known(gateways, views, ANCESTORS)]
        found[item.key] = {"ancestors": ancestors}
    for item in objects.of("XMesh"):
        found[item.key] = {"conditions": [_refusal(item, "Accepted", "NotServed")]}
    return found


def problems(objects: Objects) -> list[Problem]:
    """One for each object. A policy that guards something is an error: what it guards is refused."""
    found = [warn(item, (), f"{item.kind} is not served yet") for kind in KINDS for item in objects.of(kind)]
    message = (
        "BackendTLSPolicy is not served yet: HTTP requests to its targets are answered 500 and streams that TLS "
        "listeners decrypt are closed, not sent in clear"
    )
    found = [problem for problem in found if not problem.object.startswith("BackendTLSPolicy ")]
    return found + [report(item, (), message) for item in objects.of("BackendTLSPolicy")]


def _refusal(item: Object, kind: str, reason: str = "Invalid") -> Status:
    return condition(kind, False, reason, f"{item.kind} is not served yet", generation(item))


def _parent(item: Object) -> str:
    ref = spec(item).parent_ref
    return f"{ref.namespace or item.namespace}/{ref.name}"


def _listener_set(item: Object) -> Status:
    return {"conditions": [_refusal(item, "Accepted"), _refusal(item, "Programmed")]}
