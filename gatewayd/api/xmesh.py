"""XMesh (gateway.networking.x-k8s.io/v1alpha1, experimental)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import ControllerName
from gatewayd.api.record import Record
from gatewayd.api.references import ParametersReference


class XMeshSpec(Record, frozen=True, kw_only=True, gc=False):
    """Which controller serves this mesh."""

    controller_name: ControllerName
    parameters_ref: ParametersReference | None = None
    description: Annotated[str, Meta(max_length=64)] | None = None


class XMesh(Record, frozen=True, kw_only=True, gc=False):
    """Cluster-scoped."""

    api_version: str = "gateway.networking.x-k8s.io/v1alpha1"
    kind: str = "XMesh"
    metadata: ObjectMeta
    spec: XMeshSpec
