"""Which listener gets which socket address, where several Gateways want the same one."""

from __future__ import annotations

from typing import NamedTuple

from gatewayd.plan.conditions import Verdict


class Claim(NamedTuple):
    """A listener's wish for a port. `number` is the port as written, `port` the one to bind."""

    gateway: str
    listener: str
    number: int
    port: int
    transport: str
    family: str
    hostname: str


def socket_key(address: str, port: int) -> str:
    """`address:port`, IPv6 in brackets; the wildcard has no address."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Sockets:
    """Claims that were granted, by socket address and hostname. Who asks first (the older Gateway) wins."""

    def __init__(self) -> None:
        self._granted: dict[tuple[str, int], dict[str, Claim]] = {}

    def claim(self, claim: Claim, addresses: tuple[str, ...]) -> Verdict | None:
        """Grant a port on all `addresses`, or say who has it."""
        for address in addresses:
            message = _clash(claim, self._granted.get((address, claim.port), {}))
            if message is not None:
                return Verdict("PortUnavailable", message)
        for address in addresses:
            self._granted.setdefault((address, claim.port), {})[claim.hostname] = claim
        return None


def _clash(claim: Claim, granted: dict[str, Claim]) -> str | None:
    """Why the claim does not go with those granted on the same socket; all of them have one port and family."""
    other = granted.get(claim.hostname) or next(iter(granted.values()), None)
    if other is None:
        return None
    owner = f"listener {other.listener} of Gateway {other.gateway}"
    own = "--address-pool gives each Gateway an address of its own"
    if claim.number != other.number:
        return f"ports {claim.number} and {other.number} are both mapped to {claim.port}, which {owner} has"
    if claim.family != other.family:
        return f"port {claim.number} serves {other.transport} for {owner}; {own}"
    if claim.transport == "tcp" or claim.hostname == other.hostname:
        return f"port {claim.number} for {claim.hostname or 'any hostname'} belongs to {owner}; {own}"
    return None
