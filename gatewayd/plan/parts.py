"""The parts of an object of any kind: the kinds differ, so these are what the type checker cannot see."""

from __future__ import annotations

from typing import Any

from gatewayd.api.meta import ObjectMeta
from gatewayd.api.objects import Object


def resource(item: Object) -> Any:
    """The typed record."""
    return item.resource


def spec(item: Object) -> Any:
    """Its spec."""
    return resource(item).spec


def metadata(item: Object) -> ObjectMeta:
    """Its metadata."""
    found: ObjectMeta = resource(item).metadata
    return found


def generation(item: Object) -> int:
    """metadata.generation, which every condition repeats as observedGeneration."""
    return metadata(item).generation


def age(item: Object) -> tuple[str, str, str]:
    """The order of objects that compete: older first, unknown age last, then by namespace and name."""
    return (metadata(item).creation_timestamp or "9", item.namespace, item.name)
