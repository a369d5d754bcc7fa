"""From a route's parentRef to the listeners that take the route.

The order of the checks is fixed, for it decides which reason the author of a refused route reads: the listener's name
and port, then kind and namespace, then the hostnames.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gatewayd.plan.conditions import Verdict
from gatewayd.plan.hostnames import intersection
from gatewayd.plan.namespaces import admits
from gatewayd.plan.protocols import SERVED_ROUTES
from gatewayd.plan.reads import Reads


class ListenerView(msgspec.Struct, frozen=True):
    """What decides whether a route attaches to a listener. `kinds` are the served kinds that it admits."""

    name: str
    port: int
    hostname: str
    kinds: tuple[str, ...]
    namespaces: Any  # allowedRoutes.namespaces as written, with their defaults


class GatewayView(msgspec.Struct, frozen=True):
    """The listeners of one Gateway as routes see them; equal views attach the same routes. `controller` signs it."""

    namespace: str
    name: str
    controller: str
    listeners: tuple[ListenerView, ...]

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


class Attachment(msgspec.Struct, frozen=True):
    """One listener that took the route, with the hostnames that both stand for ("" is any)."""

    gateway: str
    listener: str
    hosts: tuple[str, ...]


class Candidate(msgspec.Struct, frozen=True):
    """The parts of a route that attachment looks at."""

    kind: str
    namespace: str
    hostnames: tuple[str, ...]


def attach(route: Candidate, ref: Any, view: GatewayView, reads: Reads) -> tuple[Attachment, ...] | Verdict:
    """The listeners of `view` that take the route by `ref`, or why there is none."""
    named = [one for one in view.listeners if _named(one, ref)]
    if not named:
        return Verdict("NoMatchingParent", f"Gateway {view.key} has no listener with {_wanted(ref)}")
    open_to = [one for one in named if _allows(one, route, view.namespace, reads)]
    if not open_to:
        return Verdict("NotAllowedByListeners", _refusal(named, route, view))
    met = [(one, intersection(one.hostname, route.hostnames)) for one in open_to]
    attached = tuple(Attachment(view.key, one.name, hosts) for one, hosts in met if hosts)
    if not attached:
        offered = ", ".join(sorted({one.hostname or "(any)" for one in open_to}))
        wanted = ", ".join(route.hostnames)
        return Verdict("NoMatchingListenerHostname", f"hostnames {wanted} do not meet the listeners' {offered}")
    return attached


def _named(listener: ListenerView, ref: Any) -> bool:
    return ref.section_name in (None, "", listener.name) and ref.port in (None, listener.port)


def _wanted(ref: Any) -> str:
    parts = [f"name {ref.section_name}"] if ref.section_name else []
    parts += [f"port {ref.port}"] if ref.port is not None else []
    return " and ".join(parts) or "any name"


def _allows(listener: ListenerView, route: Candidate, home: str, reads: Reads) -> bool:
    return route.kind in listener.kinds and admits(listener.namespaces, home, route.namespace, reads)


def _refusal(listeners: list[ListenerView], route: Candidate, view: GatewayView) -> str:
    if route.kind not in SERVED_ROUTES:
        return f"{route.kind} is not served yet"
    if not any(route.kind in one.kinds for one in listeners):
        kinds = sorted({kind for one in listeners for kind in one.kinds})
        return f"the listeners of Gateway {view.key} take {', '.join(kinds) or 'no kind of route'}, not {route.kind}"
    return f"allowedRoutes.namespaces of Gateway {view.key} does not admit namespace {route.namespace}"
