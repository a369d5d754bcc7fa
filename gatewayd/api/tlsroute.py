"""TLSRoute (gateway.networking.k8s.io/v1 and v1alpha2, v1alpha3)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import Hostname, SectionName
from gatewayd.api.record import Record
from gatewayd.api.references import BackendRef, ParentReference


class TLSRouteRule(Record, frozen=True, kw_only=True, gc=False):
    """Where connections go."""

    name: SectionName | None = None
    backend_refs: Annotated[tuple[BackendRef, ...], Meta(min_length=1, max_length=16)]


class TLSRouteSpec(Record, frozen=True, kw_only=True, gc=False):
    """Exactly one rule and at least one hostname in v1 and v1alpha3; v1alpha2 has up to 16 rules."""

    parent_refs: Annotated[tuple[ParentReference, ...], Meta(max_length=32)] = ()
    use_default_gateways: Literal["All", "None"] | None = None
    hostnames: Annotated[tuple[Hostname, ...], Meta(max_length=1024)] = ()
    rules: Annotated[tuple[TLSRouteRule, ...], Meta(min_length=1, max_length=16)]


class TLSRoute(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "TLSRoute"
    metadata: ObjectMeta
    spec: TLSRouteSpec
