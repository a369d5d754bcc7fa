"""The filters of HTTPRoute and GRPCRoute."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gatewayd.api.names import PATH_CHARACTERS, HeaderName, HeaderValue, PortNumber, PreciseHostname
from gatewayd.api.record import Record
from gatewayd.api.references import BackendObjectReference, LocalObjectReference

HeaderNames = Annotated[tuple[HeaderName, ...], Meta(max_length=64, extra={"keys": ()})]
FieldNames = Annotated[tuple[str, ...], Meta(max_length=64, extra={"keys": ()})]
Origin = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9\-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)",
        extra={"says": "be `*`, or http:// or https:// and a host", "hint": "for example `https://*.example.com`"},
    ),
]
CORSMethod = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "*"]


class HTTPHeader(Record, frozen=True, kw_only=True, gc=False):
    """A field to set or add."""

    name: HeaderName
    value: HeaderValue


Headers = Annotated[tuple[HTTPHeader, ...], Meta(max_length=16, extra={"keys": ("name",)})]


class HTTPHeaderFilter(Record, frozen=True, kw_only=True, gc=False):
    """RequestHeaderModifier and ResponseHeaderModifier."""

    set: Headers = ()
    add: Headers = ()
    remove: Annotated[tuple[str, ...], Meta(max_length=16, extra={"keys": ()})] = ()


class HTTPPathModifier(Record, frozen=True, kw_only=True, gc=False):
    """How the path of a redirect or rewrite is made; exactly the field that `type` names is set."""

    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: Annotated[str, Meta(max_length=1024)] | None = None
    replace_prefix_match: Annotated[str, Meta(max_length=1024)] | None = None


class HTTPRequestRedirectFilter(Record, frozen=True, kw_only=True, gc=False):
    """RequestRedirect."""

    scheme: Literal["http", "https"] | None = None
    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None
    port: PortNumber | None = None
    status_code: Literal[301, 302, 303, 307, 308] = 302


class HTTPURLRewriteFilter(Record, frozen=True, kw_only=True, gc=False):
    """URLRewrite."""

    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None


class Fraction(Record, frozen=True, kw_only=True, gc=False):
    """numerator / denominator, at most 1."""

    numerator: Annotated[int, Meta(ge=0, le=2147483647)]
    denominator: Annotated[int, Meta(ge=1, le=2147483647)] = 100


class HTTPRequestMirrorFilter(Record, frozen=True, kw_only=True, gc=False):
    """RequestMirror; everything is mirrored when neither `percent` nor `fraction` is set."""

    backend_ref: BackendObjectReference
    percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    fraction: Fraction | None = None


class HTTPCORSFilter(Record, frozen=True, kw_only=True, gc=False):
    """CORS (GEP-1767). `max_age` is in seconds."""

    allow_origins: Annotated[tuple[Origin, ...], Meta(max_length=64, extra={"keys": ()})] = ()
    allow_credentials: bool | None = None
    allow_methods: Annotated[tuple[CORSMethod, ...], Meta(max_length=9, extra={"keys": ()})] = ()
    allow_headers: HeaderNames = ()
    expose_headers: HeaderNames = ()
    max_age: Annotated[int, Meta(ge=1, le=2147483647)] = 5


class GRPCAuthConfig(Record, frozen=True, kw_only=True, gc=False):
    """What a gRPC authorization server is sent."""

    allowed_headers: FieldNames = ()


class HTTPAuthConfig(Record, frozen=True, kw_only=True, gc=False):
    """What an HTTP authorization server is sent, and what of its answer is passed on."""

    path: (
        Annotated[
            str, Meta(max_length=1024, pattern=PATH_CHARACTERS, extra={"says": "be a path of RFC 3986 characters"})
        ]
        | None
    ) = None
    allowed_headers: FieldNames = ()
    allowed_response_headers: FieldNames = ()


class ForwardBodyConfig(Record, frozen=True, kw_only=True, gc=False):
    """How much of a body the authorization server sees; 0 or absent: nothing."""

    max_size: Annotated[int, Meta(ge=0, le=2147483647)] | None = None


class HTTPExternalAuthFilter(Record, frozen=True, kw_only=True, gc=False):
    """ExternalAuth (GEP-1494, experimental)."""

    protocol: Literal["HTTP", "GRPC"]
    backend_ref: BackendObjectReference
    grpc: GRPCAuthConfig | None = None
    http: HTTPAuthConfig | None = None
    forward_body: ForwardBodyConfig | None = None


class HTTPRouteFilter(Record, frozen=True, kw_only=True, gc=False):
    """A filter of an HTTPRoute: `type`, and the field that belongs to it."""

    type: Literal[
        "RequestHeaderModifier",
        "ResponseHeaderModifier",
        "RequestMirror",
        "RequestRedirect",
        "URLRewrite",
        "ExtensionRef",
        "CORS",
        "ExternalAuth",
    ]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = None
    cors: HTTPCORSFilter | None = None
    external_auth: HTTPExternalAuthFilter | None = None
    extension_ref: LocalObjectReference | None = None


class GRPCRouteFilter(Record, frozen=True, kw_only=True, gc=False):
    """A filter of a GRPCRoute: `type`, and the field that belongs to it."""

    type: Literal["ResponseHeaderModifier", "RequestHeaderModifier", "RequestMirror", "ExtensionRef"]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None
