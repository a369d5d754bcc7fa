"""Backends as references name them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

X_GROUP = "gateway.networking.x-k8s.io"
BackendKind = Literal["Service", "XBackend"]
Target = tuple[str, str, str, str]  # (group, kind, namespace, name)

# The kinds of backends that are served, by (group, kind).
BACKEND_KINDS: Mapping[tuple[str, str], BackendKind] = {("", "Service"): "Service", (X_GROUP, "XBackend"): "XBackend"}


def used(rule: Any, namespace: str) -> Iterator[Target]:
    """All backends that a rule of a route in `namespace` names, those of its mirrors included."""
    mirrors = [*_mirrored(rule), *(mirror for ref in rule.backend_refs for mirror in _mirrored(ref))]
    for ref in (*rule.backend_refs, *mirrors):
        yield (ref.group or "", ref.kind, ref.namespace or namespace, ref.name)


def _mirrored(part: Any) -> Iterable[Any]:
    mirrors = (getattr(each, "request_mirror", None) for each in getattr(part, "filters", ()))
    return [mirror.backend_ref for mirror in mirrors if mirror is not None]
