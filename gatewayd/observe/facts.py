"""What the metrics say about the supervisor itself; apart from `exposition`, whose library takes long to load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Facts:
    """What the supervisor knows beside the counters. `lags` is the worst loop delay in seconds, by worker."""

    version: str
    python: str
    generation: int
    listeners: int
    routes: int
    workers: int
    workers_running: int
    worker_restarts: int
    reloads: int
    reload_failures: int
    reload_seconds: float
    unbound_ports: int
    log_lines_dropped: int
    problems: Mapping[str, int] = field(default_factory=dict)
    worker_generations: Mapping[int, int] = field(default_factory=dict)
    lags: Mapping[int, float] = field(default_factory=dict)
