"""A backend that fails as its requests ask for: the last part of a path says how the first so many attempts end.

/a/2x500: two answers of status 500, then 200; /b/1xreset: one reset instead of an answer, then 200; /c/9xmute: nine
times nothing at all; /d: 200.
"""

from __future__ import annotations

import socket
import socketserver
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

RESET = struct.pack("ii", 1, 0)


class _Connection(socketserver.StreamRequestHandler):
    server: Fragile

    def handle(self) -> None:
        while (line := self.rfile.readline()) not in {b"", b"\r\n"}:
            length = 0
            while (field := self.rfile.readline()) != b"\r\n":
                if field.lower().startswith(b"content-length:"):
                    length = int(field[15:])
            body = self.rfile.read(length)
            path = line.split()[1].decode()
            if not self._answer(path, body):
                return

    def _answer(self, path: str, body: bytes) -> bool:
        attempt = self.server.count(path, body)
        times, _, failure = path.rpartition("/")[2].partition("x")
        if not failure or attempt > int(times):
            self._send(200, f"{attempt}")
        elif failure == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            return False
        elif failure == "mute":
            self.rfile.read(1)  # until the gateway leaves
            return False
        else:
            self._send(int(failure), f"{attempt}")
        return True

    def _send(self, status: int, text: str) -> None:
        self.wfile.write(f"HTTP/1.1 {status} x\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())


class Fragile(socketserver.ThreadingTCPServer):
    """`attempts` counts the requests for each path, `bodies` keeps what came with them."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port = int(self.server_address[1])
        self.attempts: Counter[str] = Counter()
        self.bodies: dict[str, list[bytes]] = {}
        self._lock = threading.Lock()

    def count(self, path: str, body: bytes) -> int:
        """The number of this attempt, from 1."""
        with self._lock:
            self.attempts[path] += 1
            self.bodies.setdefault(path, []).append(body)
            return self.attempts[path]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A gateway may leave at any moment."""


@contextmanager
def fragile() -> Iterator[Fragile]:
    """A backend that serves until the end of the block."""
    with Fragile() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
