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
    """All backends that a rule of a route in `namespace` names, those of its filters included."""
    others = [*_asked(rule), *(other for ref in rule.backend_refs for other in _asked(ref))]
    for ref in (*rule.backend_refs, *others):
        yield (ref.group or "", ref.kind, ref.namespace or namespace, ref.name)


def _asked(part: Any) -> Iterable[Any]:
    """The backends of mirrors and of external authorization."""
    for each in getattr(part, "filters", ()):
        for wanted in (getattr(each, "request_mirror", None), getattr(each, "external_auth", None)):
            if wanted is not None:
                yield wanted.backend_ref
