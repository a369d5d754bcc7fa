"""F12: large bodies to slow readers and slow backends. Memory stays bounded, back-pressure reaches the sender."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tests.faults.stage.client import LostError, read_body, read_head
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, told
from tests.faults.stage.served import Served
from tests.faults.stage.stage import Stage, Watch
from tests.manifests import listener, service, tcp_route

TITLE = "large bodies, slow ends"
GIB = 1 << 30
PERIOD = 65521  # a prime, so that no buffer size hides a piece that is missing
PATTERN = random.Random(12).randbytes(PERIOD) * 8  # a piece may be as long as the gateway's largest chunk, 256 KiB
PIECE = 65536
SLOW = 200_000  # bytes a second of a slow end
PIPE = 1.0  # MiB: a TCP stream's
STREAM = 0.25  # MiB of the gateway's memory for each stream, at most
ALL = 64.0
FAST = 256 << 20


def kernel_buffers() -> float:
    """MiB that the kernel may hold of one stream, on the sockets of two connections."""
    sizes = [Path(f"/proc/sys/net/ipv4/tcp_{way}").read_text().split()[2] for way in ("rmem", "wmem")]
    return 2 * sum(map(int, sizes)) / (1 << 20)


def piece(offset: int, size: int) -> bytes:
    """The bytes of the endless body from an offset on."""
    start = offset % PERIOD
    return PATTERN[start : start + size]


class Source(asyncio.Protocol):
    """A backend that sends as much as it is let: over HTTP what was asked for, over TCP at once. `sent` counts it."""

    def __init__(self, sources: list[Source], *, raw: bool) -> None:
        sources.append(self)
        self._raw = raw
        self._chunked = False
        self._left = GIB
        self._paused = False
        self.sent = 0
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if self._raw:
            self._go_on()

    def data_received(self, data: bytes) -> None:
        if self._raw or not data.endswith(b"\r\n\r\n"):
            return
        self._chunked = b"/chunked" in data
        self._left = FAST if b"/fast" in data else GIB
        framing = b"transfer-encoding: chunked" if self._chunked else b"content-length: %d" % self._left
        self.transport.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % framing)
        self._go_on()

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._paused = True

    def _go_on(self) -> None:
        while self._left and not self._paused:
            data = piece(self.sent, min(PIECE, self._left))
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
            self.sent += len(data)
            self._left -= len(data)
        if not self._left and self._chunked:
            self._chunked = False
            self.transport.write(b"0\r\n\r\n")


class Sink:
    """A backend that reads a body slowly. `read` counts the bytes, `wrong` the pieces that differ."""

    def __init__(self) -> None:
        self.read = 0
        self.wrong = 0
        self.serving = 0
        self.over = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.serving += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            offset = 0
            while not self.over and (data := await reader.read(SLOW // 10)):
                self.wrong += data != piece(offset, len(data))
                offset += len(data)
                self.read += len(data)
                await asyncio.sleep(len(data) / SLOW)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self.serving -= 1

    async def end(self) -> None:
        """Read no more."""
        self.over = True
        while self.serving:
            await asyncio.sleep(0.01)


class Reader:
    """A client that reads slowly and compares."""

    def __init__(self) -> None:
        self.read = 0
        self.wrong = 0
        self.cut = 0

    async def download(self, port: int, path: str, seconds: float) -> None:
        """An HTTP response, for a while."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=PIECE // 2)
        writer.write(b"GET %b HTTP/1.1\r\nhost: a\r\n\r\n" % path.encode())
        until = time.monotonic() + seconds
        try:
            head = await read_head(reader)
            async for data in read_body(reader, head):
                await self._take(data)
                if time.monotonic() > until:
                    break
        except LostError:
            self.cut += 1
        finally:
            writer.transport.abort()

    async def stream(self, port: int, seconds: float) -> None:
        """A TCP stream, for a while."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=PIECE // 2)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            data = await reader.read(SLOW // 10)
            self.cut += not data
            await self._take(data)
        writer.transport.abort()

    async def _take(self, data: bytes) -> None:
        self.wrong += data != piece(self.read, len(data))
        self.read += len(data)
        await asyncio.sleep(len(data) / SLOW)


async def run(stage: Stage) -> list[Figure]:
    sources: list[Source] = []
    sink = Sink()
    loop = asyncio.get_running_loop()
    http = await loop.create_server(lambda: Source(sources, raw=False), "127.0.0.1", 0, backlog=1024)
    raw = await loop.create_server(lambda: Source(sources, raw=True), "127.0.0.1", 0, backlog=1024)
    slow = await asyncio.start_server(sink.serve, "127.0.0.1", 0, limit=PIECE // 2, backlog=1024)
    ports = [server.sockets[0].getsockname()[1] for server in (http, raw, slow)]
    stage.site({"/": [ports[0]], "/upload": [ports[2]]}, listener("tcp", 90, "TCP"))
    stage.folder.write("tcp.yaml", tcp_route("raw", {"raw": 1}, "tcp"), *service("raw", ports[1]))
    served = await stage.gateway(ports=(80, 90))
    count, seconds = stage.count(100, 20), stage.pace(8.0, 2.0)
    try:
        return [
            *await _downloads(served, sources, count, seconds, "HTTP downloads", _http(served.port, seconds)),
            *await _downloads(served, sources, count, seconds, "TCP streams", _tcp(served.ports[90], seconds)),
            *await _uploads(served, sink, count, seconds),
            *await _fast(served),
        ]
    finally:
        for server in (http, raw, slow):
            server.close()


Read = Callable[[Reader, int], Awaitable[None]]


def _http(port: int, seconds: float) -> Read:
    return lambda reader, number: reader.download(port, "/chunked" if number % 2 else "/length", seconds)


def _tcp(port: int, seconds: float) -> Read:
    return lambda reader, _: reader.stream(port, seconds)


async def _downloads(
    served: Served, sources: list[Source], count: int, seconds: float, what: str, read: Read
) -> list[Figure]:
    sources.clear()
    readers = [Reader() for _ in range(count)]
    async with Watch(served) as watch:
        await asyncio.gather(*(read(reader, number) for number, reader in enumerate(readers)))
        ahead = (sum(source.sent for source in sources) - sum(reader.read for reader in readers)) / count
    return [
        told(f"{what}: at {SLOW / 1000:g} kB/s, {seconds:g} s", count),
        *_bounds(what, watch, count, ahead),
        exactly(f"{what}: pieces wrong, or cut", sum(reader.wrong + reader.cut for reader in readers), 0),
        at_least(f"{what}: read", sum(reader.read for reader in readers) / 1e6, count * SLOW * seconds / 2e6, "MB"),
    ]


def _bounds(what: str, watch: Watch, count: int, ahead: float) -> list[Figure]:
    return [
        at_most(f"{what}: growth of the workers", watch.growth, min(ALL, STREAM * count), "MiB"),
        at_most(f"{what}: sender ahead of the reader, each", ahead / (1 << 20), kernel_buffers() + PIPE, "MiB"),
    ]


async def _uploads(served: Served, sink: Sink, count: int, seconds: float) -> list[Figure]:
    sent = [0] * count
    async with Watch(served) as watch:
        await asyncio.gather(*(_upload(served.port, sent, number, seconds) for number in range(count)))
        ahead = (sum(sent) - sink.read) / count
    await sink.end()
    return [
        told(f"uploads: a backend that reads {SLOW / 1000:g} kB/s, {seconds:g} s", count),
        *_bounds("uploads", watch, count, ahead),
        exactly("uploads: pieces wrong", sink.wrong, 0),
        at_least("uploads: read by the backend", sink.read / 1e6, count * SLOW * seconds / 2e6, "MB"),
    ]


async def _upload(port: int, sent: list[int], number: int, seconds: float) -> None:
    """Send as much as one is let."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.transport.set_write_buffer_limits(high=PIECE)
    writer.write(b"PUT /upload HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % GIB)
    try:
        async with asyncio.timeout(seconds):
            while sent[number] < GIB:
                data = piece(sent[number], PIECE)
                writer.write(data)
                sent[number] += len(data)
                await writer.drain()
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()


async def _fast(served: Served) -> list[Figure]:
    """One body as fast as it goes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, limit=4 * PIECE)
    writer.write(b"GET /fast HTTP/1.1\r\nhost: a\r\n\r\n")
    read = wrong = 0
    began = time.monotonic()
    async with Watch(served) as watch:
        head = await read_head(reader)
        async for data in read_body(reader, head):
            wrong += data != piece(read, len(data))
            read += len(data)
    writer.transport.abort()
    return [
        exactly("one fast download: bytes missing", FAST - read, 0),
        exactly("one fast download: pieces wrong", wrong, 0),
        at_most("one fast download: growth of the workers", watch.growth, 8.0, "MiB"),
        told("one fast download", FAST / 1e6 / (time.monotonic() - began), "MB/s"),
    ]
