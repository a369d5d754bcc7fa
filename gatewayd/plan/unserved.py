"""Kinds that are valid and not served yet: their status says so, and so does a problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gatewayd.api.objects import Object, Objects
from gatewayd.api.problem import Problem
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.conditions import Status, condition
from gatewayd.plan.grants import GATEWAY_GROUP
from gatewayd.plan.parts import generation, spec
from gatewayd.plan.problems import report, warn
from gatewayd.plan.protocols import CONTROLLER

Target = tuple[str, str, str]  # (kind, namespace, name) of a backend
Users = Mapping[Target, Iterable[str]]  # the Gateways that use a backend through any route
KINDS = ("ListenerSet", "BackendTLSPolicy", "XBackend", "XBackendTrafficPolicy", "XMesh")


def statuses(objects: Objects, views: Mapping[str, GatewayView], users: Users) -> dict[str, Status]:
    """The status of every object of these kinds that has anybody to report to."""
    found = {item.key: _listener_set(item) for item in objects.of("ListenerSet") if _parent(item) in views}
    for kind in ("BackendTLSPolicy", "XBackendTrafficPolicy"):
        for item in objects.of(kind):
            found[item.key] = {"ancestors": _entries(item, "ancestorRef", _of_targets(item, users), views)}
    for item in objects.of("XBackend"):
        gateways = users.get((item.kind, item.namespace, item.name), ())
        found[item.key] = {"parents": _entries(item, "parentRef", gateways, views)}
    for item in objects.of("XMesh"):
        found[item.key] = {"conditions": [_refusal(item, "Accepted", "NotServed")]}
    return found


def problems(objects: Objects) -> list[Problem]:
    """One for each object. A policy that guards something is an error: what it guards is refused."""
    found = [warn(item, (), f"{item.kind} is not served yet") for kind in KINDS for item in objects.of(kind)]
    message = "BackendTLSPolicy is not served yet: HTTP requests to its targets are answered 500, not sent in clear"
    found = [problem for problem in found if not problem.object.startswith("BackendTLSPolicy ")]
    return found + [report(item, (), message) for item in objects.of("BackendTLSPolicy")]


def _refusal(item: Object, kind: str, reason: str = "Invalid") -> Status:
    return condition(kind, False, reason, f"{item.kind} is not served yet", generation(item))


def _parent(item: Object) -> str:
    ref = spec(item).parent_ref
    return f"{ref.namespace or item.namespace}/{ref.name}"


def _listener_set(item: Object) -> Status:
    return {"conditions": [_refusal(item, "Accepted"), _refusal(item, "Programmed")]}


def targets(objects: Objects) -> set[Target]:
    """The backends that the objects of these kinds are about."""
    policies = [*objects.of("BackendTLSPolicy"), *objects.of("XBackendTrafficPolicy")]
    found = {target for item in policies for target in _targets(item)}
    return found | {(item.kind, item.namespace, item.name) for item in objects.of("XBackend")}


def _targets(item: Object) -> list[Target]:
    return [(ref.kind, item.namespace, ref.name) for ref in spec(item).target_refs]


def _of_targets(item: Object, users: Users) -> list[str]:
    """The Gateways that reach a target of a policy, each once, in order."""
    return sorted({gateway for target in _targets(item) for gateway in users.get(target, ())})


def _entries(item: Object, name: str, gateways: Iterable[str], views: Mapping[str, GatewayView]) -> list[Any]:
    """One entry for each Gateway; the API allows 16."""
    return [
        {
            name: {"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": view.namespace, "name": view.name},
            "controllerName": view.controller or CONTROLLER,
            "conditions": [_refusal(item, "Accepted")],
        }
        for view in [views[key] for key in sorted(gateways) if key in views][:16]
    ]
