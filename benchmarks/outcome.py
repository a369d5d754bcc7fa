"""What a load generator reports: how much was done, in which time, with how many failures."""

from __future__ import annotations

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
    """Where to send: one port of one proxy. `hosts` is how many hosts the site has."""

    port: int
    tls: bool = False
    hosts: int = 1
