"""The core kinds a gateway reads: Service, EndpointSlice, Secret, ConfigMap, Namespace.

Limits and defaults are those of the Kubernetes API (core/v1 and discovery.k8s.io/v1) as far as they matter here.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from msgspec import Meta, field

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import LABEL, PortNumber, PreciseHostname
from gatewayd.api.record import Record

PortName = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=rf"^({LABEL})?$",
        extra={"says": "consist of lower case letters, digits and `-`", "hint": "for example `http`"},
    ),
]
PortReference = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=15,
        pattern=r"^(?=.*[a-z])[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        extra={"says": "be a port number or the name of a port", "hint": "for example 8080, without quotes, or `http`"},
    ),
]
DataKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        extra={"says": "consist of letters, digits, `-`, `_` and `.`", "hint": "for example `tls.crt`"},
    ),
]


class CoreRecord(Record, frozen=True, kw_only=True, gc=False):
    """A mapping of a built-in kind, where null is the same as absent."""

    nullable: ClassVar[bool] = True


class ServicePort(CoreRecord, frozen=True, kw_only=True, gc=False):
    """A port of a Service. `target_port` None means the same number as `port`."""

    ignored: ClassVar[frozenset[str]] = frozenset({"nodePort"})

    name: PortName = ""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    app_protocol: str | None = None
    port: PortNumber
    target_port: PortNumber | PortReference | None = None


class ServiceSpec(CoreRecord, frozen=True, kw_only=True, gc=False):
    """`cluster_ip` is "None" for a headless Service."""

    ignored: ClassVar[frozenset[str]] = frozenset(
        {
            "allocateLoadBalancerNodePorts",
            "clusterIPs",
            "externalIPs",
            "externalTrafficPolicy",
            "healthCheckNodePort",
            "internalTrafficPolicy",
            "ipFamilies",
            "ipFamilyPolicy",
            "loadBalancerClass",
            "loadBalancerIP",
            "loadBalancerSourceRanges",
            "sessionAffinity",
            "sessionAffinityConfig",
            "trafficDistribution",
        }
    )

    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    ports: Annotated[tuple[ServicePort, ...], Meta(extra={"keys": ("port", "protocol")})] = ()
    selector: dict[str, str] = field(default_factory=dict)
    cluster_ip: str | None = field(name="clusterIP", default=None)
    external_name: PreciseHostname | None = None
    publish_not_ready_addresses: bool = False


class Service(CoreRecord, frozen=True, kw_only=True, gc=False):
    """v1, namespaced."""

    api_version: str = "v1"
    kind: str = "Service"
    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()


class EndpointConditions(CoreRecord, frozen=True, kw_only=True, gc=False):
    """None is unknown: to be read as ready and serving, and as not terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(CoreRecord, frozen=True, kw_only=True, gc=False):
    """One endpoint; all its addresses are the same one, the first is used (discovery.k8s.io/v1)."""

    ignored: ClassVar[frozenset[str]] = frozenset({"deprecatedTopology", "hints", "targetRef"})

    addresses: Annotated[tuple[str, ...], Meta(min_length=1, max_length=100)]
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None


class EndpointPort(CoreRecord, frozen=True, kw_only=True, gc=False):
    """A port of all endpoints of the slice; `port` None means all ports."""

    name: PortName = ""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    port: PortNumber | None = None
    app_protocol: str | None = None


class EndpointSlice(CoreRecord, frozen=True, kw_only=True, gc=False):
    """discovery.k8s.io/v1, namespaced. Its Service is named by the label `kubernetes.io/service-name`."""

    api_version: str = "discovery.k8s.io/v1"
    kind: str = "EndpointSlice"
    metadata: ObjectMeta
    address_type: Literal["IPv4", "IPv6", "FQDN"]
    endpoints: Annotated[tuple[Endpoint, ...], Meta(max_length=1000)] = ()
    ports: Annotated[tuple[EndpointPort, ...], Meta(max_length=20000, extra={"keys": ("name",)})] = ()


class Secret(CoreRecord, frozen=True, kw_only=True, gc=False):
    """v1, namespaced. `data` is decoded, and `stringData` was merged into it (it wins, as in Kubernetes)."""

    api_version: str = "v1"
    kind: str = "Secret"
    metadata: ObjectMeta
    type: str = "Opaque"
    data: dict[DataKey, bytes] = field(default_factory=dict)
    string_data: dict[DataKey, str] = field(default_factory=dict)
    immutable: bool | None = None


class ConfigMap(CoreRecord, frozen=True, kw_only=True, gc=False):
    """v1, namespaced. `binary_data` is decoded."""

    api_version: str = "v1"
    kind: str = "ConfigMap"
    metadata: ObjectMeta
    data: dict[DataKey, str] = field(default_factory=dict)
    binary_data: dict[DataKey, bytes] = field(default_factory=dict)
    immutable: bool | None = None


class Namespace(CoreRecord, frozen=True, kw_only=True, gc=False):
    """v1, cluster-scoped; only its labels matter."""

    ignored: ClassVar[frozenset[str]] = frozenset({"spec"})

    api_version: str = "v1"
    kind: str = "Namespace"
    metadata: ObjectMeta
