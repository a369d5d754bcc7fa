"""appProtocol of a Service's port: what it asks to be spoken, and which routes can (KEP-3726, GEP-1911).

What a port asks for is spoken there, or nothing is: a port that wants TLS is never asked in clear text, and one whose
protocol is unknown not in one that was guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Spoken = Literal["http1", "h2c", "ws"]


class Refusal(NamedTuple):
    """Why no request can go to a port, and what to write instead."""

    message: str
    hint: str


# The three names of Kubernetes, those of IANA for HTTP, and the ones without prefix that other gateways read alike.
# Names are compared without regard to case: GKE writes HTTP and HTTPS. gRPC is HTTP/2 (its protocol document).
_HTTP: Mapping[str, Spoken] = {
    "": "http1", "http": "http1", "http-alt": "http1", "www": "http1", "www-http": "http1", "grpc-web": "http1",
    "kubernetes.io/h2c": "h2c", "h2c": "h2c", "grpc": "h2c",
    "kubernetes.io/ws": "ws", "ws": "ws",
}  # fmt: skip
_NO_CALLS = frozenset({"ws", "kubernetes.io/ws", "grpc-web"})
# http2 is HTTP/2 over TLS to some gateways and in clear text to others.
_UNCLEAR = frozenset({"http2", "h2"})
_TLS = {
    "https": "http", "tls": "http", "ssl": "http", "kubernetes.io/https": "http",
    "kubernetes.io/wss": "kubernetes.io/ws", "wss": "kubernetes.io/ws",
    "kubernetes.io/h2": "kubernetes.io/h2c", "grpcs": "kubernetes.io/h2c",
}  # fmt: skip


def spoken(port: Any) -> Spoken:
    """What to speak on a Service port that nothing forbids (None for an ExternalName without ports)."""
    return _HTTP.get(_name(port), "http1")


def wants_tls(port: Any) -> bool:
    """Whether a policy that sets up TLS would give the port what it asks for."""
    return _name(port) in _TLS or _name(port) in _UNCLEAR


def refusal(port: Any, calls: bool) -> Refusal | None:
    """Why HTTP requests, or gRPC `calls`, cannot go to a Service port; None where they can."""
    name = _name(port)
    if name in _HTTP and not (calls and name in _NO_CALLS):
        return None
    written = f"appProtocol {port.app_protocol}"
    clear = "kubernetes.io/h2c" if calls else _TLS.get(name, "http")
    if name in _TLS:
        message = f"{written} asks for TLS, which is not served yet: requests are refused, not sent in clear text"
        return Refusal(message, f"write `appProtocol: {clear}` if clear text is spoken there")
    if name in _NO_CALLS:
        return Refusal(f"{written} carries no gRPC", "use a port that speaks HTTP/2")
    if name in _UNCLEAR:
        message = f"{written} does not say whether TLS is meant: requests are refused"
        return Refusal(message, "write `appProtocol: kubernetes.io/h2c` if HTTP/2 in clear text is spoken there")
    message = f"{written} is unknown: requests are refused, for nothing is spoken on a guess"
    return Refusal(message, f"write `appProtocol: {clear}` if it is that, or leave the field out")


def _name(port: Any) -> str:
    return "" if port is None or not port.app_protocol else str(port.app_protocol).lower()
