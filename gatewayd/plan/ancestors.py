"""What status tells of the Gateways that use a backend, or the target of a policy: an entry for each (GEP-713)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.conditions import Status, Verdict, judged
from gatewayd.plan.grants import GATEWAY_GROUP
from gatewayd.plan.parts import generation, spec
from gatewayd.plan.policies import Judged
from gatewayd.plan.problems import report, warn
from gatewayd.plan.protocols import CONTROLLER
from gatewayd.plan.targets import X_GROUP
from gatewayd.plan.users import Users
from gatewayd.plan.xbackends import needs_tls

ANCESTORS = 16  # entries that status.ancestors may have
PARENTS = 32  # entries that status.parents may have


def entry(name: str, view: GatewayView, conditions: list[Status]) -> dict[str, Any]:
    """What status tells one Gateway; `name` is "ancestorRef" (PolicyStatus) or "parentRef" (XBackend)."""
    return {
        name: {"group": GATEWAY_GROUP, "kind": "Gateway", "namespace": view.namespace, "name": view.name},
        "controllerName": view.controller or CONTROLLER,
        "conditions": conditions,
    }


def crowded(item: Object, gateways: Collection[str], most: int) -> list[Problem]:
    """A warning when more Gateways use it than its status can name: it serves all of them all the same."""
    if len(gateways) <= most:
        return []
    return [warn(item, (), f"{len(gateways)} Gateways use it, and its status can name {most}")]


def known(gateways: Iterable[str], views: Mapping[str, GatewayView], most: int) -> list[GatewayView]:
    """Those of the Gateways that are served, at most so many (the API bounds the lists of status)."""
    return [views[key] for key in gateways if key in views][:most]


def policy_problems(found: Judged, users: Users) -> list[Problem]:
    """What is wrong with a policy, and with its use."""
    return [*found.problems, *crowded(found.item, users.of(*found.verdicts), ANCESTORS)]


def policy_status(found: Judged, users: Users, views: Mapping[str, GatewayView]) -> Status:
    """status.ancestors of a policy: one entry for each Gateway that uses a target through any route. The policy is
    accepted there when it is in force for one of those targets; what is wrong with others is said all the same.
    """
    item = found.item
    entries = []
    for view in known(users.of(*found.verdicts), views, ANCESTORS):
        verdicts = [found.verdicts[target] for target in found.verdicts if view.key in users.of(target)]
        failures = [verdict for verdict in verdicts if verdict is not None]
        message = "; ".join(verdict.message for verdict in failures)
        failure = Verdict(failures[0].reason, message) if len(failures) == len(verdicts) else None
        entries.append(entry("ancestorRef", view, [judged("Accepted", failure, generation(item), message)]))
    return {"ancestors": entries}


def xbackend_status(item: Object, users: Users, views: Mapping[str, GatewayView]) -> Status:
    """status.parents of an XBackend: one entry for each Gateway that uses it through any route."""
    conditions = [judged("Accepted", _refusal(item), generation(item))]
    gateways = known(_users_of(item, users), views, PARENTS)
    return {"parents": [entry("parentRef", view, conditions) for view in gateways]}


def xbackend_problems(item: Object, users: Users) -> list[Problem]:
    """What is wrong with an XBackend, and with its use."""
    verdict = _refusal(item)
    found = [] if verdict is None else [report(item, ("spec", "tls", "mode"), verdict.message)]
    return found + crowded(item, _users_of(item, users), PARENTS)


def _users_of(item: Object, users: Users) -> list[str]:
    return users.of((X_GROUP, "XBackend", item.namespace, item.name))


def _refusal(item: Object) -> Verdict | None:
    mode = needs_tls(spec(item))
    if not mode:
        return None
    return Verdict("Invalid", f"tls.mode {mode} is not served yet: whatever goes here is refused, not sent in clear")
