"""F20: clients and backends that misbehave at random points, and reloads meanwhile. Nothing is left behind."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import random
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from tests.faults.stage import proc
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, told
from tests.faults.stage.ground import Ground
from tests.faults.stage.load import Load
from tests.faults.stage.rough2 import CUT2, WHOLE2
from tests.faults.stage.rude import Place, Rude
from tests.faults.stage.rude2 import MOST, ask2, call2, tunnel2
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage
from tests.faults.stage.tally import Tally
from tests.faults.stage.ways import CUT, JUDGING, WHOLE

TITLE = "ends that misbehave at random, everywhere"
PIPES = 32  # descriptors of the empty pipes that a worker keeps
GROWTH = (8.0, 4.0)  # MiB of one worker in the second and in the third round
STEADY = tuple(way for way in WHOLE if way != "early")  # whoever is answered early may be cut off while it still sends
ABSENT = frozenset({404, 500})  # while a route is not there, or its backend
JUDGED = frozenset({401, 403, 413})


def unverified(*protocols: str) -> ssl.SSLContext:
    """A client's context for certificates that change."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(protocols)
    return context


def acts(served: Served, tally: Tally) -> list[Callable[[], Awaitable[None]]]:
    """What clients do: one connection each."""
    tls, tls2 = unverified("http/1.1"), unverified("h2")
    port, secure = served.ports[80], served.ports[443]
    ways, ways2 = (*WHOLE, *CUT), (*WHOLE2, *CUT2)
    bearers = ("authorization: Bearer me\r\n", "authorization: Bearer broken\r\n", "")
    judged = [f"authorization: {how}\r\n" for how in ("allow", "allow", "allow", *JUDGING)]
    plain = [Place(port, prefix) for prefix in ("/plain", "/plain", "/mortal", "/mirrored", "/retried", "/timed")]
    plain += [Place(port, "/steady", STEADY, steady=True)] * 2
    plain += [Place(port, "/allowed", STEADY, lines=bearers[:1], steady=True)]
    plain += [Place(port, "/sticky", most=120_000), Place(port, "/coming", allowed=ABSENT)]
    plain += [Place(served.ports[81], "/coming", allowed=ABSENT), Place(port, "/http2", ways2, MOST)]
    plain += [Place(port, prefix, ways, lines=judged, allowed=JUDGED) for prefix in ("/judged", "/shown")]
    plain += [Place(port, prefix, ways, lines=bearers, allowed=JUDGED) for prefix in ("/called", "/closed")]
    plain += [replace(place, port=secure, tls=tls) for place in plain if place.port == port]
    spoken2 = [replace(place, most=MOST, tls=tls2 if place.tls else None) for place in plain]
    called = [Place(port, "/test.Echo/Talk"), Place(secure, "/test.Echo/Talk", tls=tls2)]
    chance = random.Random()
    return [
        *[lambda: Rude(tally).ask(chance.choice(plain))] * 3,
        lambda: Rude(tally).pipeline(chance.choice(plain)),
        lambda: Rude(tally).tunnel(chance.choice(plain)),
        lambda: Rude(tally).stream(served.ports[90]),
        lambda: Rude(tally).stream(served.ports[91]),
        *[lambda: ask2(tally, chance.choice(spoken2))] * 2,
        lambda: call2(tally, chance.choice(called)),
        lambda: tunnel2(tally, chance.choice(spoken2)),
    ]


async def run(stage: Stage) -> list[Figure]:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of writes after the end, which are the point here
    tally = Tally()
    calm = await stage.backend()
    ground = Ground(stage, tally)
    await ground.start(calm.port, tally)
    try:
        served = await stage.gateway(ports=(80, 81, 90, 91, 443))
        rounds = [await _round(stage, served, ground, tally) for _ in range(stage.count(3, 2))]
        return [*_told(tally), *_lost(stage, tally), *_compared(rounds), *await _counted(served)]
    finally:
        ground.stop()


async def _round(stage: Stage, served: Served, ground: Ground, tally: Tally) -> dict[str, Any]:
    """The whole mix for a while, then silence; what each worker has then."""
    choices = acts(served, tally)
    until = time.monotonic() + stage.pace(60.0, 6.0)

    async def go_on() -> None:
        while time.monotonic() < until:
            await random.choice(choices)()

    trouble = asyncio.create_task(ground.trouble())
    async with Load(served.port, clients=4, rate=40) as load:
        await asyncio.gather(*(go_on() for _ in range(stage.count(96, 24))))
    trouble.cancel()
    await asyncio.gather(trouble, return_exceptions=True)
    quiet = await _quiet(served)
    await asyncio.sleep(stage.pace(6.0, 1.0))  # the workers tidy up in an idle moment
    return {
        "workers": served.workers,
        "load": load,
        "quiet": quiet,
        "rss": [proc.rss(pid) for pid in served.workers],
        "descriptors": [_kinds(pid) for pid in served.workers],
    }


