"""The settings of Gateways as the traffic path reads them: limits that are none, and Gateways that share a port."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from gatewayd.routing.snapshot import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

_ENDLESS = 1 << 30  # seconds, bytes, connections: more than any there will be
# Zero is not "no limit" here.
_LITERAL = frozenset({"body_grace", "body_min_rate", "access_log", "trusted_proxies", "session_key"})
# What counts before it is known which listener a request is for.
_SHARED = (
    "head_bytes",
    "request_line_bytes",
    "fields",
    "head_timeout",
    "tls_handshake_timeout",
    "idle_timeout",
    "connection_lifetime",
    "write_timeout",
    "trailer_bytes",
    "buffer_bytes",
    "access_log",
)


def lift_zeros(settings: Settings) -> Settings:
    """The settings with every limit of 0 (none) so high that it never applies: no user of a limit must ask."""
    names = [name for name in settings.__struct_fields__ if name not in _LITERAL]
    zeros = {name: _ENDLESS for name in names if not getattr(settings, name)}
    return msgspec.structs.replace(settings, **zeros) if zeros else settings


def shared_settings(settings: Iterable[Settings]) -> Settings:
    """The settings of a port from those of its listeners: where they differ, and no listener is known yet, the most
    lenient counts, so that one Gateway's limits refuse nothing that is for another.
    """
    first, *others = dict.fromkeys(settings)
    if not others:
        return first
    most = {name: max(getattr(one, name) for one in (first, *others)) for name in _SHARED}
    proxies = dict.fromkeys(cidr for one in (first, *others) for cidr in one.trusted_proxies)
    return msgspec.structs.replace(first, **most, trusted_proxies=tuple(proxies))
