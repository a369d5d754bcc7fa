"""GatewayClass (gateway.networking.k8s.io/v1)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import ControllerName
from gatewayd.api.record import Record
from gatewayd.api.references import ParametersReference


class GatewayClassSpec(Record, frozen=True, kw_only=True, gc=False):
    """Which controller serves the Gateways of this class, and with which parameters."""

    controller_name: ControllerName
    parameters_ref: ParametersReference | None = None
    description: Annotated[str, Meta(max_length=64)] | None = None


class GatewayClass(Record, frozen=True, kw_only=True, gc=False):
    """Cluster-scoped."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "GatewayClass"
    metadata: ObjectMeta
    spec: GatewayClassSpec
