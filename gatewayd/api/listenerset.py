"""ListenerSet (gateway.networking.k8s.io/v1, GEP-1713)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from gatewayd.api.listener import Listener
from gatewayd.api.meta import ObjectMeta
from gatewayd.api.record import Record
from gatewayd.api.references import ParentGatewayReference


class ListenerSetSpec(Record, frozen=True, kw_only=True, gc=False):
    """More listeners for one Gateway."""

    parent_ref: ParentGatewayReference
    listeners: Annotated[tuple[Listener, ...], Meta(min_length=1, max_length=64, extra={"keys": ("name",)})]


class ListenerSet(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "ListenerSet"
    metadata: ObjectMeta
    spec: ListenerSetSpec
