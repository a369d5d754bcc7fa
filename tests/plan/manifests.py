"""Manifests of tests in a line or two: every function returns one YAML document."""

from __future__ import annotations

import json
from typing import Any

API = "gateway.networking.k8s.io/v1"
X_API = "gateway.networking.x-k8s.io/v1alpha1"


def document(api_version: str, kind: str, name: str, namespace: str = "", **rest: Any) -> str:
    """JSON is YAML. `metadata` in `rest` adds to name and namespace."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **rest.pop("metadata", {})}
    return json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}, indent=1) + "\n---\n"


def gateway_class(name: str, controller: str, **spec: Any) -> str:
    """A GatewayClass."""
    return document(API, "GatewayClass", name, spec={"controllerName": controller, **spec})


def http(name: str = "http", port: int = 80, **rest: Any) -> dict[str, Any]:
    """An HTTP listener; `rest` overrides."""
    return {"name": name, "port": port, "protocol": "HTTP", **rest}


def https(name: str, secret: str, port: int = 443, **rest: Any) -> dict[str, Any]:
    """An HTTPS listener with one certificate."""
    return {"name": name, "port": port, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": secret}]}, **rest}


def secure(name: str, secret: str | None, port: int = 443, **rest: Any) -> dict[str, Any]:
    """A TLS listener: bytes pass through, or TLS ends here where a secret is named."""
    tls: dict[str, Any] = {"mode": "Passthrough"} if secret is None else {"certificateRefs": [{"name": secret}]}
    return {"name": name, "port": port, "protocol": "TLS", "tls": tls, **rest}


def gateway(
    name: str = "edge",
    *listeners: dict[str, Any],
    ns: str = "shop",
    created: str = "",
    of: str = "gatewayd",
    **spec: Any,
) -> str:
    """A Gateway with an HTTP listener on port 80 unless others are given."""
    metadata = {"creationTimestamp": created} if created else {}
    body = {"gatewayClassName": of, "listeners": list(listeners) or [http()], **spec}
    return document(API, "Gateway", name, ns, metadata=metadata, spec=body)


def backend(name: str = "cart", port: int = 80, **rest: Any) -> dict[str, Any]:
    """A backendRef."""
    return {"name": name, "port": port, **rest}


def rule(*backends: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """A rule; without backends it goes to the Service cart."""
    return {"backendRefs": list(backends) or [backend()], **rest}


def route(
    name: str = "cart",
    *rules: dict[str, Any],
    ns: str = "shop",
    kind: str = "HTTPRoute",
    parents: list[dict[str, Any]] | None = None,
    created: str = "",
    **spec: Any,
) -> str:
    """A route to the Gateway edge."""
    metadata = {"creationTimestamp": created} if created else {}
    body = {"parentRefs": [{"name": "edge"}] if parents is None else parents, "rules": list(rules) or [rule()], **spec}
    return document(API, kind, name, ns, metadata=metadata, spec=body)


def service(name: str = "cart", *ports: dict[str, Any], ns: str = "shop", **spec: Any) -> str:
    """A Service with port 80 unless others are given."""
    return document("v1", "Service", name, ns, spec={"ports": list(ports) or [{"port": 80}], **spec})


def endpoint_slice(
    *endpoints: dict[str, Any] | str,
    of: str = "cart",
    name: str = "",
    ns: str = "shop",
    family: str = "IPv4",
    ports: list[dict[str, Any]] | None = None,
) -> str:
    """An EndpointSlice of a Service; a text is the address of an endpoint."""
    listed = [{"addresses": [one]} if isinstance(one, str) else one for one in endpoints]
    return document(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        name or f"{of}-1",
        ns,
        metadata={"labels": {"kubernetes.io/service-name": of}},
        addressType=family,
        ports=[{"port": 8080}] if ports is None else ports,
        endpoints=listed,
    )


def grant(
    name: str = "grant",
    ns: str = "stock",
    *,
    kind: str = "HTTPRoute",
    of: str = "shop",
    to: str = "Service",
    target: str = "",
    group: str = "",
) -> str:
    """A ReferenceGrant in `ns` for objects of `kind` in namespace `of`; for all of kind `to`, or for one `target`."""
    source = {"group": "gateway.networking.k8s.io", "kind": kind, "namespace": of}
    aim = {"group": group, "kind": to, **({"name": target} if target else {})}
    return document(API, "ReferenceGrant", name, ns, spec={"from": [source], "to": [aim]})


def xbackend(
    name: str = "far", hostname: str = "far.example.com", port: int = 80, ns: str = "shop", **spec: Any
) -> str:
    """An XBackend."""
    body = {"type": "ExternalHostname", "externalHostname": {"hostname": hostname}, "port": {"port": port}, **spec}
    return document(X_API, "XBackend", name, ns, spec=body)


def outside(name: str = "far", **rest: Any) -> dict[str, Any]:
    """A backendRef to an XBackend."""
    return {"group": "gateway.networking.x-k8s.io", "kind": "XBackend", "name": name, **rest}


def traffic_policy(name: str = "calm", *targets: str, ns: str = "shop", created: str = "", **spec: Any) -> str:
    """An XBackendTrafficPolicy; targets are `cart` for a Service, `XBackend/far` for an XBackend."""
    refs = [
        {"group": "gateway.networking.x-k8s.io" if "/" in each else "", "kind": each.rpartition("/")[0] or "Service"}
        | {"name": each.rpartition("/")[2]}
        for each in targets or ("cart",)
    ]
    metadata = {"creationTimestamp": created} if created else {}
    return document(X_API, "XBackendTrafficPolicy", name, ns, metadata=metadata, spec={"targetRefs": refs, **spec})


def namespace(name: str, **labels: str) -> str:
    """A Namespace with labels."""
    return document("v1", "Namespace", name, metadata={"labels": labels})


CART = service() + endpoint_slice("127.0.0.1")
