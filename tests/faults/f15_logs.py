"""F15: the access log's disk is full, its reader has stopped or left, standard error is closed. Nobody notices."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from typing import Any

from tests.faults.stage.client import Client
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, quantile, told
from tests.faults.stage.load import Load
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage, Watch
from tests.manifests import http_route, rule

TITLE = "nobody takes the log"
PATH = "/" + "long/" * 380  # lines of 2 KiB, so that the buffer of 1 MiB is full soon
KEPT = 8.0  # MiB by which a worker may grow: buffers
NOISE = 0.05  # seconds by which a p99 may differ on a machine that does other things too

CLOSED = ("sh", "-c", 'exec "$@" 2>&-', "sh")


async def run(stage: Stage) -> list[Figure]:
    backend = await stage.backend()
    stage.site({"/": [backend.port]})
    seconds = stage.pace(5.0, 2.0)
    file = await _measure(await _start(stage), stage, seconds)
    full = await _measure(await _start(stage, access_log="/dev/full"), stage, seconds)
    with ExitStack() as stack:
        stopped = await _measure(await _piped(stage, stack, leave=False), stage, seconds)
        left = await _measure(await _piped(stage, stack, leave=True), stage, seconds)
    closed = await _measure(await _start(stage, prefix=CLOSED), stage, seconds)
    bound = 1.1 * file.p99 + NOISE
    return [
        told("a file, for comparison: requests", file.asked),
        told("a file, for comparison: p99", 1000 * file.p99, "ms"),
        exactly("a file, for comparison: lines dropped", file.dropped, 0),
        *full.figures("disk full", bound, drops=True),
        *stopped.figures("reader stopped", bound, drops=True),
        *left.figures("reader gone", bound, drops=True),
        *closed.figures("standard error closed", bound, drops=False),
    ]


class Measure:
    """What one gateway lost and cost."""

    def __init__(self, load: Load, growth: float, dropped: float) -> None:
        self.asked = load.asked
        self.lost = load.lost()
        self.p99 = quantile(load.seconds(), 0.99)
        self.growth = growth
        self.dropped = dropped

    def figures(self, what: str, bound: float, *, drops: bool) -> list[Figure]:
        """As rows."""
        counted = at_least if drops else exactly
        return [
            told(f"{what}: requests", self.asked),
            exactly(f"{what}: lost", self.lost, 0),
            at_most(f"{what}: p99", 1000 * self.p99, 1000 * bound, "ms"),
            at_most(f"{what}: growth of the worker", self.growth, KEPT, "MiB"),
            counted(f"{what}: lines dropped and counted", self.dropped, 1 if drops else 0),
        ]


async def _start(stage: Stage, **options: Any) -> Served:
    return await stage.gateway(workers=1, **options)


async def _piped(stage: Stage, stack: ExitStack, *, leave: bool) -> Served:
    """A gateway whose two outputs are a pipe that nobody reads, or whose reader leaves after the start."""
    reader, writer = os.pipe()
    served = await stage.gateway(workers=1, access_log="-", stdout=writer, stderr=writer)
    os.close(writer)
    if leave:
        os.close(reader)
    else:
        stack.callback(os.close, reader)
    return served


async def _measure(served: Served, stage: Stage, seconds: float) -> Measure:
    """Load for a while, with a reload in the middle, which has to take effect although nobody reads of it."""

    async def ask(client: Client) -> None:
        await client.check(PATH)

    async with Watch(served) as watch, Load(served.port, ask, clients=20, rate=400) as load:
        await asyncio.sleep(seconds / 2)
        before = await served.metric("gatewayd_generation")
        stage.folder.write("more.yaml", http_route(f"more-{served.port}", rule("to-0", f"/more-{served.port}")))
        await asyncio.sleep(seconds / 2)
        assert await served.metric("gatewayd_generation") > before, "the reload did not take effect"
    await asyncio.sleep(1.5)  # a worker reports its counts twice a second
    dropped = await served.metric("gatewayd_access_lines_dropped_total")
    await served.stop()
    return Measure(load, watch.growth, dropped)
