"""The address that no exchange is sent to: that of the gateway's own admin API.

Who may write a route or an XBackend could otherwise have the gateway ask it on behalf of any client; a name outside may
resolve to a local address at any time (GEP-4894, "DNS Trust Model Decision").
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOTICES = 10


class Reserved:
    """One address. `notices` takes lines for the log, one for each backend that would lead there."""

    def __init__(self, host: str, port: int, notices: list[str]) -> None:
        """A name is taken for one of this machine."""
        self._port = port
        self._host = "" if _is_local(host) else host
        self._told: set[str] = set()
        self._notices = notices

    def without(self, addresses: Iterable[tuple[str, int]], backend: str) -> list[tuple[str, int]]:
        """The addresses of a backend but for those that lead here."""
        return [one for one in addresses if one[1] != self._port or not self._leads_here(one[0], backend)]

    def _leads_here(self, host: str, backend: str) -> bool:
        if host != self._host if self._host else not _is_local(host):
            return False
        if backend not in self._told and len(self._notices) < _NOTICES:
            self._told.add(backend)
            self._notices.append(f"backend {backend} leads to the admin API at {host}, port {self._port}: never asked")
        return True


def _is_local(host: str) -> bool:
    """Whether connecting there stays on this machine: loopback, the unspecified address, or a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return True
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified
