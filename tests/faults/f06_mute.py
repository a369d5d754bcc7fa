"""F06: a backend accepts and never answers. 504 at the timeout, and nobody else notices."""

from __future__ import annotations

import asyncio
import time

from tests.faults.stage.client import Client, LostError
from tests.faults.stage.figures import Figure, at_most, exactly, quantile, told
from tests.faults.stage.load import Load
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request

TITLE = "a backend accepts and never answers"
FIRST_BYTE = 2.0
PROBES = 14  # requests that show two workers again and again that the mute endpoint does not answer yet
NOISE = 0.05  # seconds by which a p99 may differ on a machine that does other things too


def mute(peer: Peer, request: Request) -> None:
    """Nothing, or half a head."""
    if request.path.endswith("/half"):
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-le")


async def run(stage: Stage) -> list[Figure]:
    silent, other = await stage.backend(mute), await stage.backend()
    stage.site(
        {"/": [other.port], "/mute": [silent.port], "/pair": [silent.port, other.port]},
        timeouts={"firstByte": f"{FIRST_BYTE:g}s"},
    )
    served = await stage.gateway()
    async with Load(served.port, clients=20, rate=200) as beside:
        await asyncio.sleep(stage.pace(5.0, 1.0))
        began = time.monotonic()
        rounds = [await _round(served.port, stage.count(50, 10)) for _ in range(stage.count(3, 1))]
        ended = time.monotonic()
        async with Load(served.port, lambda client: client.check("/pair"), clients=20, rate=200) as pair:
            await asyncio.sleep(stage.pace(5.0, 1.0))
        async with Load(served.port, lambda client: client.check("/pair"), clients=20, rate=200) as later:
            await asyncio.sleep(stage.pace(10.0, 1.0))
    asked = [one for answers in rounds for one in answers]
    before = 1000 * quantile(beside.seconds(until=began), 0.99)
    during = 1000 * quantile(beside.seconds(since=began, until=ended), 0.99)
    return [
        told("requests to the mute backend", len(asked)),
        exactly("not answered 504", sum(status != 504 for status, _ in asked), 0),
        at_most("farthest from the timeout", max(abs(took - FIRST_BYTE) for _, took in asked), 0.5, "s"),
        exactly("connections used again after a timeout", sum(peer.requests > 1 for peer in silent.peers), 0),
        exactly("connections to it left open", sum(not peer.lost for peer in silent.peers), 0),
        exactly("other requests lost", beside.lost(), 0),
        told("other requests before, p99", before, "ms"),
        at_most("other requests meanwhile, p99", during, 1.1 * before + 1000 * NOISE, "ms"),
        told("one of two endpoints mute: requests", pair.asked),
        told("one of two endpoints mute: lost", pair.lost()),
        told("some seconds later: requests", later.asked),
        at_most("some seconds later: lost", later.lost(), PROBES),
    ]


async def _round(port: int, count: int) -> list[tuple[int, float]]:
    paths = ["/mute/half" if number % 2 else "/mute" for number in range(count)]
    return await asyncio.gather(*(_timed(port, path) for path in paths))


async def _timed(port: int, path: str) -> tuple[int, float]:
    client = Client(port)
    began = time.monotonic()
    try:
        head, _, _ = await client.ask(path)
    except LostError:
        return 0, time.monotonic() - began
    finally:
        client.close()
    return head.status, time.monotonic() - began
