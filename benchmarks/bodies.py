"""How far gatewayd's memory grows while one large body passes: nothing may be kept of it but what is on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks import client
from benchmarks.driver import Setting, started
from benchmarks.outcome import MIB, Outcome, Target

LAYERS = {"http": "HTTP/1.1", "https": "HTTP/1.1 over TLS 1.3", "tcp": "TCP"}
WAYS: dict[str, Callable[[Target, int, int, int], Outcome]] = {
    "download": client.download,
    "upload": client.upload,
}


def measure(setting: Setting) -> Iterator[dict[str, str | float]]:
    """One row for each protocol and direction; `setting.peers[0]` alone."""
    size = setting.effort.large
    effort = replace(setting.effort, body=size)
    peers = setting.peers[:1]
    layers = frozenset(LAYERS) & peers[0].layers
    with started(peers, layers, 5, effort, access_log=setting.access_log) as (proxy,):
        for layer in sorted(layers):
            for way, move in WAYS.items():
                proxy.running.forget_peak()
                before = proxy.running.read()
                outcome = move(proxy.port(layer), size, 1, 1)
                after = proxy.running.read()
                yield {
                    "protocol": LAYERS[layer],
                    "direction": way,
                    "mebibytes": size / MIB,
                    "before_bytes": before.resident,
                    "growth_bytes": max(0, after.peak - before.resident),
                    "errors": outcome.errors,
                }
