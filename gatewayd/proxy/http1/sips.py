"""Reading a long body in sips: what one read may bring is bounded, so that a slow receiver costs a bounded memory.

uvloop gives a protocol whatever a read brought, up to a quarter of a MiB as one object. That is right for heads and for
short bodies. Once a read was long, the connection takes its bytes through a buffer that all connections of the worker
share, until its exchange is over.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from typing import Any

SIP = 65536
_BUFFER = memoryview(bytearray(SIP))  # no more than one connection reads at a time


def unread(transport: Any) -> int:
    """How many bytes came that were not read yet; 0 where that cannot be known."""
    sock = transport.get_extra_info("socket")
    if sock is None:
        return 0
    try:
        found = fcntl.ioctl(sock.fileno(), termios.FIONREAD, bytes(4))
    except (OSError, ValueError):  # closed already
        return 0
    return int(struct.unpack("i", found)[0])


class Sips(asyncio.BufferedProtocol):
    """Stands before a protocol and passes on all that happens."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the next read goes to."""
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """So much was read."""
        self._owner.data_received(bytes(_BUFFER[:nbytes]))

    def eof_received(self) -> bool:
        """As the owner does."""
        return bool(self._owner.eof_received())

    def connection_lost(self, error: Exception | None) -> None:
        """As the owner does."""
        self._owner.connection_lost(error)

    def pause_writing(self) -> None:
        """As the owner does."""
        self._owner.pause_writing()

    def resume_writing(self) -> None:
        """As the owner does."""
        self._owner.resume_writing()
