"""One listener, as it stands in a Gateway and in a ListenerSet."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from gatewayd.api.names import LABEL, Group, Hostname, Kind, OptionValue, PortNumber, SectionName
from gatewayd.api.record import Record
from gatewayd.api.references import SecretObjectReference
from gatewayd.api.selector import LabelSelector

Protocol = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=rf"^[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?$|{LABEL}(\.{LABEL})*\/[A-Za-z0-9]+$",
        extra={"says": "be a protocol", "hint": "HTTP, HTTPS, TLS, TCP or UDP"},
    ),
]
FromNamespaces = Literal["All", "Selector", "Same"]


class RouteGroupKind(Record, frozen=True, kw_only=True, gc=False):
    """A kind of route that may attach."""

    group: Group = "gateway.networking.k8s.io"
    kind: Kind


class RouteNamespaces(Record, frozen=True, kw_only=True, gc=False):
    """The namespaces whose routes may attach; `selector` counts for Selector only."""

    from_: FromNamespaces = field(name="from", default="Same")
    selector: LabelSelector | None = None


class AllowedRoutes(Record, frozen=True, kw_only=True, gc=False):
    """`kinds` is None where absent: then the kinds that fit the protocol are allowed."""

    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: Annotated[tuple[RouteGroupKind, ...], Meta(max_length=8)] | None = None


class ListenerTLS(Record, frozen=True, kw_only=True, gc=False):
    """TLS of a listener."""

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: Annotated[tuple[SecretObjectReference, ...], Meta(max_length=64)] = ()
    options: Annotated[dict[str, OptionValue], Meta(max_length=16)] = field(default_factory=dict)


class Listener(Record, frozen=True, kw_only=True, gc=False):
    """A port, a protocol, and perhaps a hostname ("" and None: any)."""

    name: SectionName
    hostname: Hostname | None = None
    port: PortNumber
    protocol: Protocol
    tls: ListenerTLS | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()
