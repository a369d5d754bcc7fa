"""Resets: the end of a connection that must not look like the end of a complete message."""

from __future__ import annotations

import socket
from typing import Any

_LINGER = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger: on, 0 seconds


def reset_at_close(sock: socket.socket) -> None:
    """Let the close of this socket throw away what was not sent, and send RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)


def reset(transport: Any) -> None:
    """Cut a connection that is not closed yet, so that its peer is told: by RST where there is a socket. A stream
    of HTTP/2 has none, and its abort says so.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None:
        reset_at_close(sock)
    transport.abort()
