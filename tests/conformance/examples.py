"""Kinds and objects that the tests of the stand-in use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.conformance.standin.kinds import Kinds

GROUP = "gateway.networking.k8s.io"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROUTE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "properties": {
                "parentRefs": {
                    "type": "array",
                    "maxItems": 2,
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "minLength": 1},
                            "kind": {"type": "string", "default": "Gateway", "pattern": "^[a-zA-Z]+$"},
                            "group": {"type": "string", "default": GROUP},
                            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                        },
                    },
                },
                "rules": {
                    "type": "array",
                    "default": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}],
                    "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
                "hostnames": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            },
        },
        "status": {"type": "object", "default": {"parents": []}},
    },
}


def definition(plural: str, kind: str, *versions: str) -> dict[str, Any]:
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": ROUTE_SCHEMA}}
                for name in versions
            ],
        },
    }


KINDS = Kinds([definition("httproutes", "HTTPRoute", "v1", "v1beta1")])
ROUTES = KINDS.by_name[GROUP, "HTTPRoute"]
SERVICES = KINDS.by_name["", "Service"]
NAMESPACES = KINDS.by_name["", "Namespace"]
PODS = KINDS.by_name["", "Pod"]
SLICES = KINDS.by_name["discovery.k8s.io", "EndpointSlice"]
DEPLOYMENTS = KINDS.by_name["apps", "Deployment"]


def route(name: str = "cart", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"parentRefs": [{"name": "web"}], **spec}}
