"""Objects as plain data again: what `kubectl get -o json` would print, without the status."""

from __future__ import annotations

import base64
from typing import Any

from gatewayd.api.core import Secret
from gatewayd.api.objects import Object
from gatewayd.api.record import Record
from gatewayd.api.scalars import Number

REDACTED = "REDACTED"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"  # holds the whole object once more
_SHOWN_OF_A_SECRET = 100  # characters of an annotation: in longer ones other tools keep the whole object


def to_plain(item: Object) -> dict[str, Any]:
    """The object with defaults applied and unset fields left out; `apiVersion` and `metadata` as they were written.

    Values of a Secret are replaced by `REDACTED`: this is shown on screens and by the admin API.
    """
    plain: dict[str, Any] = {
        "apiVersion": f"{item.group}/{item.version}" if item.group else item.version,
        "kind": item.kind,
        "metadata": _metadata(item),
    }
    plain.update((name, value) for name, value in _fields(item.resource).items() if name not in plain)
    if isinstance(item.resource, Secret):
        plain["data"] = dict.fromkeys(sorted(item.resource.data), REDACTED)
        annotations = plain["metadata"].get("annotations", {})
        annotations.pop(LAST_APPLIED, None)
        annotations.update((name, REDACTED) for name, text in annotations.items() if len(text) > _SHOWN_OF_A_SECRET)
    return plain


def _metadata(item: Object) -> dict[str, Any]:
    written: dict[str, Any] = _as_written(item.document.value["metadata"])
    metadata = {name: value for name, value in written.items() if value is not None}
    if item.namespace:
        metadata.setdefault("namespace", item.namespace)
    typed: Any = item.resource
    if item.group:  # what observedGeneration in a status refers to; core kinds have none
        metadata.setdefault("generation", typed.metadata.generation)
    texts = {"labels": typed.metadata.labels, "annotations": typed.metadata.annotations}
    metadata.update((name, dict(value)) for name, value in texts.items() if value)
    return metadata


def _as_written(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_written(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_as_written(each) for each in value]
    if isinstance(value, Number):
        return float(value)
    return str(value) if isinstance(value, str) else value


def _fields(record: Record) -> dict[str, Any]:
    """The fields of a record by their YAML names. In built-in kinds an empty text and false are left out, as in Go."""
    unset: tuple[Any, ...] = (None, (), {}, "", False) if record.nullable else (None, (), {})
    plain = {}
    for attribute, name in zip(record.__struct_fields__, record.__struct_encode_fields__, strict=True):
        value = getattr(record, attribute)
        if not any(value is each or (value == each and type(value) is type(each)) for each in unset):
            plain[name] = _plain(value)
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return _fields(value)
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
