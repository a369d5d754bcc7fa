"""F02: the supervisor is killed with SIGKILL; a new gateway is started at once on the same ports."""

from __future__ import annotations

import asyncio
import time

from tests.faults.stage import proc
from tests.faults.stage.client import Client, LostError
from tests.faults.stage.figures import Figure, at_most, exactly, told
from tests.faults.stage.holders import Streams
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request, right
from tests.manifests import listener, service, tcp_route

TITLE = "kill -9 of the supervisor"
SLOW = 2.0
IN_FLIGHT = 20


def slowly(peer: Peer, request: Request) -> None:
    """Answer after a while, so that requests are in flight."""
    seconds = SLOW if request.path == "/slow" else 0.0
    asyncio.get_running_loop().call_later(seconds, peer.write, right(request))


async def run(stage: Stage) -> list[Figure]:
    backend, echo = await stage.backend(slowly), await stage.echo("raw", "--tcp")
    stage.site({"/": [backend.port]}, listener("tcp", 90, "TCP"))
    stage.folder.write("tcp.yaml", tcp_route("raw", {"raw": 1}, "tcp"), *service("raw", echo.port))
    served = await stage.gateway(ports=(80, 90))
    old = served.workers
    async with Streams(served.ports[90], 10) as streams:
        clients = [Client(served.port) for _ in range(IN_FLIGHT)]
        asked = [asyncio.create_task(_lost(client, "/slow")) for client in clients]
        await served.until(lambda: len(backend.seen) == IN_FLIGHT, "all requests are in flight")
        began = time.monotonic()
        served.kill(served.pid)
        await served.wait()
        await served.start()
        ready = time.monotonic() - began
        fresh = [await _lost(Client(served.port), "/") for _ in range(50)]
        lost = sum(await asyncio.gather(*asked))
        ended = await _ended(old, began)
        cut = sorted(moment - began for _, moment in streams.ends)
    return [
        exactly("requests in flight that were lost", lost, 0),
        at_most("a new gateway on the same ports is ready after", ready, 3.0, "s"),
        exactly("its requests that were lost", sum(fresh), 0),
        at_most("the old workers have ended after", ended, 6.0, "s"),
        exactly("old workers left", sum(map(proc.alive, old)), 0),
        told("TCP streams were served on for", cut[0] if cut else ended, "s"),
        exactly("TCP messages wrong", streams.wrong, 0),
    ]


async def _lost(client: Client, path: str) -> bool:
    try:
        await client.check(path)
    except LostError:
        return True
    finally:
        client.close()
    return False


async def _ended(pids: list[int], began: float, patience: float = 15.0) -> float:
    """Seconds from `began` until none of the processes is left; `patience` at most."""
    while any(map(proc.alive, pids)) and time.monotonic() - began < patience:
        await asyncio.sleep(0.02)
    return time.monotonic() - began
