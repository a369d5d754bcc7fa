"""Endpoints: one address that serves a backend, and the connections kept open to it."""

from __future__ import annotations

from typing import Protocol


class Idle(Protocol):
    """A connection that waits for its next exchange."""

    def close(self) -> None:
        """Close it; nothing is in flight."""


class Endpoint:
    """One address of a backend. `active` counts exchanges in flight, `open` connections (also those being made);
    `failures` connects and `unanswered` requests that failed in a row, since when it was last left out (`doubted_at`).
    To one that is `gone` no request goes any more; connections are `kept` for further requests while it takes new
    clients.

    `idle` is a dict used as an ordered set: the newest is taken first (it is warm, and the oldest can expire), and one
    that died is removed in constant time.
    """

    __slots__ = (
        "active",
        "address",
        "doubted_at",
        "ejected_until",
        "failures",
        "gone",
        "host",
        "idle",
        "kept",
        "label",
        "open",
        "port",
        "unanswered",
    )

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.address = (host, port)
        self.label = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode()
        self.active = 0
        self.open = 0
        self.failures = self.unanswered = 0
        self.ejected_until = self.doubted_at = 0.0
        self.gone = False
        self.kept = True
        self.idle: dict[Idle, None] = {}

    def __repr__(self) -> str:
        return f"<Endpoint {self.label.decode()} {self.active} active, {len(self.idle)} idle, {self.open} open>"

    def close_idle(self) -> None:
        """Close the connections that wait, because the endpoint is gone or the worker drains."""
        for connection in list(self.idle):
            connection.close()
        self.idle.clear()
