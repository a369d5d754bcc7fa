"""A backend that writes down every byte it gets, and answers by the path that it is asked for."""

from __future__ import annotations

import re
import socket
import threading
from types import TracebackType
from typing import Self

HEAD = re.compile(rb"([A-Z]+) (\S+) HTTP/1\.1\r\n(.*?)\r\n\r\n", re.DOTALL)
LARGE = 30_000_000
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Recorder:
    """Listens on a port of its own. `bytes` is everything that came, over all connections; `requests` the heads.

    /mute is never answered, /large with 30 MB, /bytes?N with N bytes, /cut with half of a body, /twice with a second
    response that nobody asked for, /reset with a close in place of an answer; everything else with "ok".
    """

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.requests: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = int(self._server.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close every connection that is open now."""
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it was quicker
                continue

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                self._converse(connection)
            except OSError:
                pass
        self._open.discard(connection)

    def _converse(self, connection: socket.socket) -> None:
        waiting = b""
        while data := connection.recv(65536):
            with self._lock:
                self.bytes += data
            waiting += data
            while (end := whole(waiting)) > 0:
                request, waiting = waiting[:end], waiting[end:]
                with self._lock:
                    self.requests.append(request)
                if not answer(connection, request):
                    return


def whole(data: bytes) -> int:
    """The length of the request that `data` begins with; 0 while it is incomplete."""
    head = HEAD.match(data)
    if head is None:
        return 0
    if b"transfer-encoding: chunked" in head[3]:
        end = data.find(b"0\r\n\r\n", head.end())
        return 0 if end < 0 else end + 5
    length = re.search(rb"content-length: ([0-9]+)", head[3])
    end = head.end() + (int(length[1]) if length else 0)
    return end if len(data) >= end else 0


def answer(connection: socket.socket, request: bytes) -> bool:
    """Answer by the path; False when the connection is to be closed."""
    path, _, query = request.split(b" ", 2)[1].partition(b"?")
    if path == b"/mute":
        return True
    if path == b"/reset":
        return False
    if path == b"/cut":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")
        return False
    if path in (b"/large", b"/bytes"):
        length = int(query or LARGE)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length)
        connection.sendall(b"x" * length)
        return True
    connection.sendall(OK * 2 if path == b"/twice" else OK)
    return True
