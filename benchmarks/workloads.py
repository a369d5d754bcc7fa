"""What is sent: a table of workloads, each a name, a unit, the size of the site, and a load generator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import client, h2load, wrk
from benchmarks.outcome import GIB, MIB, Outcome, Target
from benchmarks.peers.peer import find


@dataclass(frozen=True)
class Effort:
    """How much: seconds of requests; the size of a body and how many of them on each of four connections.

    Then, for the experiments: `connections` that are idle at once, of gatewayd and of a peer; the size of one `large`
    body; the `sizes` of configurations for reloads, and how many `changes` of each kind; those for starts, and how
    many of them.
    """

    seconds: float = 8.0
    body: int = 100 * MIB
    bodies: int = 3
    connections: int = 10_000
    connections_of_peers: int = 1_000
    large: int = GIB
    sizes: tuple[int, ...] = (0, 1_000, 10_000)
    changes: int = 40
    start_sizes: tuple[int, ...] = (0, 5, 5_000, 10_000)
    starts: int = 3


@dataclass(frozen=True)
class Unit:
    """What one piece of work is called, and how its CPU time is written: `scale` times seconds."""

    name: str
    cost: str
    scale: float
    rate: str


REQUEST = Unit("request", "us CPU/request", 1e6, "requests/s")
HANDSHAKE = Unit("handshake", "us CPU/handshake", 1e6, "handshakes/s")
VOLUME = Unit("GiB", "ms CPU/GiB", 1e3, "GiB/s")


@dataclass(frozen=True)
class Workload:
    """`layer`: one of `site.LAYERS`, where it goes. Workloads of one `batch` take turns, each on a site of its own.

    `alone`: compares gatewayd with itself, so peers sit it out. `tools`: programs that a comparison needs for it.
    """

    name: str
    title: str
    layer: str
    unit: Unit
    send: Callable[[Target, Effort], Outcome]
    routes: int = 5
    batch: str = ""
    alone: bool = False
    tools: tuple[str, ...] = ()


def requests(shape: str) -> Callable[[Target, Effort], Outcome]:
    """wrk with this shape of head; the client of our own, which knows one shape, where wrk is missing."""

    def send(target: Target, effort: Effort) -> Outcome:
        if wrk.available():
            return wrk.run(target, effort.seconds, shape)
        return client.requests(target, effort.seconds)

    return send


def streams(connections: int, each: int) -> Callable[[Target, Effort], Outcome]:
    """h2load with so many connections, and so many streams on each."""
    load = h2load.Load(connections, each)
    return lambda target, effort: h2load.run(target, effort.seconds, load)


def pages(connections: int, each: int) -> Callable[[Target, Effort], Outcome]:
    """As `streams`, of a browser that asks for one page after the other."""
    load = h2load.Load(connections, each, browser=True)
    return lambda target, effort: h2load.run(target, effort.seconds, load)


def calls(connections: int, each: int) -> Callable[[Target, Effort], Outcome]:
    """As `streams`, of gRPC calls."""
    load = h2load.Load(connections, each, call=True)
    return lambda target, effort: h2load.calls(target, effort.seconds, load)


def handshakes(target: Target, effort: Effort) -> Outcome:
    return client.handshakes(target, effort.seconds)


def download(target: Target, effort: Effort) -> Outcome:
    return client.download(target, effort.body, 4, effort.bodies)


def upload(target: Target, effort: Effort) -> Outcome:
    return client.upload(target, effort.body, 4, effort.bodies)


def stream(target: Target, effort: Effort) -> Outcome:
    """The same bytes as `download`, on one connection."""
    return client.download(target, effort.body, 1, 4 * effort.bodies)


WRK, H2LOAD = ("wrk",), ("h2load",)
WORKLOADS: dict[str, Workload] = {
    workload.name: workload
    for workload in (  # name, title, layer, unit, send, routes
        Workload("head", "HTTP/1.1, wrk's own head", "http", REQUEST, requests("plain"), tools=WRK),
        Workload(
            "browser",
            "HTTP/1.1, 12 browser fields, all unique, 500 routes",
            "http",
            REQUEST,
            requests("browser"),
            500,
            tools=WRK,
        ),
        Workload("tls", "HTTP/1.1 over TLS 1.3, wrk's own head", "https", REQUEST, requests("plain"), tools=WRK),
        Workload("handshake", "TLS 1.3, a full handshake for each request", "https", HANDSHAKE, handshakes),
        Workload("download", "HTTP/1.1, answers of 100 MiB, 4 connections", "http", VOLUME, download),
        Workload("upload", "HTTP/1.1, requests of 100 MiB, 4 connections", "http", VOLUME, upload),
        Workload("tcp", "TCP, request and response", "tcp", REQUEST, requests("plain"), tools=WRK),
        Workload("stream", "TCP, bulk, 1 connection", "tcp", VOLUME, stream),
        Workload(
            "lookup-5",
            "HTTP/1.1, 12 browser fields, 5 routes",
            "http",
            REQUEST,
            requests("browser"),
            5,
            "lookup",
            alone=True,
            tools=WRK,
        ),
        Workload(
            "lookup-5000",
            "HTTP/1.1, 12 browser fields, 5,000 routes",
            "http",
            REQUEST,
            requests("browser"),
            5000,
            "lookup",
            alone=True,
            tools=WRK,
        ),
        Workload(
            "h2c", "HTTP/2 in clear text, 4 connections of 16 streams", "h2c", REQUEST, streams(4, 16), tools=H2LOAD
        ),
        Workload(
            "h2c-1", "HTTP/2 in clear text, 1 connection of 1 stream", "h2c", REQUEST, streams(1, 1), tools=H2LOAD
        ),
        Workload("h2", "HTTP/2 over TLS 1.3, 4 connections of 16 streams", "h2", REQUEST, streams(4, 16), tools=H2LOAD),
        Workload(
            "h2-pages",
            "HTTP/2 over TLS 1.3, 9 browser fields, paths unique, 1 connection of 64 streams",
            "h2",
            REQUEST,
            pages(1, 64),
            tools=H2LOAD,
        ),
        Workload(
            "h2-h2",
            "HTTP/2 to HTTP/2, both in clear text, 4 connections of 16 streams",
            "h2-h2",
            REQUEST,
            streams(4, 16),
            tools=(*H2LOAD, "nginx"),
        ),
        Workload(
            "grpc",
            "gRPC, unary calls of a server in Go, 4 connections of 16 streams",
            "grpc",
            REQUEST,
            calls(4, 16),
            tools=H2LOAD,
        ),
    )
}
SMOKE = (
    "head",
    "browser",
    "tls",
    "handshake",
    "download",
    "upload",
    "tcp",
    "stream",
    "h2c",
    "h2",
    "h2-pages",
    "h2-h2",
    "grpc",
)
SMOKE_EFFORT = Effort(
    seconds=1.0,
    body=4 * MIB,
    bodies=2,
    connections=200,
    large=64 * MIB,
    sizes=(0, 50),
    changes=2,
    start_sizes=(0, 50),
    starts=1,
)


def smoke() -> list[str]:
    """Those of `SMOKE` that can run here: wrk has a substitute, h2load and a backend that speaks HTTP/2 have none."""
    return [name for name in SMOKE if WORKLOADS[name].tools == WRK or all(map(find, WORKLOADS[name].tools))]
