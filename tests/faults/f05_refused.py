"""F05: every endpoint refuses, or swallows connects. 503 in time, and no storm of attempts."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack

from tests.faults.stage.client import Client, LostError
from tests.faults.stage.figures import Figure, at_most, exactly, quantile, told
from tests.faults.stage.load import Load
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage
from tests.processes import free_port

TITLE = "endpoints refuse or swallow connects"
CONNECT_TIMEOUT = 1.0


async def refused(client: Client) -> None:
    """A request that must be answered 503, by the gateway."""
    head, _, _ = await client.ask("/dead")
    if head.status != 503:
        raise LostError(f"{head.status} in place of 503", client.port)


async def run(stage: Stage) -> list[Figure]:
    other = await stage.backend()
    with ExitStack() as stack:
        hole = black_hole(stack)
        stage.site(
            {"/": [other.port], "/dead": [free_port() for _ in range(3)], "/hole": [hole]},
            timeouts={"connect": f"{CONNECT_TIMEOUT:g}s"},
        )
        served = await stage.gateway()
        async with Load(served.port, clients=10, rate=100) as beside:
            dead = await _dead(served, stage.pace(10.0, 1.5))
            waited = await asyncio.gather(*(_hole(served.port) for _ in range(stage.count(50, 10))))
    return [
        *dead,
        exactly("swallowed: requests not answered 503", sum(status != 503 for status, _ in waited), 0),
        at_most("swallowed: slowest 503", max(took for _, took in waited), CONNECT_TIMEOUT + 0.5, "s"),
        told("other requests meanwhile", beside.asked),
        exactly("other requests lost", beside.lost(), 0),
        told("other requests, p99", 1000 * quantile(beside.seconds(), 0.99), "ms"),
    ]


async def _dead(served: Served, seconds: float) -> list[Figure]:
    before = await _attempts(served)
    async with Load(served.port, refused, clients=30, rate=300) as load:
        await asyncio.sleep(seconds)
    attempts = await _attempts(served) - before
    # Each worker has a budget of its own, and a second's worth of it to begin with.
    bound = 1.2 * load.asked + 10 * (seconds + 1) * len(served.workers)
    return [
        told("refused: requests", load.asked),
        exactly("refused: requests not answered 503", load.lost(), 0),
        at_most("refused: slowest 503", max(load.seconds(), default=9e9), CONNECT_TIMEOUT, "s"),
        told("refused: 503, p99", 1000 * quantile(load.seconds(), 0.99), "ms"),
        at_most("refused: attempts to connect", attempts, bound),
    ]


async def _attempts(served: Served) -> float:
    """Connects to endpoints that failed so far."""
    return await served.metric("gatewayd_upstream_connect_failures_total")


def black_hole(stack: ExitStack) -> int:
    """A port whose queue of connections is full: the kernel drops further SYNs, as a firewall does."""
    sock = stack.enter_context(socket.socket())
    sock.bind(("127.0.0.1", 0))
    sock.listen(0)
    port: int = sock.getsockname()[1]
    for _ in range(4):
        filler = stack.enter_context(socket.socket())
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
    time.sleep(0.1)
    return port


async def _hole(port: int) -> tuple[int, float]:
    client = Client(port)
    began = time.monotonic()
    try:
        head, _, _ = await client.ask("/hole")
    except LostError:
        return 0, time.monotonic() - began
    finally:
        client.close()
    return head.status, time.monotonic() - began
