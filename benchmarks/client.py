"""Loads that wrk cannot make: bodies in large pieces, full TLS handshakes; and plain requests where wrk is missing.

Blocking sockets and a few threads, which spend their time in the kernel: enough to keep a proxy busy with bodies.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from benchmarks.outcome import GIB, Outcome, Target, percentiles
from benchmarks.site import LOOPBACK

HOST = "localhost"
PIECE = 256 * 1024
TIMEOUT = 60.0

BROWSER = (
    "GET /api/{number} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n"
    "Accept-Language: en\r\nCookie: session={number}\r\nX-Request-Id: {number}\r\n\r\n"
)


def context(*protocols: str) -> ssl.SSLContext:
    """TLS 1.3 only; the certificate is self-signed and made for the run. Sessions are never resumed.

    `protocols` is what ALPN offers; without any, it is not used, as by wrk, and HTTP/1.1 is spoken.
    """
    made = ssl.create_default_context()
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    if protocols:
        made.set_alpn_protocols(protocols)
    return made


CONTEXTS = {False: context(), True: context("h2")}  # by whether HTTP/2 is spoken


def connect(target: Target) -> socket.socket:
    plain = socket.create_connection((LOOPBACK, target.port), timeout=TIMEOUT)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if not target.tls:
        return plain
    secure = CONTEXTS[target.http2].wrap_socket(plain, server_hostname=HOST)
    if target.http2 and secure.selected_alpn_protocol() != "h2":
        secure.close()
        raise ConnectionError("ALPN does not select h2")
    return secure


class Answer:
    """Reads one answer after the other from a connection; keeps no body.

    Needs a Content-Length, except with 204, which has none (RFC 9110 section 8.6).
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.buffer = memoryview(bytearray(PIECE))

    def read(self) -> tuple[int, int]:
        """Status and length of the body, when the body has been read."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.connection.recv(65536)
            if not piece:
                raise ConnectionError("closed before an answer")
            data += piece
        head, _, start = data.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        status = int(lines[0].split()[1])
        length = 0 if status == 204 else next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))
        self.drain(length - len(start))
        return status, length

    def drain(self, left: int) -> None:
        while left > 0:
            got = self.connection.recv_into(self.buffer, min(left, PIECE))
            if not got:
                raise ConnectionError(f"closed {left} bytes early")
            left -= got


def get(target: Target, path: str, host: str = HOST) -> tuple[int, int]:
    """One request on a connection of its own: status and length of the body."""
    with connect(target) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return Answer(connection).read()


def together(threads: int, work: Callable[[int], int]) -> tuple[int, float, int]:
    """`work(number)` in so many threads: sum of what they return, seconds, and how many failed."""
    done = errors = 0
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work, number) for number in range(threads)]:
            try:
                done += future.result()
            except (OSError, StopIteration, ValueError):
                errors += 1
    return done, time.perf_counter() - started, errors


def download(target: Target, size: int, connections: int, bodies: int) -> Outcome:
    """`bodies` bodies of `size` bytes, one after the other, on each of the connections."""

    def work(_: int) -> int:
        moved = 0
        with connect(target) as connection:
            answer = Answer(connection)
            for _ in range(bodies):
                connection.sendall(f"GET /files/body HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
                if answer.read() != (200, size):
                    raise ValueError("wrong answer")
                moved += size
        return moved

    moved, seconds, errors = together(connections, work)
    return Outcome(count=moved / GIB, seconds=seconds, errors=errors)


def upload(target: Target, size: int, connections: int, bodies: int) -> Outcome:
    """As `download`, the other way: the backend stores each body and answers 201 or 204."""
    piece = memoryview(bytes(PIECE))

    def work(number: int) -> int:
        moved = 0
        with connect(target) as connection:
            answer = Answer(connection)
            head = f"PUT /upload/{number} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {size}\r\n\r\n".encode()
            for _ in range(bodies):
                connection.sendall(head)
                for start in range(0, size, PIECE):
                    connection.sendall(piece[: min(PIECE, size - start)])
                if answer.read()[0] not in (200, 201, 204):
                    raise ValueError("wrong answer")
                moved += size
        return moved

    moved, seconds, errors = together(connections, work)
    return Outcome(count=moved / GIB, seconds=seconds, errors=errors)


def until(seconds: float, threads: int, prepare: Callable[[ExitStack], Callable[[], None]]) -> Outcome:
    """Each thread prepares its work and repeats it until the time is over. Latencies are those of one repetition."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    def repeat(_: int) -> int:
        mine: list[float] = []
        with ExitStack() as stack:
            work = prepare(stack)
            while (before := time.perf_counter()) < end:
                work()
                mine.append(time.perf_counter() - before)
        taken.extend(mine)
        return len(mine)

    done, elapsed, errors = together(threads, repeat)
    p50, p99 = percentiles(second * 1e6 for second in taken)
    return Outcome(count=done, seconds=elapsed, errors=errors, p50=p50, p99=p99)


def handshakes(target: Target, seconds: float) -> Outcome:
    """A new connection with a full handshake for each request."""

    def work() -> None:
        if get(target, "/api/")[0] != 200:
            raise ValueError("wrong answer")

    return until(seconds, 4, lambda _: work)


def requests(target: Target, seconds: float) -> Outcome:
    """Requests on connections that stay open, for machines without wrk."""
    numbers = itertools.count()

    def prepare(stack: ExitStack) -> Callable[[], None]:
        connection = stack.enter_context(connect(target))
        answer = Answer(connection)

        def work() -> None:
            connection.sendall(BROWSER.format(number=next(numbers)).encode())
            if answer.read()[0] != 200:
                raise ValueError("wrong answer")

        return work

    return until(seconds, 8, prepare)
