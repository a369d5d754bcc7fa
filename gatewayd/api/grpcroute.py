"""GRPCRoute (gateway.networking.k8s.io/v1), both channels."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gatewayd.api.filters import GRPCRouteFilter
from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import HeaderName, Hostname, SectionName
from gatewayd.api.persistence import SessionPersistence
from gatewayd.api.record import Record
from gatewayd.api.references import BackendRef, ParentReference


class GRPCMethodMatch(Record, frozen=True, kw_only=True, gc=False):
    """Service and method of a call; at least one is set."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    service: Annotated[str, Meta(max_length=1024)] | None = None
    method: Annotated[str, Meta(max_length=1024)] | None = None


class GRPCHeaderMatch(Record, frozen=True, kw_only=True, gc=False):
    """A metadata field that must have this value."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Meta(min_length=1, max_length=4096)]


class GRPCRouteMatch(Record, frozen=True, kw_only=True, gc=False):
    """All parts must hold."""

    method: GRPCMethodMatch | None = None
    headers: Annotated[tuple[GRPCHeaderMatch, ...], Meta(max_length=16, extra={"keys": ("name",)})] = ()


class GRPCBackendRef(BackendRef, frozen=True, kw_only=True, gc=False):
    """A backend with its weight and its own filters."""

    filters: Annotated[tuple[GRPCRouteFilter, ...], Meta(max_length=16)] = ()


class GRPCRouteRule(Record, frozen=True, kw_only=True, gc=False):
    """Without matches it takes every call."""

    name: SectionName | None = None
    matches: Annotated[tuple[GRPCRouteMatch, ...], Meta(max_length=64)] = ()
    filters: Annotated[tuple[GRPCRouteFilter, ...], Meta(max_length=16)] = ()
    backend_refs: Annotated[tuple[GRPCBackendRef, ...], Meta(max_length=16)] = ()
    session_persistence: SessionPersistence | None = None


class GRPCRouteSpec(Record, frozen=True, kw_only=True, gc=False):
    """Parents, hostnames and rules."""

    parent_refs: Annotated[tuple[ParentReference, ...], Meta(max_length=32)] = ()
    use_default_gateways: Literal["All", "None"] | None = None
    hostnames: Annotated[tuple[Hostname, ...], Meta(max_length=16)] = ()
    rules: Annotated[tuple[GRPCRouteRule, ...], Meta(max_length=16)] = ()


class GRPCRoute(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "GRPCRoute"
    metadata: ObjectMeta
    spec: GRPCRouteSpec
