"""F14: 256 descriptors, a thousand clients. A pause, no storm; what is there is served, and health is told."""

from __future__ import annotations

import asyncio
import time

from tests.faults.stage import proc
from tests.faults.stage.client import Client, LostError
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, quantile, told
from tests.faults.stage.load import Load
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage
from tests.talk import fetch

TITLE = "out of descriptors"
LIMIT = 256
CROWD = 1000


async def run(stage: Stage) -> list[Figure]:
    backend = await stage.backend()
    stage.site({"/": [backend.port]})
    served = await stage.gateway(workers=1, prefix=("prlimit", f"--nofile={LIMIT}:{LIMIT}"))
    seconds = stage.pace(10.0, 3.0)
    (worker,) = served.workers
    async with Load(served.port, clients=20, rate=100) as load:
        await asyncio.sleep(1.0)
        lines = served.log.count("\n")
        began, busy = time.monotonic(), proc.cpu(worker)
        crowd = [asyncio.create_task(_silent(served.port, seconds)) for _ in range(CROWD)]
        health, most = await _health(served, seconds)
        share = (proc.cpu(worker) - busy) / (time.monotonic() - began)
        await asyncio.gather(*crowd)
        left = time.monotonic()
        recovery = await _recovery(served, left)
    written = served.log.count("\n") - lines
    return [
        told("silent clients", CROWD),
        at_most("descriptors of the worker", most, LIMIT),
        at_most("processor share of the worker", share, 0.2),
        at_most("lines logged a second", written / seconds, 1.0),
        at_least("health asked", len(health), 1),
        exactly("health not answered 200", sum(status != 200 for status in health), 0),
        told("requests of the clients that were there", load.asked),
        exactly(f"of these lost ({load.kinds() or 'none'})", load.lost(), 0),
        told("of these, p99", 1000 * quantile(load.seconds(), 0.99), "ms"),
        told("of these, slowest", max(load.seconds(), default=0.0), "s"),
        at_most("new connections are served after the crowd left", recovery, 2.0, "s"),
        exactly("defects counted by the gateway", await served.metric("gatewayd_exceptions_total"), 0),
        exactly("workers replaced", await served.metric("gatewayd_worker_restarts_total"), 0),
    ]


async def _silent(port: int, seconds: float) -> None:
    """Connect, again when closed, and say nothing."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        try:
            async with asyncio.timeout(left):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    await reader.read(1)
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError):
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.5)


async def _health(served: Served, seconds: float) -> tuple[list[int], int]:
    """What the admin API answered, five times a second, and the most descriptors that the worker had then."""
    (worker,) = served.workers
    until = time.monotonic() + seconds
    statuses = []
    most = 0
    while time.monotonic() < until:
        try:
            statuses.append((await asyncio.to_thread(fetch, served.admin, "/readyz")).status)
        except OSError:
            statuses.append(0)
        most = max(most, proc.descriptors(worker))
        await asyncio.sleep(0.2)
    return statuses, most


async def _recovery(served: Served, left: float) -> float:
    """Seconds from `left` until ten new connections in a row are each served at once."""
    quick = 0
    while quick < 10 and time.monotonic() < left + 30:
        client = Client(served.port, patience=1.0)
        try:
            await client.check()
        except LostError:
            quick = 0
        else:
            quick += 1
        finally:
            client.close()
    return time.monotonic() - left
