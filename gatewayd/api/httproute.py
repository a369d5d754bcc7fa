"""HTTPRoute (gateway.networking.k8s.io/v1), both channels."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gatewayd.api.filters import HTTPRouteFilter
from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import Duration, HeaderName, HeaderValue, Hostname, SectionName
from gatewayd.api.persistence import SessionPersistence
from gatewayd.api.record import Record
from gatewayd.api.references import BackendRef, ParentReference

Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]


class HTTPPathMatch(Record, frozen=True, kw_only=True, gc=False):
    """The path of a match."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, Meta(max_length=1024)] = "/"


class HTTPHeaderMatch(Record, frozen=True, kw_only=True, gc=False):
    """A field that must have this value."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: HeaderValue


class HTTPQueryParamMatch(Record, frozen=True, kw_only=True, gc=False):
    """A query parameter that must have this value."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Meta(min_length=1, max_length=1024)]


class HTTPRouteMatch(Record, frozen=True, kw_only=True, gc=False):
    """All parts must hold."""

    path: HTTPPathMatch = HTTPPathMatch()
    headers: Annotated[tuple[HTTPHeaderMatch, ...], Meta(max_length=16, extra={"keys": ("name",)})] = ()
    query_params: Annotated[tuple[HTTPQueryParamMatch, ...], Meta(max_length=16, extra={"keys": ("name",)})] = ()
    method: Method | None = None


class HTTPBackendRef(BackendRef, frozen=True, kw_only=True, gc=False):
    """A backend with its weight and its own filters."""

    filters: Annotated[tuple[HTTPRouteFilter, ...], Meta(max_length=16)] = ()


class HTTPRouteTimeouts(Record, frozen=True, kw_only=True, gc=False):
    """Whole request, and one attempt at a backend; `0s` switches one off."""

    request: Duration | None = None
    backend_request: Duration | None = None


class HTTPRouteRetry(Record, frozen=True, kw_only=True, gc=False):
    """Retries (GEP-1731, experimental)."""

    codes: Annotated[tuple[Annotated[int, Meta(ge=400, le=599)], ...], Meta(extra={"keys": ()})] = ()
    attempts: Annotated[int, Meta(ge=1)] | None = None
    backoff: Duration | None = None


class HTTPRouteRule(Record, frozen=True, kw_only=True, gc=False):
    """A request that any of `matches` takes is filtered and sent to one of `backend_refs`."""

    name: SectionName | None = None
    matches: Annotated[tuple[HTTPRouteMatch, ...], Meta(max_length=64)] = (HTTPRouteMatch(),)
    filters: Annotated[tuple[HTTPRouteFilter, ...], Meta(max_length=16)] = ()
    backend_refs: Annotated[tuple[HTTPBackendRef, ...], Meta(max_length=16)] = ()
    timeouts: HTTPRouteTimeouts | None = None
    retry: HTTPRouteRetry | None = None
    session_persistence: SessionPersistence | None = None


class HTTPRouteSpec(Record, frozen=True, kw_only=True, gc=False):
    """Parents, hostnames and rules."""

    parent_refs: Annotated[tuple[ParentReference, ...], Meta(max_length=32)] = ()
    use_default_gateways: Literal["All", "None"] | None = None
    hostnames: Annotated[tuple[Hostname, ...], Meta(max_length=16)] = ()
    rules: Annotated[tuple[HTTPRouteRule, ...], Meta(min_length=1, max_length=16)] = (HTTPRouteRule(),)


class HTTPRoute(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "HTTPRoute"
    metadata: ObjectMeta
    spec: HTTPRouteSpec
