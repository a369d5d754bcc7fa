"""GatewayClass: which classes are served, with which parameters."""

from __future__ import annotations

from typing import NamedTuple

from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem
from gatewayd.plan import settings
from gatewayd.plan.conditions import Status, judged
from gatewayd.plan.parts import generation, spec
from gatewayd.plan.problems import report, warn
from gatewayd.plan.protocols import CONTROLLER, FEATURES
from gatewayd.plan.reads import Reads
from gatewayd.plan.settings import Parameters


class Class(NamedTuple):
    """A GatewayClass that is served. `ours` when it names this controller."""

    item: Object
    controller: str
    ours: bool
    parameters: Parameters


def find(name: str, wanted: str | None, reads: Reads) -> Class | None:
    """The class of that name when it is served: any class, or only those of the controller `wanted`."""
    item = reads.get("GatewayClass", "", name)
    return None if item is None else judge(item, wanted, reads)


def judge(item: Object, wanted: str | None, reads: Reads) -> Class | None:
    """A class that is served, or None."""
    controller: str = spec(item).controller_name
    if wanted is not None and controller != wanted:
        return None
    ours = controller == (wanted or CONTROLLER)
    return Class(item, controller, ours, settings.find(spec(item).parameters_ref, "default", ours, reads))


def status(found: Class) -> Status:
    """The status of a class that is served."""
    accepted = judged("Accepted", found.parameters.failure, generation(found.item))
    return {"conditions": [accepted], "supportedFeatures": [{"name": name} for name in FEATURES]}


def problems(found: Class) -> list[Problem]:
    """What is wrong with its parameters."""
    path = ("spec", "parametersRef")
    if found.parameters.failure is not None:
        return [report(found.item, path, found.parameters.failure.message)]
    if found.parameters.foreign:
        message = "parameters of another controller are not read"
        return [warn(found.item, path, message, "use gatewayd.dev/GatewayConfig")]
    return []
