"""Memory for a connection that does nothing: as it stands after the greeting of its protocol, and after one request.

Each proxy is started anew for each protocol, so that no memory which an earlier one gave back is used again.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import hpack

from benchmarks import client
from benchmarks.driver import Proxy, Setting, started
from benchmarks.outcome import Target
from benchmarks.peers.peer import Peer

PROTOCOLS = {
    "http": "HTTP/1.1",
    "https": "HTTP/1.1 over TLS 1.3",
    "h2c": "HTTP/2",
    "h2": "HTTP/2 over TLS 1.3",
}
THREADS = 4
QUIET = 0.3  # seconds until what the last connection left to do is done
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = struct.Struct(">HBBBL")  # length in two parts, type, flags, stream (RFC 9113 section 4.1)
HEADERS, SETTINGS = 1, 4
END, ACK = 0x1, 0x1
REQUEST = f"GET /api/ HTTP/1.1\r\nHost: {client.HOST}\r\n\r\n".encode()


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(payload) >> 8, len(payload) & 0xFF, kind, flags, stream) + payload


class Frames:
    """The frames that arrive on a connection, one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def next(self) -> tuple[int, int]:
        """Kind and flags. ConnectionError at the end."""
        high, low, kind, flags, _ = HEAD.unpack(self._take(HEAD.size))
        self._take(high << 8 | low)
        return kind, flags

    def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not (data := self._connection.recv(65536)):
                raise ConnectionError("closed")
            self._buffer += data
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken


def greet(connection: socket.socket) -> None:
    """Preface and SETTINGS; the other side's SETTINGS are acknowledged, and ours by it (RFC 9113 section 3.4)."""
    connection.sendall(PREFACE + frame(SETTINGS, 0, 0))
    frames = Frames(connection)
    wanted = {0, ACK}
    while wanted:
        kind, flags = frames.next()
        if kind == SETTINGS:
            wanted.discard(flags & ACK)
            if not flags & ACK:
                connection.sendall(frame(SETTINGS, ACK, 0))


def request(connection: socket.socket) -> None:
    """One request of HTTP/1.1, to the end of its answer."""
    connection.sendall(REQUEST)
    if client.Answer(connection).read()[0] != 200:
        raise ConnectionError("wrong answer")


def block(*, tls: bool) -> bytes:
    """The header block of the first request on a connection."""
    fields = {":method": "GET", ":scheme": "https" if tls else "http", ":authority": client.HOST, ":path": "/api/"}
    return hpack.Encoder().encode(fields.items())


def request2(connection: socket.socket, head: bytes) -> None:
    """One request of HTTP/2, to the end of its answer."""
    connection.sendall(frame(HEADERS, END | 0x4, 1, head))
    frames = Frames(connection)
    while True:
        kind, flags = frames.next()
        if kind in (0, HEADERS) and flags & END:
            return


def opened(target: Target) -> socket.socket:
    """A connection that has said hello. It is reset in the end, so that its port is free again at once."""
    connection = client.connect(target)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if target.http2:
        greet(connection)
    return connection


def each(work: Callable[[socket.socket], None], connections: Sequence[socket.socket]) -> int:
    """`work` on all, some at a time; how many failed."""

    def one(connection: socket.socket) -> bool:
        try:
            work(connection)
        except OSError:
            return False
        return True

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, connections)).count(False)


@contextmanager
def many(target: Target, count: int) -> Iterator[list[socket.socket]]:
    """So many connections; those that fail are left out."""
    made: list[socket.socket] = []

    def open_one(_: int) -> None:
        try:
            made.append(opened(target))
        except OSError:
            return

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(open_one, range(count)))
        yield made
    finally:
        for connection in made:
            connection.close()


def standing(connections: Sequence[socket.socket]) -> int:
    """How many were not closed by the other side."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLRDHUP)
    return len(connections) - len(poll.poll(0))


def measure(setting: Setting) -> Iterator[dict[str, str | float]]:
    """One row for each protocol and proxy."""
    for layer in PROTOCOLS:
        for peer in setting.peers:
            if layer in peer.layers:
                yield row(setting, peer, layer)


def row(setting: Setting, peer: Peer, layer: str) -> dict[str, str | float]:
    """Bytes for a connection, idle and after a request; `errors` are connections that did not last."""
    own = peer is setting.peers[0]
    count = setting.effort.connections if own else setting.effort.connections_of_peers
    here = started([peer], frozenset({layer}), 5, setting.effort, access_log=setting.access_log, connections=count)
    with here as proxies:
        proxy = proxies[0]
        target = proxy.port(layer)
        before = resident(proxy)
        with many(target, count) as connections:
            idle = resident(proxy)
            head = block(tls=target.tls)
            failed = each((lambda one: request2(one, head)) if target.http2 else request, connections)
            used = resident(proxy)
            lost = count - standing(connections)
    return {
        "protocol": PROTOCOLS[layer],
        "proxy": peer.name,
        "connections": count,
        "idle_bytes": (idle - before) / count,
        "used_bytes": (used - before) / count,
        "errors": max(failed, lost),
    }


def resident(proxy: Proxy) -> int:
    """Memory of the serving processes, when they have come to rest."""
    time.sleep(QUIET)
    return proxy.running.read().resident
