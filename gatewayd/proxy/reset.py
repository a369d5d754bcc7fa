"""Resets: the end of a connection that must not look like the end of a complete message."""

from __future__ import annotations

import socket

_LINGER = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # struct linger: on, 0 seconds


def reset_at_close(sock: socket.socket) -> None:
    """Let the close of this socket throw away what was not sent, and send RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
