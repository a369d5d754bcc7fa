"""References from one object to another."""

from __future__ import annotations

from gatewayd.api.names import Group, Kind, Namespace, ObjectName, PortNumber, SectionName, Weight
from gatewayd.api.record import Record


class ParentReference(Record, frozen=True, kw_only=True, gc=False):
    """One entry of a route's parentRefs: a Gateway, a ListenerSet, or a Service (mesh)."""

    group: Group = "gateway.networking.k8s.io"
    kind: Kind = "Gateway"
    namespace: Namespace | None = None
    name: ObjectName
    section_name: SectionName | None = None
    port: PortNumber | None = None


class ParentGatewayReference(Record, frozen=True, kw_only=True, gc=False):
    """spec.parentRef of a ListenerSet."""

    group: Group = "gateway.networking.k8s.io"
    kind: Kind = "Gateway"
    namespace: Namespace | None = None
    name: ObjectName


class BackendObjectReference(Record, frozen=True, kw_only=True, gc=False):
    """A backend without a weight: request mirrors and external authorization."""

    group: Group = ""
    kind: Kind = "Service"
    name: ObjectName
    namespace: Namespace | None = None
    port: PortNumber | None = None


class BackendRef(BackendObjectReference, frozen=True, kw_only=True, gc=False):
    """A backend with its weight."""

    weight: Weight = 1


class SecretObjectReference(Record, frozen=True, kw_only=True, gc=False):
    """A certificate; a Secret unless another kind is named."""

    group: Group = ""
    kind: Kind = "Secret"
    name: ObjectName
    namespace: Namespace | None = None


class ObjectReference(Record, frozen=True, kw_only=True, gc=False):
    """An object, perhaps in another namespace."""

    group: Group
    kind: Kind
    name: ObjectName
    namespace: Namespace | None = None


class LocalObjectReference(Record, frozen=True, kw_only=True, gc=False):
    """An object in the same namespace."""

    group: Group
    kind: Kind
    name: ObjectName


class ParametersReference(Record, frozen=True, kw_only=True, gc=False):
    """parametersRef of a cluster-scoped object; `namespace` is set when the parameters are namespaced."""

    group: Group
    kind: Kind
    name: ObjectName
    namespace: Namespace | None = None
