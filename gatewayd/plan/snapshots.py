"""Compiled pieces -> Snapshot: which route stands at which host of which listener of which socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gatewayd.plan.gateways import Outcome
from gatewayd.plan.listeners import ListenerDraft
from gatewayd.plan.places import Places
from gatewayd.plan.reuse import reuse
from gatewayd.plan.settings import DEFAULT
from gatewayd.plan.sockets import socket_key
from gatewayd.routing.snapshot import BackendPlan, ListenerPlan, PortPlan, RoutePlan, Settings, Snapshot, Transport


class Members(NamedTuple):
    """What stands at one socket: address, port to bind, the transport of its first listener; the listeners, and the
    port that each of them writes.
    """

    address: str
    port: int
    transport: Transport
    listeners: list[ListenerPlan]
    numbers: list[int]


class Assembly:
    """Builds one Snapshot. Records that equal those of `before` are taken from there, so identity tells change."""

    def __init__(self, before: Snapshot, port_map: Mapping[int, int]) -> None:
        self._before = before
        self._port_map = port_map
        self._listeners = {one.key: one for port in before.ports.values() for one in port.listeners}

    def build(
        self,
        generation: int,
        outcomes: Iterable[Outcome],
        places: Places,
        routes: dict[str, RoutePlan],
        backends: dict[str, BackendPlan],
    ) -> Snapshot:
        """The snapshot of `generation`."""
        served = [(outcome, one) for outcome in outcomes for one in outcome.served if one.protocol is not None]
        certificates = {one.key: one for _, listener in served for one in listener.certificates}
        settings = {DEFAULT: Settings()} | {outcome.draft.settings_key: outcome.draft.settings for outcome, _ in served}
        return Snapshot(
            generation=generation,
            ports={key: self._port(key, found) for key, found in self._members(served, places).items()},
            routes=routes,
            backends=backends,
            certificates={key: reuse(self._before.certificates.get(key), one) for key, one in certificates.items()},
            settings={key: reuse(self._before.settings.get(key), value) for key, value in settings.items()},
        )

    def _members(self, served: Iterable[tuple[Outcome, ListenerDraft]], places: Places) -> dict[str, Members]:
        """What stands at each socket, by its key."""
        found: dict[str, Members] = {}
        for outcome, listener in served:
            assert listener.protocol is not None  # noqa: S101 - it would not be served
            plan = self._listener(outcome, listener, places)
            port = self._port_map.get(listener.spec.port, listener.spec.port)
            for address in outcome.placement.binds:
                key = socket_key(address, port)
                members = found.setdefault(key, Members(address, port, listener.protocol.transport, [], []))
                members.listeners.append(plan)
                members.numbers.append(listener.spec.port)
        return found

    def _port(self, key: str, members: Members) -> PortPlan:
        transport = members.transport
        if transport == "tls" and any(one.protocol == "HTTPS" for one in members.listeners):
            transport = "https"  # HTTP is spoken there too
        made = PortPlan(
            key=key,
            address=members.address,
            port=members.port,
            number=members.numbers[-1],
            transport=transport,
            listeners=tuple(members.listeners),
        )
        return reuse(self._before.ports.get(key), made)

    def _listener(self, outcome: Outcome, listener: ListenerDraft, places: Places) -> ListenerPlan:
        draft = outcome.draft
        key = f"{draft.key}/{listener.spec.name}"
        plan = ListenerPlan(
            key=key,
            gateway=draft.key,
            name=listener.spec.name,
            protocol=listener.spec.protocol,
            passthrough=listener.passthrough,
            hostname=listener.hostname.encode(),
            hosts=places.hosts((draft.key, listener.spec.name)),
            certificates=tuple(dict.fromkeys(one.key for one in listener.certificates)),
            settings=draft.settings_key,
            source=draft.item.source(listener.path),
        )
        return reuse(self._listeners.get(key), plan)
