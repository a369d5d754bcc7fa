"""Service with EndpointSlices, or XBackend -> BackendPlan: where a backend is served right now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem
from gatewayd.plan import policies, xbackends
from gatewayd.plan.appprotocols import spoken
from gatewayd.plan.backends import Backend, port_of
from gatewayd.plan.parts import resource, spec
from gatewayd.plan.problems import warn
from gatewayd.plan.reads import SERVICE_NAME, Reads
from gatewayd.routing.snapshot import BackendPlan

Address = tuple[str, int]


class Located(NamedTuple):
    """A compiled backend with what its owner should know about it."""

    plan: BackendPlan
    problems: tuple[Problem, ...] = ()


class _Found(NamedTuple):
    ready: list[Address]
    draining: list[Address]  # terminating, but still serving
    names: list[Address]  # addresses of FQDN slices


def locate(backend: Backend, reads: Reads) -> Located:
    """The endpoints of `backend`, which must be a port that exists, and its budget of retries."""
    item = reads.get(backend.kind, backend.namespace, backend.name)
    if item is None:
        raise ValueError(f"{backend.kind} {backend.namespace}/{backend.name} does not exist")
    located = _outside(backend, spec(item)) if backend.kind == "XBackend" else _inside(backend, item, reads)
    budget = policies.budget_of(backend, reads)
    return located if budget is None else located._replace(plan=replace(located.plan, retries=budget))


def _outside(backend: Backend, wanted: Any) -> Located:
    """XBackend of type ExternalHostname: a DNS name."""
    protocol = backend.protocol or xbackends.protocol_of(wanted)
    dns = (wanted.external_hostname.hostname, backend.port)
    return Located(BackendPlan(key=backend.key, protocol=protocol, dns=dns))


def _inside(backend: Backend, service: Object, reads: Reads) -> Located:
    wanted = spec(service)
    port = port_of(wanted, backend.port)
    if wanted.type == "ExternalName":
        return Located(_external(backend, wanted, port))
    slices = reads.group("EndpointSlice", backend.namespace, backend.name)
    found = _gather(slices, port)
    endpoints = tuple(dict.fromkeys(found.ready or found.draining))
    dns = found.names[0] if found.names and not endpoints else None
    plan = BackendPlan(
        key=backend.key,
        endpoints=endpoints,
        protocol=backend.protocol or spoken(port),
        dns=dns,
        draining=tuple(one for one in dict.fromkeys(found.draining) if one not in endpoints),
    )
    if endpoints or dns:
        return Located(plan)
    reads.place(service)
    return Located(plan, (_empty(service, backend, port, slices),))


def _external(backend: Backend, service: Any, port: Any) -> BackendPlan:
    """ExternalName: a DNS name outside; a numeric targetPort is the port there."""
    target = port.target_port if port is not None else None
    number = target if isinstance(target, int) and target > 0 else backend.port
    protocol = backend.protocol or spoken(port)
    return BackendPlan(key=backend.key, protocol=protocol, dns=(service.external_name.rstrip("."), number))


def _gather(slices: Iterable[Object], port: Any) -> _Found:
    """Sort the endpoints of all slices by how far they may be used. An absent `ready` means ready."""
    found = _Found([], [], [])
    for item in slices:
        number = _slice_port(resource(item), port)
        if number is None:
            continue
        named = resource(item).address_type == "FQDN"
        for endpoint in resource(item).endpoints:
            target = _target(endpoint, found)
            if target is not None:
                # Only the first address has a meaning (EndpointSlice API).
                (found.names if named else target).append((endpoint.addresses[0], number))
    return found


def _target(endpoint: Any, found: _Found) -> list[Address] | None:
    """ready -> used; serving while terminating -> used when nothing is ready, and by its sessions; else not at all."""
    conditions = endpoint.conditions
    if conditions.ready is not False:
        return found.ready
    return found.draining if conditions.serving is not False and conditions.terminating else None


def _slice_port(found: Any, port: Any) -> int | None:
    """The port of a slice that has the Service port's name; a slice port without number means any port."""
    for candidate in found.ports:
        if candidate.name == port.name and candidate.protocol == "TCP":
            return _number(candidate.port, port)
    return None


def _number(written: int | None, port: Any) -> int | None:
    if written is not None:
        return written
    if isinstance(port.target_port, str):
        return None
    return port.target_port or int(port.port)


def _empty(service: Object, backend: Backend, port: Any, slices: tuple[Object, ...]) -> Problem:
    """A Service without endpoints answers 503: say what to write, or why the slices that exist do not help."""
    path = ("spec", "ports")
    if not slices:
        message = f"no EndpointSlice gives endpoints for port {backend.port}: requests get 503"
        return warn(service, path, message, _slice_hint(backend, port))
    if all(_slice_port(resource(item), port) is None for item in slices):
        names = ", ".join(sorted(set(_port_names(slices)))) or "none"
        message = f"port {backend.port} is called {port.name or '(no name)'} here, but in its EndpointSlices: {names}"
        return warn(service, path, message, "give both the same name")
    return warn(service, path, f"none of the endpoints of port {backend.port} is ready: requests get 503")


def _port_names(slices: tuple[Object, ...]) -> Iterator[str]:
    for item in slices:
        yield from (port.name or "(no name)" for port in resource(item).ports)


def _slice_hint(backend: Backend, port: Any) -> str:
    target = port.target_port if isinstance(port.target_port, int) and port.target_port else port.port
    name = f"name: {port.name}, " if port.name else ""
    labels = f"{{{SERVICE_NAME}: {backend.name}}}"
    return (
        "write: {apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: "
        f"{{name: {backend.name}-1, namespace: {backend.namespace}, labels: {labels}}}, "
        f"addressType: IPv4, ports: [{{{name}port: {target}}}], endpoints: [{{addresses: [127.0.0.1]}}]}}"
    )
