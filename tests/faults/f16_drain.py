"""F16: SIGTERM while much is in flight. What ends within the drain time ends well, the rest is cut, the exit is 0."""

from __future__ import annotations

import asyncio
import signal
import time

from tests.faults.stage.client import Client, LostError, read_body, read_head
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, told
from tests.faults.stage.holders import Streams, WebSockets
from tests.faults.stage.load import Load, Loss
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request, witness
from tests.manifests import listener, service, tcp_route

TITLE = "SIGTERM while much is in flight"
SLICES = 20
SLICE = b"x" * 10_000


def answer(peer: Peer, request: Request) -> None:
    """`/download/SECONDS`: so long a body; else the right answer."""
    if not request.path.startswith("/download/"):
        witness(peer, request)
        return
    pause = float(request.path.rpartition("/")[2]) / SLICES
    peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (SLICES * len(SLICE)))
    loop = asyncio.get_running_loop()
    for number in range(SLICES):
        loop.call_later((number + 1) * pause, peer.write, SLICE)


async def run(stage: Stage) -> list[Figure]:
    backend = await stage.backend(answer)
    raw, sockets = await stage.echo("raw", "--tcp"), await stage.echo("sockets")
    stage.site({"/": [backend.port], "/ws": [sockets.port]}, listener("tcp", 90, "TCP"))
    stage.folder.write("tcp.yaml", tcp_route("raw", {"raw": 1}, "tcp"), *service("raw", raw.port))
    drain, held = stage.pace(8.0, 3.0), stage.count(50, 10)
    served = await stage.gateway(ports=(80, 90), options=("--drain-timeout", f"{drain:g}"))
    async with Streams(served.ports[90], held) as streams, WebSockets(served.port, held) as sockets_held:
        idle = [asyncio.create_task(_idle(served.port)) for _ in range(stage.count(500, 50))]
        downloads = [asyncio.create_task(_download(served.port, 0.7 * drain)) for _ in range(held)]
        load = Load(served.port, clients=20, rate=200)
        async with load:
            await asyncio.sleep(2.0)
            began = time.monotonic()
            served.kill(served.pid, signal.SIGTERM)
            code, ended = await _ended(served, began)
    lost = sum(await asyncio.gather(*downloads))
    closed = sorted(moment - began for moment in await asyncio.gather(*idle))
    ends = [moment - began for _, moment in (*streams.ends, *sockets_held.ends)]
    second, again = await _second_signal(stage)
    torn = [loss for loss in load.losses if loss.kind != "refused" and not raced(loss)]
    return [
        exactly("exit code", code, 0),
        at_most("ended after", ended, drain + 1.0, "s"),
        told("downloads that take less than the drain time", held),
        exactly("of these lost", lost, 0),
        told("requests before and during", load.asked),
        exactly("lost in flight", len(torn), 0),
        told("met a close on a resting connection, to be asked again", sum(map(raced, load.losses))),
        told("refused, after the listeners closed", load.lost("refused")),
        told("idle connections", len(idle)),
        at_most("the last idle connection was closed after", closed[-1], 2.0, "s"),
        told("TCP streams and WebSockets", 2 * held),
        at_least("the first of them was cut after", min(ends, default=0.0), drain - 0.5, "s"),
        exactly("their messages wrong", streams.wrong + sockets_held.wrong, 0),
        told("WebSockets that were told 1001", sum(close == 1001 for close, _ in sockets_held.ends)),
        exactly("exit code after a second SIGTERM", again, 0),
        at_most("ended after a second SIGTERM", second, 1.0, "s"),
    ]


def raced(loss: Loss) -> bool:
    """Whether the request met the close of a resting connection: clients ask again then (RFC 9112 section 9.3.1)."""
    return loss.kind == "reset" and loss.reused and loss.ended - loss.sent < 0.25


async def _idle(port: int) -> float:
    """One request, then rest until the gateway closes; the moment of that."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nhost: a\r\nx-id: 1\r\n\r\n")
    head = await read_head(reader)
    async for _ in read_body(reader, head):
        pass
    try:
        await reader.read(1)
    except OSError:
        pass
    writer.transport.abort()
    return time.monotonic()


async def _download(port: int, seconds: float) -> bool:
    """Whether a download was lost."""
    client = Client(port)
    try:
        head, body, _ = await client.ask(f"/download/{seconds:g}")
    except LostError:
        return True
    finally:
        client.close()
    return head.status != 200 or len(body) != SLICES * len(SLICE)


async def _ended(served: Served, began: float) -> tuple[int, float]:
    code = await served.wait()
    return code, time.monotonic() - began


async def _second_signal(stage: Stage) -> tuple[float, int]:
    """(seconds from the second SIGTERM, exit code) of a gateway that has something to wait for."""
    served = await stage.gateway(ports=(80, 90), options=("--drain-timeout", "30"))
    async with Streams(served.ports[90], 5):
        served.kill(served.pid, signal.SIGTERM)
        await served.until(lambda: "draining" in served.log, "the drain begins")
        await asyncio.sleep(0.3)
        began = time.monotonic()
        served.kill(served.pid, signal.SIGTERM)
        code, took = await _ended(served, began)
    return took, code
