"""Addresses that no exchange is sent to: that of the gateway's own admin API, and those that no backend can have.

Who may write a route or an XBackend could otherwise have the gateway ask it on behalf of any client; a name outside may
resolve to a local address at any time (GEP-4894, "DNS Trust Model Decision").
"""

from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NOTICES = 10
Address = IPv4Address | IPv6Address
_HOSTS = Path("/etc/hosts")
_NAT64 = IPv6Network("64:ff9b::/96")
# Metadata services at addresses that are not link-local: of Amazon and Google by IPv6, Alibaba, Azure and Oracle.
_METADATA = frozenset(
    {
        IPv6Address("fd00:ec2::254"),
        IPv6Address("fd20:ce::254"),
        IPv4Address("100.100.100.200"),
        IPv4Address("168.63.129.16"),
        IPv4Address("192.0.0.192"),
    }
)


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
    return address if address.version == 4 else _unwrapped(address)


def _unwrapped(address: IPv6Address) -> Address:
    """The address of IPv4 that one of IPv6 leads to: mapped (RFC 4291), by 6to4 (RFC 3056) or by NAT64 (RFC 6052)."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_own(address: Address) -> bool:
    """Whether an address is one of this machine's: no other can be bound."""
    try:
        with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError as error:
        return error.errno != errno.EADDRNOTAVAIL
    return True


def leads_nowhere(host: str) -> bool:
    """Whether an address is one where no backend can be, whatever a name server says: those of the metadata services of
    clouds, all link-local ones among them, multicast, and the unspecified one, which would lead to this machine.
    """
    address = _address(host)
    if address is None:
        return False
    return address.is_link_local or address.is_multicast or address.is_unspecified or address in _METADATA


def leads_home(host: str) -> bool:
    """Whether an address is one of loopback: on this machine, behind every firewall."""
    address = _address(host)
    return address is not None and address.is_loopback


def is_local(name: str) -> bool:
    """Whether a name is this machine's to give: localhost and what is under it (RFC 6761 section 6.3), and what its own
    hosts file says. All others are a name server's, which may say anything of them at any time.
    """
    lower = name.lower().rstrip(".")
    return lower == "localhost" or lower.endswith(".localhost") or lower in _hosts()


def _hosts() -> set[str]:
    try:
        lines = _HOSTS.read_text("utf-8", "replace").lower().splitlines()
    except OSError:
        return set()
    return {name for line in lines for name in line.partition("#")[0].split()[1:]}
