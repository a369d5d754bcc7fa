"""What a run of the gateway can be told: the options of `gatewayd run`, as one record."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

WORKER_COMMAND = (sys.executable, "-P", "-m", "gatewayd.server.worker")
"""Starts a worker: a fresh interpreter, so that nothing of the supervisor's memory is in it. -P keeps the current
directory out of its module path."""


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS has no affinity
        return os.cpu_count() or 1


@dataclass(frozen=True)
class RunOptions:
    """Options of one run.

    `admin` is HOST:PORT or None for no admin API. `access_log` is a path, or "-" for standard output. `drain_timeout`
    in seconds overrides what the Gateways' settings say. `user` is the name that the workers run as, when started by
    root.
    """

    paths: tuple[str, ...]
    workers: int = field(default_factory=cores)
    address_pool: str | None = None
    port_map: Mapping[int, int] = field(default_factory=dict)
    admin: str | None = "127.0.0.1:9901"
    watch: bool = True
    controller_name: str | None = None
    access_log: str = "-"
    drain_timeout: float | None = None
    user: str | None = None
    log_level: str = "info"
    worker_command: tuple[str, ...] = WORKER_COMMAND
