"""F07: one of three endpoints resets every tenth request before the first byte of an answer."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

from tests.faults.stage.client import Client, content
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, told
from tests.faults.stage.load import Load
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request, witness

TITLE = "one of three endpoints resets every tenth request"
BODY = content(0, 300)


async def post(client: Client) -> None:
    """A request that must not be sent twice."""
    await client.check(method="POST", body=BODY)


async def run(stage: Stage) -> list[Figure]:
    counter = itertools.count(1)
    resets = {"GET": 0, "POST": 0}
    posted: list[int] = []

    def note(peer: Peer, request: Request) -> None:
        if request.method == "POST":
            posted.append(request.identity)
        witness(peer, request)

    def answer(peer: Peer, request: Request) -> None:
        if next(counter) % 10:
            note(peer, request)
        else:
            resets[request.method] += 1
            if request.method == "POST":
                posted.append(request.identity)
            peer.reset()

    backends = [await stage.backend(answer), await stage.backend(note), await stage.backend(note)]
    stage.site({"/": [backend.port for backend in backends]})
    served = await stage.gateway()
    seconds = stage.pace(20.0, 3.0)
    async with Load(served.port, clients=30, rate=300) as gets, Load(served.port, post, clients=10, rate=60) as posts:
        await asyncio.sleep(seconds)
    retries = await served.metric("gatewayd_upstream_retries_total")
    arrived = sum((backend.seen for backend in backends), start=Counter[int]())
    asked = gets.asked + posts.asked
    return [
        told("requests: GET", gets.asked),
        told("requests: POST", posts.asked),
        at_least("resets: GET", resets["GET"], 1),
        told("resets: POST", resets["POST"]),
        exactly("lost: GET", gets.lost(), 0),
        at_most("lost: POST", posts.lost(), resets["POST"]),
        exactly("lost: POST, other than 502", posts.lost() - posts.lost("502"), 0),
        at_most("arrivals of a request at backends", max(arrived.values()), 2),
        exactly("POSTs that arrived twice", len(posted) - len(set(posted)), 0),
        at_most("retries", retries, 0.2 * asked + 10 * seconds),
    ]
