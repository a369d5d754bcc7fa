"""What a load generator reports: how much was done, in which time, with how many failures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True)
class Outcome:
    """`count` is in the workload's unit: requests, handshakes or GiB. Latencies in microseconds, 0 if not measured."""

    count: float
    seconds: float
    errors: int = 0
    p50: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True)
class Target:
    """Where to send: one port of one proxy. `hosts` is how many hosts the site has, `behind` the gRPC server's port."""

    port: int
    tls: bool = False
    hosts: int = 1
    http2: bool = False
    behind: int = 0


def percentiles(taken: Iterable[float]) -> tuple[float, float]:
    """The 50th and the 99th percentile; 0 of nothing."""
    ranked = sorted(taken)
    p50, p99 = (ranked[int(len(ranked) * part)] if ranked else 0.0 for part in (0.5, 0.99))
    return p50, p99
