"""Addresses that no exchange is sent to: that of the gateway's own admin API, and those that no backend can have.

Who may write a route or an XBackend could otherwise have the gateway ask it on behalf of any client; a name outside may
resolve to a local address at any time (GEP-4894, "DNS Trust Model Decision").
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOTICES = 10
Address = IPv4Address | IPv6Address


class Reserved:
    """One address. `notices` takes lines for the log, one for each backend that would lead there."""

    def __init__(self, host: str, port: int, notices: list[str]) -> None:
        """A name is taken for one of this machine."""
        self._port = port
        self._address = address = _address(host)
        # Loopback has many addresses, and the rest of the machine's are no way to it.
        self._loopback = host == "localhost" or (address is not None and address.is_loopback)
        self._everywhere = not self._loopback and (address is None or address.is_unspecified)
        self._told: set[str] = set()
        self._notices = notices

    def without(self, addresses: Iterable[tuple[str, int]], backend: str) -> list[tuple[str, int]]:
        """The addresses of a backend but for those that lead here."""
        return [one for one in addresses if one[1] != self._port or not self._leads_here(one[0], backend)]

    def _is_there(self, host: str) -> bool:
        """Whether the admin API would answer at this host; of what is no address that is not known."""
        address = _address(host)
        if address is None or address == self._address:
            return True
        if address.is_loopback or address.is_unspecified:
            return self._loopback or self._everywhere
        return self._everywhere and _is_own(address)

    def _leads_here(self, host: str, backend: str) -> bool:
        if not self._is_there(host):
            return False
        if backend not in self._told and len(self._notices) < _NOTICES:
            self._told.add(backend)
            self._notices.append(f"backend {backend} leads to the admin API at {host}, port {self._port}: never asked")
        return True


def _address(host: str) -> Address | None:
    """What is spelled in whatever way; None for a name."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_own(address: Address) -> bool:
    """Whether an address is one of this machine's: no other can be bound."""
    try:
        with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True


def leads_nowhere(host: str) -> bool:
    """Whether an address is one where no backend can be, whatever a name server says: link-local ones, behind which the
    metadata services of clouds are, multicast, and the unspecified one, which would lead to this machine.
    """
    address = _address(host)
    return address is not None and (address.is_link_local or address.is_multicast or address.is_unspecified)
