"""BackendTLSPolicy (gateway.networking.k8s.io/v1 and v1alpha3)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.names import Group, Kind, ObjectName, OptionValue, SectionName
from gatewayd.api.record import Record
from gatewayd.api.trust import BackendTLSValidation


class PolicyTargetReference(Record, frozen=True, kw_only=True, gc=False):
    """A backend of the same namespace; `section_name` is the name of a port of a Service."""

    group: Group
    kind: Kind
    name: ObjectName
    section_name: SectionName | None = None


class BackendTLSPolicySpec(Record, frozen=True, kw_only=True, gc=False):
    """TLS towards the targets."""

    target_refs: Annotated[tuple[PolicyTargetReference, ...], Meta(min_length=1, max_length=16)]
    validation: BackendTLSValidation
    options: Annotated[dict[str, OptionValue], Meta(max_length=16)] = field(default_factory=dict)


class BackendTLSPolicy(Record, frozen=True, kw_only=True, gc=False):
    """Namespaced."""

    api_version: str = "gateway.networking.k8s.io/v1"
    kind: str = "BackendTLSPolicy"
    metadata: ObjectMeta
    spec: BackendTLSPolicySpec
