"""ReferenceGrant (gateway.networking.k8s.io/v1 and v1beta1)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import Group, Kind, Namespace, ObjectName
from gatewayd.api.record import Record


class ReferenceGrantFrom(Record, frozen=True, kw_only=True, gc=False):
    """Who may refer."""

    group: Group
    kind: Kind
    namespace: Namespace


class ReferenceGrantTo(Record, frozen=True, kw_only=True, gc=False):
    """What may be referred to; without a name every object of the kind in the grant's namespace."""

    group: Group
    kind: Kind
    name: ObjectName | None = None


class ReferenceGrantSpec(Record, frozen=True, kw_only=True, gc=False):
    """Every `from` may refer to every `to`."""

    from_: Annotated[tuple[ReferenceGrantFrom, ...], Meta(min_length=1, max_length=16)] = field(name="from")
    to: Annotated[tuple[ReferenceGrantTo, ...], Meta(min_length=1, max_length=16)]


class ReferenceGrant(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced; it stands beside the objects that are referred to."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "ReferenceGrant"
    metadata: ObjectMeta
    spec: ReferenceGrantSpec
