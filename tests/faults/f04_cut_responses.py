"""F04: the backend dies in the middle of a response. A cut response must never look complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.faults.stage.client import read_body, read_head, LostError
from tests.faults.stage.figures import Figure, at_most, exactly, told
from tests.faults.stage.load import Load
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request, witness

TITLE = "the backend dies in the middle of a response"
HALF = b"x" * 30000
END = 2.0  # seconds within which a client must know


def cut(head: bytes, part: bytes, *, reset: bool) -> Callable[[Peer, Request], None]:
    """Send a head and a part of the body, then die a moment later."""

    def answer(peer: Peer, _request: Request) -> None:
        peer.write(b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (head, part))
        die = peer.reset if reset else peer.transport.close
        asyncio.get_running_loop().call_later(0.05, die)

    return answer


CHUNKED = b"transfer-encoding: chunked\r\n"
CASES = {
    "length-fin": cut(b"content-length: 60000\r\n", HALF, reset=False),
    "length-rst": cut(b"content-length: 60000\r\n", HALF, reset=True),
    "chunked-fin": cut(CHUNKED, b"7530\r\n%b\r\n" % HALF, reset=False),
    "chunked-rst": cut(CHUNKED, b"7530\r\n%b\r\n" % HALF, reset=True),
    "chunk-inside": cut(CHUNKED, b"ea60\r\n%b" % HALF, reset=False),
    "last-chunk-cut": cut(CHUNKED, b"7530\r\n%b\r\n0\r\n" % HALF, reset=False),
    "until-close-rst": cut(b"", HALF, reset=True),
    "head-only": cut(b"content-length: 60000\r\n", b"", reset=False),
}


async def run(stage: Stage) -> list[Figure]:
    def answer(peer: Peer, request: Request) -> None:
        CASES.get(request.path.rpartition("/")[2], witness)(peer, request)

    backend, other = await stage.backend(answer), await stage.backend()
    stage.site({"/": [other.port], "/cut": [backend.port]})
    served = await stage.gateway()
    figures: list[Figure] = []
    async with Load(served.port, clients=10, rate=100) as load:
        for case in CASES:
            for minor in (1, 0):
                figures.append(await _complete(served.port, case, minor, stage.count(20, 5)))
        after = [await _looks_complete(served.port, "right", 1) for _ in range(20)]
    return [
        *figures,
        exactly("right answers of the same backend afterwards", sum(looks for looks, _ in after), 20),
        told("other requests meanwhile", load.asked),
        exactly("other requests lost", load.lost(), 0),
        exactly("defects counted by the gateway", await served.metric("gatewayd_exceptions_total"), 0),
        exactly("requests in flight at the end", await served.metric("gatewayd_requests_in_flight"), 0),
    ]


async def _complete(port: int, case: str, minor: int, count: int) -> Figure:
    """How many of `count` cut responses looked complete, or did not end in time."""
    looks = await asyncio.gather(*(_looks_complete(port, case, minor) for _ in range(count)))
    slow = sum(took > END for _, took in looks)
    return at_most(f"{case}, HTTP/1.{minor}: complete-looking or hung, of {count}", sum(look for look, _ in looks) + slow, 0)


async def _looks_complete(port: int, case: str, minor: int) -> tuple[bool, float]:
    """Whether the response looks complete to a client of HTTP/1.`minor`, and how long its end took."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /cut/%b HTTP/1.%d\r\nhost: a\r\nx-id: 1\r\n\r\n" % (case.encode(), minor))
    began = loop.time()
    try:
        async with asyncio.timeout(10 * END):
            head = await read_head(reader)
            async for _ in read_body(reader, head):
                pass
    except (LostError, TimeoutError):
        return False, loop.time() - began
    finally:
        writer.transport.abort()
    return head.status == 200, loop.time() - began
