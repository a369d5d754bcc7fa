"""How far gatewayd's memory grows while one large body passes: nothing may be kept of it but what is on its way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks import client, h2load
from benchmarks.driver import Proxy, Setting, started
from benchmarks.idle import PROTOCOLS
from benchmarks.outcome import MIB, Outcome, Target
from benchmarks.peers.peer import find
from benchmarks.site import LAYERS

Way = Callable[[Target, int], Outcome]
OVER_HTTP2: dict[str, Way] = {"download": h2load.download, "upload": h2load.upload}
OTHERWISE: dict[str, Way] = {
    "download": lambda target, size: client.download(target, size, 1, 1),
    "upload": lambda target, size: client.upload(target, size, 1, 1),
}


def measure(setting: Setting) -> Iterator[dict[str, str | float]]:
    """One row for each protocol and direction; gatewayd alone. HTTP/2 needs h2load and is left out without it."""
    layers = [name for name in PROTOCOLS if find("h2load") or not LAYERS[name].http2]
    effort = replace(setting.effort, body=setting.effort.large)
    running = started(setting.peers[:1], frozenset(layers), 5, effort, access_log=setting.access_log)
    with running as (proxy,):
        for layer in layers:
            for direction, way in (OVER_HTTP2 if LAYERS[layer].http2 else OTHERWISE).items():
                moved = row(proxy, layer, effort.large, way)
                yield {"protocol": PROTOCOLS[layer], "direction": direction, **moved}


def row(proxy: Proxy, layer: str, size: int, way: Way) -> dict[str, float]:
    """One body of `size` bytes: the worker's memory before, and how far its peak was above that."""
    proxy.running.forget_peak()
    before = proxy.running.read()
    outcome = way(proxy.port(layer), size)
    after = proxy.running.read()
    return {
        "mebibytes": size / MIB,
        "before_bytes": before.resident,
        "growth_bytes": max(0, after.peak - before.resident),
        "errors": outcome.errors,
    }
