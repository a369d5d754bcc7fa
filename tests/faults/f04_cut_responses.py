"""F04: the backend dies in the middle of a response. A cut response must never look complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.faults.stage.client import LostError, read_body, read_head
from tests.faults.stage.figures import Figure, exactly, told
from tests.faults.stage.load import Load
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request, witness
from tests.manifests import listener, service, tcp_route

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
    stage.site({"/": [other.port], "/cut": [backend.port]}, listener("tcp", 90, "TCP"))
    stage.folder.write("tcp.yaml", tcp_route("raw", {"raw": 1}, "tcp"), *service("raw", backend.port))
    served = await stage.gateway(ports=(80, 90))
    count = stage.count(20, 5)
    async with Load(served.port, clients=10, rate=100) as load:
        figures = [await _complete(served.port, case, minor, count) for case in CASES for minor in (1, 0)]
        cut_streams = await asyncio.gather(*(_stream_is_reset(served.ports[90]) for _ in range(20)))
        after = [await _looks_complete(served.port, "right", 1) for _ in range(20)]
    return [
        *figures,
        exactly("TCP streams reset by the backend that did not end with a reset, of 20", cut_streams.count(False), 0),
        exactly("right answers of the same backend afterwards", sum(looks for looks, _ in after), 20),
        told("other requests meanwhile", load.asked),
        exactly("other requests lost", load.lost(), 0),
        exactly("defects counted by the gateway", await served.metric("gatewayd_exceptions_total"), 0),
        exactly("requests in flight at the end", await served.metric("gatewayd_requests_in_flight"), 0),
    ]


async def _stream_is_reset(port: int) -> bool:
    """Whether the client of a TCP stream sees the reset of the backend as one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /length-rst HTTP/1.1\r\n\r\n")
    try:
        async with asyncio.timeout(10 * END):
            await reader.read(-1)
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    finally:
        writer.transport.abort()
    return False


async def _complete(port: int, case: str, minor: int, count: int) -> Figure:
    """How many of `count` cut responses looked complete, or did not end in time."""
    looks = await asyncio.gather(*(_looks_complete(port, case, minor) for _ in range(count)))
    bad = sum(complete or took > END for complete, took in looks)
    return exactly(f"{case}, HTTP/1.{minor}: complete-looking or hung, of {count}", bad, 0)


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
