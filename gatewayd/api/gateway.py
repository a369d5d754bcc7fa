"""Gateway (gateway.networking.k8s.io/v1), both channels."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from gatewayd.api.listener import Listener
from gatewayd.api.meta import Key, ObjectMeta
from gatewayd.api.names import LabelValue, ObjectName, OptionValue, PortNumber
from gatewayd.api.record import Record
from gatewayd.api.references import LocalObjectReference, ObjectReference, SecretObjectReference
from gatewayd.api.selector import LabelSelector

AddressType = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        # Anchored as the CRD anchors it: the alternatives bind weaker than ^ and $.
        pattern=r"^Hostname|IPAddress|NamedAddress|[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
        r"\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$",
        extra={"says": "be an address type", "hint": "IPAddress or Hostname"},
    ),
]


class GatewayAddress(Record, frozen=True, kw_only=True, gc=False):
    """One address asked for; without a value any address of that type."""

    type: AddressType = "IPAddress"
    value: Annotated[str, Meta(max_length=253)] | None = None


class GatewayInfrastructure(Record, frozen=True, kw_only=True, gc=False):
    """What generated resources carry, and implementation-specific parameters."""

    labels: Annotated[dict[Key, LabelValue], Meta(max_length=8)] = field(default_factory=dict)
    annotations: Annotated[dict[Key, OptionValue], Meta(max_length=16)] = field(default_factory=dict)
    parameters_ref: LocalObjectReference | None = None


class ListenerNamespaces(Record, frozen=True, kw_only=True, gc=False):
    """The namespaces whose ListenerSets may attach."""

    from_: Literal["All", "Selector", "Same", "None"] = field(name="from", default="None")
    selector: LabelSelector | None = None


class AllowedListeners(Record, frozen=True, kw_only=True, gc=False):
    """Which ListenerSets may attach."""

    namespaces: ListenerNamespaces = ListenerNamespaces()


class GatewayBackendTLS(Record, frozen=True, kw_only=True, gc=False):
    """The certificate that the gateway shows to backends."""

    client_certificate_ref: SecretObjectReference | None = None


class FrontendTLSValidation(Record, frozen=True, kw_only=True, gc=False):
    """How certificates of clients are checked."""

    ca_certificate_refs: Annotated[tuple[ObjectReference, ...], Meta(min_length=1, max_length=16)]
    mode: Literal["AllowValidOnly", "AllowInsecureFallback"] = "AllowValidOnly"


class FrontendTLS(Record, frozen=True, kw_only=True, gc=False):
    """TLS towards clients; without `validation` no certificate is asked for."""

    validation: FrontendTLSValidation | None = None


class TLSPortConfig(Record, frozen=True, kw_only=True, gc=False):
    """What replaces the default on one port."""

    port: PortNumber
    tls: FrontendTLS


class FrontendTLSConfig(Record, frozen=True, kw_only=True, gc=False):
    """TLS towards clients, by default and by port."""

    default: FrontendTLS
    per_port: Annotated[tuple[TLSPortConfig, ...], Meta(max_length=64, extra={"keys": ("port",)})] = ()


class GatewayTLS(Record, frozen=True, kw_only=True, gc=False):
    """TLS of the whole Gateway."""

    backend: GatewayBackendTLS | None = None
    frontend: FrontendTLSConfig | None = None


class GatewaySpec(Record, frozen=True, kw_only=True, gc=False):
    """Listeners, and where they listen."""

    gateway_class_name: ObjectName
    listeners: Annotated[tuple[Listener, ...], Meta(min_length=1, max_length=64, extra={"keys": ("name",)})]
    addresses: Annotated[tuple[GatewayAddress, ...], Meta(max_length=16)] = ()
    infrastructure: GatewayInfrastructure | None = None
    allowed_listeners: AllowedListeners | None = None
    tls: GatewayTLS | None = None
    default_scope: Literal["All", "None"] | None = None


class Gateway(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "Gateway"
    metadata: ObjectMeta
    spec: GatewaySpec
