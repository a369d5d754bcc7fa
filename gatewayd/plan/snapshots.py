"""Compiled pieces -> Snapshot: which route stands at which host of which listener of which socket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from gatewayd.plan.gateways import Outcome
from gatewayd.plan.listeners import ListenerDraft
from gatewayd.plan.places import Places
from gatewayd.plan.reuse import reuse
from gatewayd.plan.settings import DEFAULT
from gatewayd.plan.sockets import socket_key
from gatewayd.routing.snapshot import (
    BackendPlan,
    CertificatePlan,
    ListenerPlan,
    PortPlan,
    RoutePlan,
    Settings,
    Snapshot,
)

Transport = Literal["http", "https", "tls", "tcp"]
Members = tuple[str, int, Transport, list[ListenerPlan]]
"""What stands at one socket: address, port to bind, the transport of its first listener, and the listeners."""


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
        members: dict[str, Members] = {}
        certificates: dict[str, CertificatePlan] = {}
        settings = {DEFAULT: Settings()}
        numbers: dict[str, int] = {}
        for outcome in outcomes:
            for listener in outcome.served:
                if listener.protocol is None:
                    continue
                plan = self._listener(outcome, listener, places)
                certificates |= {one.key: one for one in listener.certificates}
                settings[outcome.draft.settings_key] = outcome.draft.settings
                port = self._port_map.get(listener.spec.port, listener.spec.port)
                for address in outcome.placement.binds:
                    key = socket_key(address, port)
                    numbers[key] = listener.spec.port
                    members.setdefault(key, (address, port, listener.protocol.transport, []))[3].append(plan)
        return Snapshot(
            generation=generation,
            ports={key: self._port(key, *found, numbers[key]) for key, found in members.items()},
            routes=routes,
            backends=backends,
            certificates={key: reuse(self._before.certificates.get(key), one) for key, one in certificates.items()},
            settings={key: reuse(self._before.settings.get(key), value) for key, value in settings.items()},
        )

    def _port(
        self, key: str, address: str, port: int, transport: Transport, listeners: list[ListenerPlan], number: int
    ) -> PortPlan:
        if transport == "tls" and any(one.protocol == "HTTPS" for one in listeners):
            transport = "https"  # HTTP is spoken there too
        made = PortPlan(
            key=key, address=address, port=port, number=number, transport=transport, listeners=tuple(listeners)
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
