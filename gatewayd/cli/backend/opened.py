"""What clients hold open at the echo backend: it ends with the process, which uvloop would keep alive for it."""

from __future__ import annotations

import asyncio

_FEW = 64


class Opened:
    """The transports of all connections. Those that closed are forgotten whenever as many were added as are open."""

    def __init__(self) -> None:
        self._transports: list[asyncio.Transport] = []
        self._enough = _FEW

    def add(self, transport: asyncio.Transport) -> None:
        """A client has connected."""
        self._transports.append(transport)
        if len(self._transports) > self._enough:
            self._transports = [one for one in self._transports if not one.is_closing()]
            self._enough = 2 * len(self._transports) + _FEW

    def abort(self) -> None:
        """Close them all at once."""
        for transport in self._transports:
            transport.abort()
