"""Who runs when.

For each size of site all proxies are started and checked, and then given each workload in turn, for some rounds: one
after the other and again, so that whatever else the machine does meets all of them alike. A proxy that waits for its
turn uses no CPU to speak of.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import chain, product
from pathlib import Path

from benchmarks import backend, client, greeter, http2
from benchmarks.machine import shared_memory
from benchmarks.measure import Reading, Running, cores, pin
from benchmarks.outcome import Outcome, Target
from benchmarks.peers.peer import Peer
from benchmarks.site import GREETING, LAYERS, Ports, Site, free_ports, write_certificate
from benchmarks.workloads import Effort, Workload

START_TIMEOUT = 120.0
CORES = cores()  # of the driver, and of the proxies; read before the driver is pinned and sees only one
Row = dict[str, str | float | int]


class WrongError(Exception):
    """A proxy did not start, or does not answer as it must. The message says which and how."""


@dataclass(frozen=True)
class Proxy:
    """One peer, running, and where it listens."""

    peer: Peer
    running: Running
    ports: Ports
    backend_grpc: int

    def port(self, layer: str) -> Target:
        """One host, any of its paths."""
        spoken = LAYERS[layer]
        port = getattr(self.ports, spoken.port)
        return Target(port, tls=spoken.tls, http2=spoken.http2, behind=self.backend_grpc)

    def target(self, workload: Workload) -> Target:
        """All hosts that the workload's site has."""
        return replace(self.port(workload.layer), hosts=len(Site(Path(), 0, 0, 0, workload.routes).hosts))


@dataclass(frozen=True)
class Setting:
    """What an experiment may use. gatewayd is the first of the peers, where it takes part."""

    peers: Sequence[Peer]
    effort: Effort
    access_log: bool = False


@contextmanager
def started(
    peers: Sequence[Peer],
    layers: frozenset[str],
    routes: int,
    effort: Effort,
    *,
    access_log: bool,
    connections: int = 1024,
) -> Iterator[list[Proxy]]:
    """The backend on the driver's core and every proxy on the other, all of them answering on these layers."""
    here, there = CORES[:1], CORES[1:]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gatewayd-bench-", dir=shared_memory())))
        places_each = len(fields(Ports))
        port, port_h2, port_grpc, *others = free_ports(3 + places_each * len(peers))
        site = Site(folder, port, port_h2, port_grpc, routes, access_log, connections)
        write_certificate(site)
        places = {name: folder / name for name in ("backend", "greeter", *(peer.name for peer in peers))}
        for place in places.values():
            place.mkdir()
        behind = Running("backend", backend.launch(site, places["backend"], effort.body), here, places["backend"])
        stack.callback(behind.stop)
        wait_for(behind, lambda: expect(Target(port), "/", "the backend"))
        if any(LAYERS[layer].calls for layer in layers):
            answering = Running("the gRPC server", greeter.launch(port_grpc), here, places["greeter"])
            stack.callback(answering.stop)
            wait_for(answering, lambda: greet(Target(port_grpc, http2=True), "the gRPC server"))
        proxies = []
        for number, peer in enumerate(peers):
            ports = Ports(*others[places_each * number : places_each * (number + 1)])
            running = Running(peer.name, peer.launch(site, ports, places[peer.name]), there, places[peer.name])
            stack.callback(running.stop)
            proxies.append(proxy := Proxy(peer, running, ports, port_grpc))
            wait_for(running, partial(check, proxy, site, layers))
        yield proxies


def wait_for(running: Running, ready: Callable[[], None]) -> None:
    """Until `ready` raises no longer."""
    end = time.monotonic() + START_TIMEOUT
    while True:
        try:
            return ready()
        except (OSError, WrongError, StopIteration, ValueError) as problem:
            if running.process.poll() is not None:
                raise WrongError(f"{running.name} ended: {running.complaint()}") from None
            if time.monotonic() > end:
                raise WrongError(f"{running.name} is not ready: {problem}\n{running.complaint()}") from None
        time.sleep(0.05)


def expect(target: Target, path: str, name: str, host: str = client.HOST, status: int = 200) -> None:
    """One request must be answered with this status; 200 has the backend's body."""
    answer = (http2.get if target.http2 else client.get)(target, path, host)
    if answer[0] != status or (status == 200 and answer[1] != len(GREETING)):
        raise WrongError(f"{name}: {host}{path} was answered with status {answer[0]} and {answer[1]} bytes")


