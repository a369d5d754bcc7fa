"""ReferenceGrant: which references may leave their namespace (GEP-709)."""

from __future__ import annotations

from typing import Any

from gatewayd.plan.parts import spec
from gatewayd.plan.reads import Reads

GATEWAY_GROUP = "gateway.networking.k8s.io"


class Reference:
    """One reference from an object to another. `group` and `kind` are those of the target."""

    __slots__ = ("from_kind", "from_namespace", "group", "kind", "name", "namespace")

    def __init__(self, from_kind: str, from_namespace: str, ref: Any) -> None:
        self.from_kind = from_kind
        self.from_namespace = from_namespace
        self.group: str = ref.group or ""
        self.kind: str = ref.kind
        self.name: str = ref.name
        self.namespace: str = ref.namespace or from_namespace

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def permitted(reference: Reference, reads: Reads) -> bool:
    """True when the reference stays in its namespace or a grant in the target's namespace covers it.

    Any `from` and any `to` of one grant make a pair; two grants never add up.
    """
    if reference.namespace == reference.from_namespace:
        return True
    grants = reads.group("ReferenceGrant", reference.namespace)
    return any(_covers(spec(grant), reference) for grant in grants)


def _covers(grant: Any, reference: Reference) -> bool:
    return any(
        source.group == GATEWAY_GROUP
        and source.kind == reference.from_kind
        and source.namespace == reference.from_namespace
        for source in grant.from_
    ) and any(
        (target.group or "") == reference.group
        and target.kind == reference.kind
        and target.name in (None, "", reference.name)
        for target in grant.to
    )


def hint(reference: Reference) -> str:
    """The grant to write, as YAML in one line."""
    return (
        f"write in namespace {reference.namespace}: {{apiVersion: {GATEWAY_GROUP}/v1, kind: ReferenceGrant, metadata: "
        f"{{name: allow-{reference.from_namespace}, namespace: {reference.namespace}}}, spec: "
        f"{{from: [{{group: {GATEWAY_GROUP}, kind: {reference.from_kind}, namespace: {reference.from_namespace}}}], "
        f'to: [{{group: "{reference.group}", kind: {reference.kind}, name: {reference.name}}}]}}}}'
    )
