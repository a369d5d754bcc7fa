"""F19: mirrors that never answer, refuse, or answer without end. Whoever is mirrored notices nothing of it."""

from __future__ import annotations

import asyncio

from tests.faults.stage.figures import Figure, at_least, at_most, exactly, quantile, told
from tests.faults.stage.load import Load
from tests.faults.stage.stage import Stage, Watch
from tests.faults.stage.witness import Peer, Request
from tests.manifests import Manifest, http_route, rule, service
from tests.processes import free_port

TITLE = "mirrors hang, refuse, or answer without end"
NOISE = 0.05  # seconds by which a p99 may differ on a machine that does other things too
SPILL = bytes(4 << 20)
GROWTH = 24.0  # MiB
IN_FLIGHT = 32  # to one mirror


def mute(peer: Peer, request: Request) -> None:
    """Nothing."""


def endless(peer: Peer, request: Request) -> None:
    """The beginning of a gigabyte."""
    peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (1 << 30))
    peer.write(SPILL)


def mirror(name: str, **part: int) -> Manifest:
    """A RequestMirror to a Service."""
    return {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": name, "port": 80}, **part}}


async def run(stage: Stage) -> list[Figure]:
    right, silent, spilling = await stage.backend(), await stage.backend(mute), await stage.backend(endless)
    stage.site({"/": [right.port]})
    filters = [mirror("silent"), mirror("refusing"), mirror("spilling", percent=2)]
    stage.folder.write(
        "mirrored.yaml",
        http_route("mirrored", rule("right", "/mirrored", filters), section="http"),
        *service("right", right.port),
        *service("silent", silent.port),
        *service("refusing", free_port()),
        *service("spilling", spilling.port),
    )
    served = await stage.gateway(workers=1)
    async with Load(served.port, clients=20, rate=200) as plain:
        await asyncio.sleep(stage.pace(5.0, 1.0))
    async with Watch(served) as watch:
        async with Load(served.port, lambda client: client.check("/mirrored"), clients=20, rate=200) as mirrored:
            await asyncio.sleep(stage.pace(15.0, 1.5))
        growth = watch.growth
    before, during = (1000 * quantile(load.seconds(), 0.99) for load in (plain, mirrored))
    return [
        told("requests mirrored", mirrored.asked),
        exactly("requests lost", mirrored.lost(), 0),
        told("without mirrors, p99", before, "ms"),
        at_most("mirrored, p99", during, 1.05 * before + 1000 * NOISE, "ms"),
        at_least("copies sent", await served.metric("gatewayd_mirrors_sent_total"), 1),
        at_least("copies dropped", await served.metric("gatewayd_mirrors_dropped_total"), 1),
        at_most("copies in flight to the mute mirror", sum(not peer.lost for peer in silent.peers), IN_FLIGHT),
        at_least("endless answers begun", len(spilling.peers), 1),
        exactly("endless answers still read", sum(not peer.lost for peer in spilling.peers), 0),
        at_most("growth of memory", growth, GROWTH, "MiB"),
    ]