def greet(target: Target, name: str) -> None:
    """One gRPC call must end well, and one of an unknown service must not."""
    if not (reply := http2.call(target, greeter.GREET)).well:
        raise WrongError(f"{name}: a call was answered with grpc-status {reply.status} and {len(reply.body)} bytes")
    if http2.call(target, "/unknown/Greet").status == 0:
        raise WrongError(f"{name}: a call of an unknown service was answered with grpc-status 0")


def check(proxy: Proxy, site: Site, wanted: frozenset[str]) -> None:
    """Every layer that is wanted answers; first and last host are routed, an unknown path is not."""
    name, layers = proxy.peer.name, proxy.peer.layers & wanted
    for layer in sorted(layers - {"tcp", "grpc"}):
        target = proxy.port(layer)
        for host in {site.hosts[0], site.hosts[-1 if LAYERS[layer].all_hosts else 0]}:
            expect(target, "/api/1?x=1", name, host)
            expect(target, "/unknown", name, host, proxy.peer.unrouted)
    if "tcp" in layers:
        expect(proxy.port("tcp"), "/api/", name)
    if "grpc" in layers:
        greet(proxy.port("grpc"), name)


def measure(proxy: Proxy, workload: Workload, effort: Effort) -> Row:
    """One workload through one proxy, once."""
    proxy.running.forget_peak()
    before = proxy.running.read()
    outcome = workload.send(proxy.target(workload), effort)
    after = proxy.running.read()
    return row(proxy.peer.name, workload, outcome, before, after)


def row(name: str, workload: Workload, outcome: Outcome, before: Reading, after: Reading) -> Row:
    """The figures of one run as plain data. A worker that was replaced counts as an error."""
    scale = workload.unit.scale / outcome.count if outcome.count else 0.0
    return {
        "workload": workload.name,
        "peer": name,
        "count": outcome.count,
        "seconds": outcome.seconds,
        "errors": outcome.errors + (before.processes != after.processes),
        "cost": (after.workers - before.workers) * scale,
        "supervisor_seconds": after.supervisor - before.supervisor,
        "supervisor_bytes": after.supervisor_resident,
        "busy": (after.workers - before.workers) / outcome.seconds,
        "rate": outcome.count / outcome.seconds,
        "p50": outcome.p50,
        "p99": outcome.p99,
        "idle_bytes": before.resident,
        "resident_bytes": after.resident,
        "growth_bytes": max(0, after.peak - before.resident),
    }


def run(
    peers: Sequence[Peer],
    workloads: Sequence[Workload],
    effort: Effort,
    rounds: int,
    *,
    access_log: bool,
    tell: Callable[[Row], None],
) -> list[Row]:
    """All rounds of all workloads; `tell` hears of each run when it is done."""
    pin(CORES[0])
    rows: list[Row] = []
    for sizes, batches in sessions(workloads).items():
        with ExitStack() as stack:
            proxies = {}
            for routes in sorted(sizes):
                taking_part = [
                    peer for peer in peers if any(takes_part(peer, workload, peers) for workload in chain(*batches))
                ]
                layers = frozenset(workload.layer for workload in chain(*batches))
                begun = started(taking_part, layers, routes, effort, access_log=access_log)
                proxies[routes] = stack.enter_context(begun)
            for batch in batches:
                for number, workload in product(range(rounds), batch):
                    for proxy in proxies[workload.routes]:
                        if takes_part(proxy.peer, workload, peers):
                            rows.append({**measure(proxy, workload, effort), "round": number})
                            tell(rows[-1])
    return rows


def sessions(workloads: Sequence[Workload]) -> dict[frozenset[int], list[list[Workload]]]:
    """Sizes of the sites that must stand at the same time -> batches of workloads that take turns on them."""
    batches: dict[str, list[Workload]] = {}
    for workload in workloads:
        batches.setdefault(workload.batch or workload.name, []).append(workload)
    found: dict[frozenset[int], list[list[Workload]]] = {}
    for batch in batches.values():
        found.setdefault(frozenset(workload.routes for workload in batch), []).append(batch)
    return found


def takes_part(peer: Peer, workload: Workload, peers: Sequence[Peer]) -> bool:
    """A workload that compares gatewayd with itself is run by the first of the list only."""
    return workload.layer in peer.layers and not (workload.alone and peer is not peers[0])
