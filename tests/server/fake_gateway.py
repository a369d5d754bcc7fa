"""`gatewayd run` with files of three words: each line is `port NUMBER`, `route NAME` or `bad WORDS`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gatewayd.api.objects import Objects
from gatewayd.api.problem import Problem
from gatewayd.routing.snapshot import ListenerPlan, PortPlan, RoutePlan, Snapshot
from gatewayd.server.options import RunOptions
from gatewayd.server.reload import Plan, Source
from gatewayd.server.run import run


@dataclass
class Lines:
    objects: Objects
    problems: list[Problem]
    changed: bool
    unsettled: bool = False


@dataclass
class FakeSource:
    paths: tuple[str, ...]
    text: str = "\0"

    def load(self, changed: Iterable[str] | None = None) -> Lines:
        del changed
        found = [Path(path) for path in self.paths]
        files = [file for path in found for file in (sorted(path.glob("*.yaml")) if path.is_dir() else [path])]
        text = "".join(file.read_text() for file in files if file.exists())
        differs, self.text = text != self.text, text
        bad = [line[4:] for line in text.splitlines() if line.startswith("bad ")]
        return Lines(Objects(), [Problem("fake.yaml", 1, "", "", message) for message in bad], differs)


@dataclass
class Result:
    snapshot: Snapshot
    statuses: dict[str, dict[str, Any]]
    problems: list[Problem] = field(default_factory=list)


def parts(options: RunOptions) -> tuple[Source, Plan]:
    source = FakeSource(options.paths)
    routes: dict[str, RoutePlan] = {}

    def plan(objects: Objects, generation: int) -> Result:
        del objects
        words = [line.split() for line in source.text.splitlines() if line]
        for word in words:
            if word[0] == "wait":
                Path(word[1]).read_text()  # a pipe: until somebody writes to it
        if ["crash"] in words:
            raise KeyError("a defect")
        ports = {f":{word[1]}": port(int(word[1])) for word in words if word[0] == "port"}
        names = [word[1] for word in words if word[0] == "route"]
        served = {name: routes.setdefault(name, RoutePlan(name, "HTTPRoute", "default", name)) for name in names}
        conditions = [{"type": kind, "status": "True", "reason": kind} for kind in ("Accepted", "Programmed")]
        status = {
            "conditions": conditions,
            "listeners": [{"name": key, "conditions": conditions} for key in ports],
        }
        return Result(Snapshot(generation, ports=ports, routes=served), {"Gateway/default/fake": status})

    return source, plan


def port(number: int) -> PortPlan:
    listener = ListenerPlan("default/fake/l", "default/fake", f":{number}", "HTTP", source="fake.yaml:1")
    return PortPlan(f":{number}", "", number, number, "http", (listener,))


if __name__ == "__main__":
    sys.exit(run(msgspec.json.decode(sys.argv[1], type=RunOptions), parts))
