"""F13: thousands of clients that stop on purpose: handshakes, heads, bodies, reads. Others are served all the time."""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Awaitable, Callable

from tests.certificates import self_signed
from tests.faults.stage import proc
from tests.faults.stage.client import Client, LostError
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, quantile, told
from tests.faults.stage.load import Load
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage
from tests.faults.stage.witness import Peer, Request, witness
from tests.manifests import http_route, https, rule, secret

TITLE = "clients that stop on purpose"
TIMEOUT = 3.0
EARLY = 0.1  # clocks are read at different moments
TOLERANCE = 1.5  # the sweep's quarter of a second, and a busy machine
LARGE = 8 << 20
TIMEOUTS = dict.fromkeys(("head", "tlsHandshake", "idle", "bodyRead", "bodyGrace", "write"), f"{TIMEOUT:g}s")
Attack = Callable[[Served], Awaitable[float]]


def answer(peer: Peer, request: Request) -> None:
    """Much for who asks for it, nothing for a body that does not come, else the right answer."""
    if request.method == "POST":
        return
    if request.path == "/large":
        peer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % LARGE + bytes(LARGE))
    else:
        witness(peer, request)


async def nothing(served: Served) -> float:
    """Connect, and say nothing."""
    return await _held(served.port, b"")


async def half_head(served: Served) -> float:
    """Begin a head, a byte now and then."""
    return await _held(served.port, b"GET / HTTP/1.1\r\nhost: a\r\nx-a: ", b"a")


async def half_body(served: Served) -> float:
    """Announce a body, a byte now and then."""
    return await _held(served.port, b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n", b"a")


async def half_chunk(served: Served) -> float:
    """The same, in chunks."""
    return await _held(served.port, b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nfffff\r\n", b"a")


async def tls_nothing(served: Served) -> float:
    """Connect to the TLS port, and say nothing."""
    return await _held(served.ports[443], b"")


async def tls_half_hello(served: Served) -> float:
    """Half a ClientHello."""
    return await _held(served.ports[443], client_hello()[:100])


async def tls_hello(served: Served) -> float:
    """A whole ClientHello, and nothing after it."""
    return await _held(served.ports[443], client_hello())


async def slow_read(served: Served) -> float:
    """Ask for much and read nothing; the end of that shows in the descriptors."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=1024)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /large HTTP/1.1\r\nhost: a\r\n\r\n")
    await asyncio.sleep(TIMEOUT + TOLERANCE)
    writer.transport.abort()
    del reader
    return TIMEOUT


ATTACKS: dict[Attack, int] = {
    nothing: 1000, half_head: 500, half_body: 250, half_chunk: 250,
    tls_nothing: 500, tls_half_hello: 250, tls_hello: 750, slow_read: 50,
}  # fmt: skip


@functools.cache
def client_hello() -> bytes:
    """A real one."""
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="shop.example.com")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()


async def _held(port: int, data: bytes, drip: bytes = b"") -> float:
    """Send what one has, then drip, until the gateway ends it; the seconds that it took."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    rest = asyncio.ensure_future(reader.read(-1))
    while not rest.done() and time.monotonic() < began + 4 * TIMEOUT:
        await asyncio.wait([rest], timeout=0.5)
        if drip and not rest.done():
            writer.write(drip)
    took = time.monotonic() - began
    rest.cancel()
    await asyncio.gather(rest, return_exceptions=True)
    writer.transport.abort()
    return took


async def run(stage: Stage) -> list[Figure]:
    backend = await stage.backend(answer)
    certificate, key = stage.scratch / "tls.crt", stage.scratch / "tls.key"
    self_signed("shop.example.com", certificate, key)
    stage.site({"/": [backend.port]}, https("https", 443, "pair"), timeouts=TIMEOUTS)
    pair = secret("pair", certificate.read_bytes(), key.read_bytes())
    stage.folder.write("tls.yaml", pair, http_route("tls", rule("to-0"), section="https"))
    served = await stage.gateway(ports=(80, 443))
    probe = TlsProbe(served.ports[443], str(certificate))
    async with (
        Load(served.port, clients=10, rate=100) as kept,
        Load(served.port, _fresh, clients=5, rate=20) as fresh,
        Load(served.ports[443], probe.ask, clients=3, rate=10) as secure,
    ):
        await asyncio.sleep(1.0)
        client_hello()
        before = _descriptors(served)
        began = time.monotonic()
        attacks = [_attack(served, attack, stage.count(count, count // 20)) for attack, count in ATTACKS.items()]
        ends = await asyncio.gather(*attacks)
        back = await _back(served, before + 20, began)
    return [
        told("attacking connections", sum(count for *_, count in ends)),
        at_least("the first ended after", min(fastest for fastest, *_ in ends), TIMEOUT - EARLY, "s"),
        *(
            at_most(f"{attack.__name__}: slowest of {count} ended after", slowest, TIMEOUT + TOLERANCE, "s")
            for attack, (_, slowest, count) in zip(ATTACKS, ends, strict=True)
            if attack is not slow_read
        ),
        at_most("descriptors as before after", back, 2 * (TIMEOUT + TOLERANCE), "s"),
        *(figure for name, load in (("kept", kept), ("new", fresh), ("TLS", secure)) for figure in _probes(name, load)),
        exactly("defects counted by the gateway", await served.metric("gatewayd_exceptions_total"), 0),
    ]


def _probes(name: str, load: Load) -> list[Figure]:
    return [
        at_least(f"probes on {name} connections", len(load.answers), 1),
        exactly(f"probes lost on {name} connections ({load.kinds() or 'none'})", load.lost(), 0),
        told(f"probes on {name} connections, p99", 1000 * quantile(load.seconds(), 0.99), "ms"),
    ]


async def _attack(served: Served, attack: Attack, count: int) -> tuple[float, float, int]:
    """The attack `count` times at once; (fastest end, slowest end, count)."""
    ends = await asyncio.gather(*(attack(served) for _ in range(count)))
    return min(ends), max(ends), count


async def _fresh(client: Client) -> None:
    client.close()
    await client.check()


class TlsProbe:
    """A request over a new TLS connection."""

    def __init__(self, port: int, certificate: str) -> None:
        self._port = port
        self._context = ssl.create_default_context(cafile=certificate)

    async def ask(self, _client: Client) -> None:
        """LostError when it is not served."""
        try:
            async with asyncio.timeout(20):
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", self._port, ssl=self._context, server_hostname="shop.example.com"
                )
                writer.write(b"GET / HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n\r\n")
                status = await reader.readline()
                writer.transport.abort()
        except (OSError, TimeoutError) as error:
            raise LostError(type(error).__name__) from error
        if not status.startswith(b"HTTP/1.1 200 "):
            raise LostError("wrong")


def _descriptors(served: Served) -> int:
    return sum(map(proc.descriptors, served.workers))


async def _back(served: Served, bound: int, began: float) -> float:
    """Seconds from `began` until the workers have no more descriptors than `bound`."""
    while _descriptors(served) > bound and time.monotonic() < began + 30:
        await asyncio.sleep(0.1)
    return time.monotonic() - began
