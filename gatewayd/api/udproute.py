"""UDPRoute (gateway.networking.k8s.io/v1 and v1alpha2)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import SectionName
from gatewayd.api.record import Record
from gatewayd.api.references import BackendRef, ParentReference


class UDPRouteRule(Record, frozen=True, kw_only=True, gc=False):
    """Where connections go."""

    name: SectionName | None = None
    backend_refs: Annotated[tuple[BackendRef, ...], Meta(min_length=1, max_length=16)]


class UDPRouteSpec(Record, frozen=True, kw_only=True, gc=False):
    """Exactly one rule in v1, up to 16 in v1alpha2."""

    parent_refs: Annotated[tuple[ParentReference, ...], Meta(max_length=32)] = ()
    use_default_gateways: Literal["All", "None"] | None = None
    rules: Annotated[tuple[UDPRouteRule, ...], Meta(min_length=1, max_length=16)]


class UDPRoute(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "UDPRoute"
    metadata: ObjectMeta
    spec: UDPRouteSpec
