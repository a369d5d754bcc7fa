"""XBackend (gateway.networking.x-k8s.io/v1alpha1, experimental)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import PortNumber, PreciseHostname
from gatewayd.api.record import Record
from gatewayd.api.references import SecretObjectReference
from gatewayd.api.trust import BackendTLSValidation


class ExternalHostname(Record, frozen=True, kw_only=True, gc=False):
    """A host outside of the cluster, resolved by DNS."""

    hostname: PreciseHostname


class BackendPort(Record, frozen=True, kw_only=True, gc=False):
    """The port of the backend."""

    name: Annotated[str, Meta(max_length=63)] | None = None
    port: PortNumber


class XBackendTLS(Record, frozen=True, kw_only=True, gc=False):
    """TLS towards the backend; the client certificate belongs to ClientAndServer alone."""

    mode: Literal["None", "ServerOnly", "ClientAndServer"]
    client_certificate_ref: SecretObjectReference | None = None
    validation: BackendTLSValidation | None = None


class XBackendSpec(Record, frozen=True, kw_only=True, gc=False):
    """Where the backend is and what it speaks."""

    type: Literal["ExternalHostname"]
    external_hostname: ExternalHostname | None = None
    port: BackendPort
    protocol: Literal["TCP", "HTTP", "HTTP2", "HTTP11", "H2C", "MCP"] | None = None
    tls: XBackendTLS | None = None


class XBackend(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.x-k8s.io/v1alpha1"
    kind: str = "XBackend"
    metadata: ObjectMeta
    spec: XBackendSpec
