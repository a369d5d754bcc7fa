"""Ports: what the connections of one socket address share. The table is one reference that a new snapshot replaces."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import msgspec

from gatewayd.routing.snapshot import PortPlan, Settings
from gatewayd.wire.head import HeadLimits

if TYPE_CHECKING:
    from gatewayd.observe.counters import RuleCounters
    from gatewayd.proxy.downstream1 import Downstream1
    from gatewayd.proxy.downstream2 import Downstream2
    from gatewayd.proxy.exchange import Exchange
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


class Port:
    """One listening address in this worker."""

    __slots__ = ("_networks", "limits", "plan", "runtime", "scheme", "settings", "table")

    table: PortTable
    plan: PortPlan
    settings: Settings
    limits: HeadLimits

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._networks: tuple[Any, ...] = ()

    def use(self, table: PortTable, settings: Settings) -> None:
        """Serve this table from the next request on."""
        self.table = table
        self.plan = table.plan
        self.settings = settings
        self.scheme = _SCHEMES[table.plan.transport]
        self.limits = HeadLimits(settings.head_bytes, settings.request_line_bytes, settings.fields)
        self._networks = tuple(ip_network(cidr, strict=False) for cidr in settings.trusted_proxies)

    def missed(self, listener: ListenerTable | None) -> RuleCounters:
        """The counters of requests that no rule took."""
        return self.runtime.rule_counters(self.plan.key if listener is None else listener.key, "", "")

    def describe_client(self, peer: Any) -> tuple[bytes, bool]:
        """(the client's address as text, whether its word on X-Forwarded-* counts)."""
        if not isinstance(peer, tuple):
            return b"unknown", False
        text = _plain(peer[0])
        if not self._networks:
            return text.encode(), False
        address = ip_address(text.partition("%")[0])
        return text.encode(), any(address in network for network in self._networks)

    def client_of(self, exchange: Exchange) -> bytes:
        """Who asked through a proxy that is trusted: the last address of X-Forwarded-For that is not trusted itself.
        What is no address ends the search, so that nothing else gets into the access log.
        """
        client = exchange.client
        for part in reversed((exchange.head.value(b"x-forwarded-for") or b"").split(b",")):
            try:
                address = ip_address(_plain(part.strip(b" \t").decode("latin-1")))
            except ValueError:
                break
            client = str(address).encode()
            if not any(address in network for network in self._networks):
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
