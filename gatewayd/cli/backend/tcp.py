"""The raw echo: every byte goes back, in order, until the peer has closed its half and has read all."""

from __future__ import annotations

import asyncio
from typing import cast

from gatewayd.cli.backend.opened import Opened


class TcpEcho(asyncio.Protocol):
    """One connection. Reading stops while the peer does not read, so memory stays bounded."""

    def __init__(self, opened: Opened, greeting: bytes = b"") -> None:
        self._opened = opened
        self._greeting = greeting
        self._transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the greeting, if there is one."""
        self._transport = cast("asyncio.Transport", transport)
        self._opened.add(self._transport)
        if self._greeting:
            self._transport.write(self._greeting)

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self._transport.write(data)

    def eof_received(self) -> bool:
        """Close our half behind the last byte; the transport closes itself when both halves are closed."""
        return False

    def pause_writing(self) -> None:
        """The peer does not read: stop reading from it."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The peer reads again."""
        self._transport.resume_reading()
