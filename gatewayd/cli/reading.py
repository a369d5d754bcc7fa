"""From PATH... to planned objects: what `check`, `status` and `explain` begin with. Nothing is bound or started."""

from __future__ import annotations

import argparse
import gc
import time
from dataclasses import dataclass
from typing import cast

from gatewayd.api.gatewayclass import GatewayClass
from gatewayd.api.objects import Objects
from gatewayd.api.problem import Problem
from gatewayd.cli import options
from gatewayd.plan.build import Options, Planner, Result
from gatewayd.sources.files import FileSource


@dataclass(frozen=True)
class Planned:
    """The objects of the files, what they come to, and every problem, sorted by place."""

    objects: Objects
    result: Result
    problems: list[Problem]


def unmatched_controller(arguments: argparse.Namespace, objects: Objects) -> str:
    """What to say when --controller-name fits no class, so that nothing is served; "" otherwise."""
    wanted = arguments.controller_name
    names = sorted({cast(GatewayClass, item.resource).spec.controller_name for item in objects.of("GatewayClass")})
    if wanted is None or wanted in names:
        return ""
    return f"no GatewayClass has the controllerName {wanted!r}; there are: {', '.join(names) or 'none'}"


def read(arguments: argparse.Namespace) -> Planned:
    """Load and plan the files that the arguments name."""
    collecting = gc.isenabled()
    gc.disable()  # as for loading: all that is made stays until the command ends
    try:
        return _read(arguments)
    finally:
        if collecting:
            gc.enable()


def _read(arguments: argparse.Namespace) -> Planned:
    loaded = FileSource(options.paths(arguments.paths)).load()
    result = Planner().plan(
        loaded.objects,
        Options(
            controller_name=arguments.controller_name,
            address_pool=options.address_pool(arguments.address_pool),
            port_map=dict(options.port_map(arguments.port_map)),
            generation=1,
            now=time.time(),
        ),
    )
    problems = sorted(
        {*loaded.problems, *result.problems}, key=lambda problem: (problem.file, problem.line, str(problem))
    )
    return Planned(loaded.objects, result, problems)
