"""XBackend (GEP-4894): what is spoken to it, for which kinds of routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

Spoken = Literal["http1", "h2c"]

# spec.protocol, by what a kind of route sends. In clear text there is nothing to negotiate a version with, so HTTP is
# HTTP/1.1 unless the route needs more, and HTTP2 is H2C. MCP travels in HTTP messages, which pass as they are. A stream
# of bytes is passed on whatever it says; nothing here takes datagrams.
_HTTP: Mapping[str | None, Spoken] = {
    None: "http1", "HTTP": "http1", "HTTP11": "http1", "MCP": "http1", "HTTP2": "h2c", "H2C": "h2c",
}  # fmt: skip
_GRPC: Mapping[str | None, Spoken] = {None: "h2c", "HTTP": "h2c", "HTTP2": "h2c", "H2C": "h2c"}
_TCP: Mapping[str | None, Spoken] = {**_HTTP, "TCP": "http1"}
_SPOKEN: Mapping[str, Mapping[str | None, Spoken]] = {"http": _HTTP, "grpc": _GRPC, "tcp": _TCP, "udp": {}}


def spoken(wanted: Any, traffic: str) -> Spoken | None:
    """What to speak to an XBackend with the spec `wanted`, or None where it cannot take such traffic."""
    return _SPOKEN[traffic].get(wanted.protocol)


def protocol_of(wanted: Any) -> Spoken:
    """What it speaks unless the route needs more."""
    return _TCP[wanted.protocol]


def needs_tls(wanted: Any) -> str:
    """The mode of TLS that it asks for, "" for none."""
    return "" if wanted.tls is None or wanted.tls.mode == "None" else str(wanted.tls.mode)
