"""Ports: what the connections of one socket address share. The table is one reference that a new snapshot replaces."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import msgspec

from gatewayd.routing.snapshot import PortPlan, Settings
from gatewayd.wire.head import HeadLimits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.observe.counters import RuleCounters
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.http1.downstream import Downstream1
    from gatewayd.proxy.http2.downstream import Downstream2
    from gatewayd.proxy.runtime import Runtime
    from gatewayd.routing.table import ListenerTable, PortTable

_SCHEMES = {"http": b"http", "https": b"https", "tcp": b"tcp"}


_ENDLESS = 1 << 30  # seconds, bytes, connections: more than any there will be
_LITERAL = frozenset(
    {"body_grace", "body_min_rate", "access_log", "trusted_proxies", "session_key"}
)  # zero is not "no limit" here


def lift_zeros(settings: Settings) -> Settings:
    """The settings with every limit of 0 (none) so high that it never applies: no user of a limit must ask."""
    names = [name for name in settings.__struct_fields__ if name not in _LITERAL]
    zeros = {name: _ENDLESS for name in names if not getattr(settings, name)}
    return msgspec.structs.replace(settings, **zeros) if zeros else settings


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


class Port:
    """One listening address in this worker. `settings` are those of its listeners, or what they share; `mixed` says
    that they do not all trust the same proxies.
    """

    __slots__ = ("_networks", "label", "limits", "mixed", "plan", "runtime", "scheme", "settings", "table")

    table: PortTable
    plan: PortPlan
    settings: Settings
    mixed: bool
    limits: HeadLimits

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    def use(self, table: PortTable, listeners: Iterable[Settings]) -> None:
        """Serve this table from the next request on. `listeners`: the settings of each, at least one."""
        every = list(listeners)
        self.table = table
        self.plan = table.plan
        self.label = f'"listener":"{table.plan.key}",'.encode()  # in access lines, where no listener is known
        self.settings = settings = shared_settings(every)
        self.mixed = len({one.trusted_proxies for one in every}) > 1
        self.scheme = _SCHEMES[table.plan.transport]
        self.limits = HeadLimits(settings.head_bytes, settings.request_line_bytes, settings.fields)
        self._networks = _networks(settings.trusted_proxies)

    def missed(self, listener: ListenerTable | None) -> RuleCounters:
        """The counters of requests that no rule took."""
        return self.runtime.rule_counters(self.plan.key if listener is None else listener.key, "", "")

    def describe_client(self, peer: Any) -> tuple[bytes, bool]:
        """(the client's address as text, whether its word on X-Forwarded-* counts, if only for some listener)."""
        if not isinstance(peer, tuple):
            return b"unknown", False
        text = _plain(peer[0])
        if not self._networks:
            return text.encode(), False
        address = ip_address(text.partition("%")[0])
        return text.encode(), any(address in network for network in self._networks)

    def trusts(self, client: bytes, settings: Settings) -> bool:
        """Whether the word of a client counts for a listener with these settings; asked where ports are `mixed`."""
        address = ip_address(client.decode().partition("%")[0])
        return any(address in network for network in _networks(settings.trusted_proxies))

    def client_of(self, exchange: Exchange) -> bytes:
        """Who asked through a proxy that is trusted: the last address of X-Forwarded-For that is not trusted itself.
        What is no address ends the search, so that nothing else gets into the access log; nor is one with a zone, which
        means nothing here, and whose text may be any (RFC 4007 section 11).
        """
        client = exchange.client
        networks = _networks(exchange.settings.trusted_proxies)
        for part in reversed((exchange.head.value(b"x-forwarded-for") or b"").split(b",")):
            try:
                address = ip_address(_plain(part.strip(b" \t").decode("latin-1")))
            except ValueError:
                break
            if b"%" in part:
                break
            client = str(address).encode()
            if not any(address in network for network in networks):
                break
        return client

    def describe_trusted(self, down: Downstream1 | Downstream2, exchange: Exchange) -> bytes:
        """What the backend is told about a client behind a proxy that is trusted: its word, and the proxy's address."""
        head = exchange.head
        said = head.specials
        chain = said.get(b"x-forwarded-for")
        exchange.request_id = said.get(b"x-request-id") or self.runtime.new_request_id()
        lines = [
            b"\r\nx-forwarded-for: " + (down.client if not chain else chain + b", " + down.client),
            b"\r\nx-forwarded-proto: " + (said.get(b"x-forwarded-proto") or self.scheme),
            b"\r\nx-forwarded-host: " + (said.get(b"x-forwarded-host") or head.authority),
            b"\r\nx-request-id: " + exchange.request_id,
        ]
        lines += [
            b"\r\n%b: %b" % (name, value)
            for name, value in said.items()
            if name.startswith((b"x-forwarded-", b"forwarded", b"x-real-ip")) and name not in _REWRITTEN
        ]
        return b"".join(lines)


@lru_cache(maxsize=256)
def _networks(proxies: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(ip_network(cidr, strict=False) for cidr in proxies)


_REWRITTEN = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})


def place_of(transport: Any) -> tuple[bytes, bytes]:
    """(host, authority) of the address that a connection came to: what an HTTP/1.0 request without a host is for. No
    route has an address for its hostname, so it takes what serves any host (RFC 9112 section 3.3).
    """
    host, port = transport.get_extra_info("sockname")[:2]
    host = _plain(host).partition("%")[0]
    named = f"[{host}]" if ":" in host else host
    return named.encode(), f"{named}:{port}".encode()


def _plain(address: str) -> str:
    """An IPv4 address that an IPv6 socket shows, as itself."""
    return address.removeprefix("::ffff:") if "." in address else address
