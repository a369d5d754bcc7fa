"""F01: a worker is killed with SIGKILL, again and again, under load."""

from __future__ import annotations

import asyncio
import random
import time

from tests.faults.stage import proc
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, quantile, told
from tests.faults.stage.holders import Streams
from tests.faults.stage.load import Load, Loss
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request, right
from tests.manifests import listener, service, tcp_route

TITLE = "kill -9 of a worker under load"
KNOWN_AFTER = 0.2  # seconds until a client can know that its connection died: the kernel takes the process down first


class Kill:
    """One kill: when, whose the connections were, and how long the successor took."""

    def __init__(self, served: Served, load: Load, raw: int) -> None:
        before = served.workers
        self.victim = random.choice(before)
        self.owned = proc.owners(served.port, before) | proc.owners(raw, before)
        self.moment = time.monotonic()
        served.kill(self.victim)
        self.in_flight = sum(1 for client in load.busy if self.owned.get(client.port) == self.victim)
        self._before = set(before)
        self._served = served
        self.back = 0.0

    async def recover(self) -> None:
        """Wait until a successor holds the listening socket."""

        def successor() -> bool:
            fresh = set(self._served.workers) - self._before
            return any(proc.listens(pid, self._served.port) for pid in fresh)

        await self._served.until(successor, "a successor listens")
        self.back = time.monotonic() - self.moment

    def explains(self, port: int, sent: float, ended: float) -> bool:
        """Whether what was lost was on its way over a connection of the killed worker."""
        mine = self.owned.get(port, self.victim) == self.victim
        return mine and sent <= self.moment + KNOWN_AFTER and ended >= self.moment


def slowly(peer: Peer, request: Request) -> None:
    """Answer after a moment, so that some requests are always in flight."""
    asyncio.get_running_loop().call_later(0.05, peer.write, right(request))


async def run(stage: Stage) -> list[Figure]:
    backend, echo = await stage.backend(slowly), await stage.echo("raw", "--tcp")
    stage.site({"/": [backend.port]}, listener("tcp", 90, "TCP"))
    stage.folder.write("tcp.yaml", tcp_route("raw", {"raw": 1}, "tcp"), *service("raw", echo.port))
    served = await stage.gateway(ports=(80, 90))
    kills: list[Kill] = []
    async with Load(served.port) as load, Streams(served.ports[90], 20) as streams:
        await asyncio.sleep(1.0)
        for _ in range(stage.count(5, 1)):
            kill = Kill(served, load, served.ports[90])
            kills.append(kill)
            await kill.recover()
            await asyncio.sleep(stage.pace(4.0, 1.5))
        cut = list(streams.ends)
    return figures(load, kills, cut, streams.wrong)


def figures(load: Load, kills: list[Kill], cut: list[tuple[int, float]], wrong: int) -> list[Figure]:
    def unexplained(loss: Loss) -> bool:
        return not any(kill.explains(loss.port, loss.sent, loss.ended) for kill in kills)

    def unaware(loss: Loss) -> bool:
        return any(kill.moment < loss.sent <= kill.moment + KNOWN_AFTER for kill in kills)

    foreign = [port for port, _ in cut if not any(kill.owned.get(port) == kill.victim for kill in kills)]
    first = kills[0].moment
    return [
        told("requests", load.asked),
        told("kills", len(kills)),
        told("in flight in the killed workers", sum(kill.in_flight for kill in kills)),
        told("lost", load.lost()),
        told("of these sent before a client could know of the kill", sum(map(unaware, load.losses))),
        exactly("lost in another way", sum(map(unexplained, load.losses)), 0),
        exactly("connects refused", load.lost("refused"), 0),
        told("TCP streams cut", len(cut)),
        exactly("TCP streams cut of other workers", len(foreign), 0),
        exactly("TCP messages wrong", wrong, 0),
        at_most("slowest return of a worker", max(kill.back for kill in kills), 1.0, "s"),
        told("p99 before", 1000 * quantile(load.seconds(until=first), 0.99), "ms"),
        told("p99 from the first kill on", 1000 * quantile(load.seconds(since=first), 0.99), "ms"),
        at_most("slowest right answer", max(load.seconds(), default=0.0), 2.0, "s"),
        at_least("right answers after the last kill", len(load.seconds(since=kills[-1].moment)), 50),
    ]
