"""Which addresses a Gateway listens on: those it asks for, one of the pool, or the wildcard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem
from gatewayd.plan.conditions import Status, Verdict
from gatewayd.plan.options import Options
from gatewayd.plan.parts import spec
from gatewayd.plan.problems import report

WILDCARD = ""


class Placement(NamedTuple):
    """`binds` are the addresses to bind ("" is the wildcard), `shown` those for status.addresses."""

    binds: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    refused: Verdict | None = None  # Accepted=False: a type of address that is not served
    failed: Verdict | None = None  # Programmed=False: an address that cannot be had
    problems: tuple[Problem, ...] = ()

    def status(self) -> list[Status]:
        """status.addresses."""
        return [{"type": "IPAddress", "value": value} for value in self.shown]


def normal(value: str) -> str | None:
    """The usual text form of an IP address, or None when it is none."""
    try:
        return str(ip_address(value))
    except ValueError:
        return None


class AddressBook:
    """Hands out the addresses of the pool. An assignment lasts as long as its Gateway needs it."""

    def __init__(self) -> None:
        self._assigned: dict[str, str] = {}

    def place(self, gateways: Iterable[Object], options: Options) -> dict[str, Placement]:
        """A placement for each Gateway, by its key `namespace/name`."""
        members = sorted(gateways, key=lambda item: (item.namespace, item.name))
        taken = {address for item in members for address in _written(item)}
        self._assign([_key(item) for item in members if _needs_one(item)], taken, options.address_pool)
        return {_key(item): self._place(item, options) for item in members}

    def _assign(self, keys: list[str], taken: set[str], pool: str | None) -> None:
        """First free address for each new Gateway, in order of their keys."""
        network = ip_network(pool, strict=False) if pool else None
        kept = {key: value for key, value in self._assigned.items() if key in keys and value not in taken}
        self._assigned = {
            key: value for key, value in kept.items() if network is not None and ip_address(value) in network
        }
        if network is None:
            return
        used = taken | set(self._assigned.values())
        free = (text for host in network.hosts() if (text := str(host)) not in used)
        for key in keys:
            if key not in self._assigned and (address := next(free, None)) is not None:
                self._assigned[key] = address

    def _place(self, item: Object, options: Options) -> Placement:
        unsupported = [(index, one) for index, one in enumerate(spec(item).addresses) if one.type != "IPAddress"]
        if unsupported:
            index, one = unsupported[0]
            verdict = Verdict("UnsupportedAddress", f"addresses of type {one.type} are not served")
            problem = report(item, ("spec", "addresses", index, "type"), verdict.message, "use IPAddress")
            return Placement(refused=verdict, problems=(problem,))
        asked = [one.value or None for one in spec(item).addresses] or [None]
        return _combine(item, [self._one(item, value, options) for value in asked], options)

    def _one(self, item: Object, value: str | None, options: Options) -> str | Verdict:
        """The address to bind for one entry of spec.addresses, or why it cannot be had."""
        if value is None:
            if not options.address_pool:
                return WILDCARD
            assigned = self._assigned.get(_key(item))
            if assigned is None:
                return Verdict("AddressNotAssigned", f"address pool {options.address_pool} has no free address left")
        address = assigned if value is None else normal(value)
        if address is None or (options.usable is not None and not options.usable(address)):
            return Verdict("AddressNotUsable", f"address {value or address} cannot be bound on this host")
        return address


def _combine(item: Object, found: list[str | Verdict], options: Options) -> Placement:
    binds = tuple(dict.fromkeys(one for one in found if isinstance(one, str)))
    failures = [one for one in found if isinstance(one, Verdict)]
    hint = "use an address of this host, or leave spec.addresses away"
    return Placement(
        binds=binds,
        shown=tuple(address or options.default_address for address in binds),
        failed=failures[0] if failures else None,
        problems=tuple(report(item, ("spec", "addresses"), one.message, hint) for one in failures),
    )


def _key(item: Object) -> str:
    return f"{item.namespace}/{item.name}"


def _written(item: Object) -> Iterator[str]:
    for one in spec(item).addresses:
        address = normal(one.value) if one.type == "IPAddress" and one.value else None
        if address is not None:
            yield address


def _needs_one(item: Object) -> bool:
    addresses: Any = spec(item).addresses
    return not addresses or any(one.type == "IPAddress" and not one.value for one in addresses)
