"""From a backendRef to a port of a Service or an XBackend, or to the reason why it cannot be used."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from gatewayd.api.objects import Object
from gatewayd.plan import appprotocols, grants, xbackends
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.grants import Reference
from gatewayd.plan.parts import spec
from gatewayd.plan.reads import Reads
from gatewayd.plan.targets import BACKEND_KINDS, BackendKind

Traffic = Literal["http", "grpc", "tcp", "udp"]

_TAKEN: dict[Traffic, str] = {"http": "HTTP requests", "grpc": "gRPC", "tcp": "streams", "udp": "datagrams"}
COMING_KINDS = {("multicluster.x-k8s.io", "ServiceImport")}


class Backend(NamedTuple):
    """One port of one Service, or an XBackend. `port` is the number that the object itself writes; `protocol` is set
    where the route decides what is spoken and not the object: gRPC is HTTP/2, so a port may be one backend for calls
    and another for other requests.
    """

    namespace: str
    name: str
    port: int
    protocol: Literal["h2c"] | None = None
    kind: BackendKind = "Service"

    @property
    def key(self) -> str:
        """Its key in Snapshot.backends."""
        kind = "" if self.kind == "Service" else f"{self.kind}/"
        return f"{kind}{self.namespace}/{self.name}:{self.port}{f'/{self.protocol}' if self.protocol else ''}"


class Resolved(NamedTuple):
    """A backendRef after its look-up: `backend` when it names a real port, `failure` when it cannot be used. With both
    the reference itself is fine.
    """

    backend: Backend | None
    failure: Verdict | None = None
    hint: str = ""
    coming: bool = False  # it needs something that is not served yet
    policy: str = ""  # the BackendTLSPolicy that a stream in clear text would break


def resolve(ref: Any, kind: str, namespace: str, traffic: Traffic, reads: Reads) -> Resolved:
    """Look up `ref` of a route of `kind` in `namespace`. The grant is judged before existence (no probing of names)."""
    reference = Reference(kind, namespace, ref)
    target = BACKEND_KINDS.get((reference.group, reference.kind))
    if target is None:
        return _wrong_kind(reference)
    if not grants.permitted(reference, reads):
        message = f"no ReferenceGrant lets {kind} of namespace {namespace} use {reference}"
        return Resolved(None, Verdict("RefNotPermitted", message), grants.hint(reference))
    item = reads.get(target, reference.namespace, reference.name)
    if item is None:
        verdict = Verdict("BackendNotFound", f"{reference} does not exist")
        return Resolved(None, verdict, f"write the {target}, or correct the name")
    if target == "XBackend":
        return _resolve_outside(reference, ref.port, spec(item), traffic, reads)
    return _resolve_port(reference, ref.port, item, traffic, reads)


def _resolve_outside(reference: Reference, number: int | None, wanted: Any, traffic: Traffic, reads: Reads) -> Resolved:
    """An XBackend has one port, which a reference need not name."""
    port = wanted.port.port
    if number not in (None, port):
        verdict = Verdict("BackendNotFound", f"{reference} has no port {number}; its port is {port}")
        return Resolved(None, verdict, "leave the port out")
    spoken = xbackends.spoken(wanted, traffic)
    if spoken is None:
        message = f"{reference}, whose protocol is {wanted.protocol or 'TCP'}, takes no {_TAKEN[traffic]}"
        return Resolved(None, Verdict("UnsupportedProtocol", message), "correct its protocol, or leave it out")
    own = traffic == "tcp" or spoken == xbackends.protocol_of(wanted)
    backend = Backend(reference.namespace, reference.name, port, None if own else "h2c", "XBackend")
    policy = _policy_for(backend, None, reads)
    if traffic in {"http", "grpc"} and policy:
        return _guarded(reference, backend, policy)
    if mode := xbackends.needs_tls(wanted):
        message = f"tls.mode {mode} of {reference} is not served yet: whatever goes there is refused, not sent in clear"
        return Resolved(backend, Verdict("BackendTLSNotServed", message), "", True)
    return Resolved(backend, policy=policy)


def host_of(backend: Backend, reads: Reads) -> str:
    """The name by which a backend that was resolved is asked, where no client asks for one."""
    item = reads.get(backend.kind, backend.namespace, backend.name)
    wanted = None if item is None else spec(item)
    outside = getattr(wanted, "external_hostname", None)
    name: str | None = outside.hostname if outside is not None else None
    if getattr(wanted, "type", "") == "ExternalName":
        name = wanted.external_name  # type: ignore[union-attr]
    return name or f"{backend.name}.{backend.namespace}"


def _wrong_kind(reference: Reference) -> Resolved:
    coming = (reference.group, reference.kind) in COMING_KINDS
    wanted = f"{reference.group}/{reference.kind}" if reference.group else reference.kind
    message = f"backends of kind {wanted} are {'not served yet' if coming else 'unknown'}"
    return Resolved(None, Verdict("InvalidKind", message), "refer to a Service or an XBackend", coming)


def _resolve_port(reference: Reference, number: int | None, item: Object, traffic: Traffic, reads: Reads) -> Resolved:
    service: Any = spec(item)
    ports = [port for port in service.ports if port.port == number]
    if number is None or (not ports and not (service.type == "ExternalName" and not service.ports)):
        offered = ", ".join(str(port.port) for port in service.ports) or "none"
        verdict = Verdict("BackendNotFound", f"{reference} has no port {number}; its ports are {offered}")
        return Resolved(None, verdict, f"use one of these ports: {offered}")
    backend = Backend(reference.namespace, reference.name, number)
    transport = "UDP" if traffic == "udp" else "TCP"
    port = port_of(service, number, transport)
    if ports and port is None:
        verdict = Verdict("UnsupportedProtocol", f"port {number} of {reference} is no {transport} port")
        return Resolved(None, verdict, f"name a port with protocol {transport}")
    return _judge_traffic(item, backend, port, traffic, reads)


def _judge_traffic(item: Object, backend: Backend, port: Any, traffic: Traffic, reads: Reads) -> Resolved:
    """Streams pass whatever their port speaks; requests are spoken as it asks, or refused (GEP-1911)."""
    policy = _policy_for(backend, port, reads)
    if traffic not in {"http", "grpc"}:
        return Resolved(backend, policy=policy)
    refusal = None if policy and appprotocols.wants_tls(port) else appprotocols.refusal(port, traffic == "grpc")
    if refusal is not None:
        reads.place(item)
        place = item.source(("spec", "ports", spec(item).ports.index(port), "appProtocol"))
        verdict = Verdict("UnsupportedProtocol", f"{item.title} port {backend.port}: {refusal.message}")
        return Resolved(None, verdict, f"{refusal.hint} ({place})")
    if traffic == "grpc" and appprotocols.spoken(port) != "h2c":
        backend = backend._replace(protocol="h2c")
    return _guarded(item.title, backend, policy) if policy else Resolved(backend)


def _guarded(reference: Reference | str, backend: Backend, policy: str) -> Resolved:
    message = f"BackendTLSPolicy {policy} is not served yet: requests to {reference} are refused, not sent in clear"
    return Resolved(backend, Verdict("BackendTLSPolicyNotServed", message), "", True)


def port_of(service: Any, number: int, transport: str = "TCP") -> Any:
    """The port of a Service spec with that number (TCP and UDP may share one), or None."""
    ports = (port for port in service.ports if port.port == number)
    return next((port for port in ports if port.protocol == transport), None)


def _policy_for(backend: Backend, port: Any, reads: Reads) -> str:
    """The BackendTLSPolicy that covers this port, as `namespace/name`, or ""."""
    name = port.name if port is not None else None
    for policy in reads.group("BackendTLSPolicy", backend.namespace, f"{backend.kind}/{backend.name}"):
        for target in spec(policy).target_refs:
            if (target.kind, target.name) == (backend.kind, backend.name) and target.section_name in (None, "", name):
                return f"{policy.namespace}/{policy.name}"
    return ""