async def _quiet(served: Served) -> dict[str, float]:
    """What is still open or in flight when it should be nothing, after all time-outs."""
    names = ("gatewayd_connections", "gatewayd_requests_in_flight", "gatewayd_idle_upstream_connections")
    until = time.monotonic() + 40.0
    while True:
        metrics = await served.metrics()
        left = {name: metrics[name] for name in names}
        if not any(left.values()) or time.monotonic() > until:
            return left
        await asyncio.sleep(0.2)


def _kinds(pid: int) -> Counter[str]:
    """Descriptors by kind: socket, pipe, and others."""
    found: Counter[str] = Counter()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            found[os.readlink(f"/proc/{pid}/fd/{entry}").partition(":")[0]] += 1
    return found


def _told(tally: Tally) -> list[Figure]:
    outcomes = tally.outcomes
    shown = [told(f"outcomes: {name}", outcomes[name]) for name in sorted(outcomes)]
    wrong = [exactly(f"wrong: {what}", count, 0) for what, count in sorted(tally.wrong.items())]
    return [*shown, at_least("answers that came complete", outcomes["complete"], 100), *wrong,
            exactly("answers wrong, of another request, cut but complete-looking, or without an end",
                    sum(tally.wrong.values()), 0)]  # fmt: skip


def _lost(stage: Stage, tally: Tally) -> list[Figure]:
    """What polite clients lost although their backend answers rightly, with the words of the access log for it. The
    time-outs are so short that they end some where this machine is busy.
    """
    lines = (stage.scratch / "access.log").read_bytes().splitlines() if tally.lost else []
    figures, unexplained = [], 0
    for lost in tally.lost:
        path = b'"%b?' % lost.partition("?")[0].encode()
        reasons = {json.loads(line).get("reason", "") for line in lines if path in line}
        figures.append(told(f"lost: {lost} ({' '.join(reasons)})", 1))
        unexplained += not any(reason.endswith("_timeout") for reason in reasons)
    return [*figures, exactly("lost by who has manners, of a backend that answers rightly", unexplained, 0)]


def _compared(rounds: list[dict[str, Any]]) -> list[Figure]:
    first, last = rounds[0], rounds[-1]
    figures = [exactly("workers replaced", int(first["workers"] != last["workers"]), 0)]
    lost = sum(round_["load"].lost() for round_ in rounds)
    kinds = ", ".join(filter(None, (round_["load"].kinds() for round_ in rounds)))
    figures += [told("calm requests meanwhile", sum(round_["load"].asked for round_ in rounds)),
                exactly(f"calm requests lost ({kinds or 'none'})", lost, 0)]  # fmt: skip
    for name in first["quiet"]:
        figures.append(exactly(f"after each round: {name}", max(round_["quiet"][name] for round_ in rounds), 0))
    for number, (before, after) in enumerate(zip(first["descriptors"], last["descriptors"], strict=True)):
        others = sum(after.values()) - after["pipe"] - sum(before.values()) + before["pipe"]
        figures += [exactly(f"worker {number}: descriptors more than after the first round, no pipes", others, 0),
                    at_most(f"worker {number}: descriptors of pipes more", after["pipe"] - before["pipe"], PIPES),
                    told(f"worker {number}: descriptors of pipes", after["pipe"])]  # fmt: skip
    for bound, (earlier, later) in zip(GROWTH, itertools.pairwise(rounds), strict=False):
        for number, (before, after) in enumerate(zip(earlier["rss"], later["rss"], strict=True)):
            name = f"worker {number}: growth of {before / 1e6:.1f} MB in a round"
            figures.append(at_most(name, (after - before) / (1 << 20), bound, "MiB"))
    return figures


async def _counted(served: Served) -> list[Figure]:
    names = ("upstream_retries", "upstream_resets", "upstream_ejections", "mirrors_sent", "authorizations_asked",
             "authorizations_failed", "reloads")  # fmt: skip
    counts = [told(name.replace("_", " "), await served.metric(f"gatewayd_{name}_total")) for name in names]
    return [*counts, exactly("defects counted by the gateway", await served.metric("gatewayd_exceptions_total"), 0)]
