"""Ports: what the connections of one socket address share. The table is one reference that a new snapshot replaces."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.addresses import networks_of, plain
from gatewayd.proxy.settings import shared_settings
from gatewayd.routing.snapshot import PortPlan, Settings
from gatewayd.wire.head import HeadLimits

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.observe.counters import RuleCounters
    from gatewayd.proxy.runtime import Runtime
    from gatewayd.routing.table import ListenerTable, PortTable

_SCHEMES = {"http": b"http", "https": b"https", "tls": b"tls", "tcp": b"tcp"}


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
        self._networks = networks_of(settings.trusted_proxies)

    def missed(self, listener: ListenerTable | None) -> RuleCounters:
        """The counters of requests that no rule took."""
        return self.runtime.rule_counters(self.plan.key if listener is None else listener.key, "", "")

    def describe_client(self, peer: Any) -> tuple[bytes, bool]:
        """(the client's address as text, whether its word on X-Forwarded-* counts, if only for some listener)."""
        if not isinstance(peer, tuple):
            return b"unknown", False
        text = plain(peer[0])
        if not self._networks:
            return text.encode(), False
        address = ip_address(text.partition("%")[0])
        return text.encode(), any(address in network for network in self._networks)

    def trusts(self, client: bytes, settings: Settings) -> bool:
        """Whether the word of a client counts for a listener with these settings; asked where ports are `mixed`."""
        address = ip_address(client.decode().partition("%")[0])
        return any(address in network for network in networks_of(settings.trusted_proxies))
