"""Gateway API objects for the tests as plain data, and a folder that holds them as files."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Manifest = dict[str, Any]
API = "gateway.networking.k8s.io"
X_API = "gateway.networking.x-k8s.io/v1alpha1"


class Folder:
    """A folder of manifests. A file is replaced as a whole, as editors and ConfigMap mounts do it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(exist_ok=True)

    def write(self, name: str, *manifests: Manifest) -> None:
        """Put the objects into one file."""
        self.text(name, "\n---\n".join(json.dumps(manifest, indent=1) for manifest in manifests) + "\n")

    def text(self, name: str, text: str) -> None:
        """Put any text into a file."""
        fresh = self.path / f".{name}.new"
        fresh.write_text(text)
        fresh.replace(self.path / name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.path / name).unlink()


def gateway_class(name: str = "gatewayd", controller: str = "gatewayd.dev/gateway-controller") -> Manifest:
    return {
        "apiVersion": f"{API}/v1",
        "kind": "GatewayClass",
        "metadata": {"name": name},
        "spec": {"controllerName": controller},
    }


def gateway(*listeners: Manifest, name: str = "web", **spec: Any) -> Manifest:
    return {
        "apiVersion": f"{API}/v1",
        "kind": "Gateway",
        "metadata": {"name": name},
        "spec": {"gatewayClassName": "gatewayd", "listeners": list(listeners), **spec},
    }


def listener(name: str, port: int, protocol: str = "HTTP", **more: Any) -> Manifest:
    return {"name": name, "port": port, "protocol": protocol, **more}


def https(name: str, port: int, secret: str, **more: Any) -> Manifest:
    return listener(name, port, "HTTPS", tls={"certificateRefs": [{"name": secret}]}, **more)


def http_route(
    name: str, *rules: Manifest, parent: str = "web", section: str | None = None, hostnames: Sequence[str] = ()
) -> Manifest:
    spec: Manifest = {"parentRefs": [_parent(parent, section)], "rules": list(rules)}
    if hostnames:
        spec["hostnames"] = list(hostnames)
    return {"apiVersion": f"{API}/v1", "kind": "HTTPRoute", "metadata": {"name": name}, "spec": spec}


def grpc_route(name: str, *rules: Manifest, parent: str = "web", hostnames: Sequence[str] = ()) -> Manifest:
    return {**http_route(name, *rules, parent=parent, hostnames=hostnames), "kind": "GRPCRoute"}


def tcp_route(name: str, backends: Mapping[str, int], section: str, parent: str = "web") -> Manifest:
    return {
        "apiVersion": f"{API}/v1alpha2",
        "kind": "TCPRoute",
        "metadata": {"name": name},
        "spec": {"parentRefs": [_parent(parent, section)], "rules": [rule(backends)]},
    }


def tls(name: str, port: int, secret: str | None = None, **more: Any) -> Manifest:
    """A TLS listener: bytes pass through, or TLS ends here where a secret is named."""
    mode: Manifest = {"mode": "Passthrough"} if secret is None else {"certificateRefs": [{"name": secret}]}
    return listener(name, port, "TLS", tls=mode, **more)


def tls_route(
    name: str, backends: Mapping[str, int] | str, *hostnames: str, section: str | None = None, parent: str = "web"
) -> Manifest:
    spec = {"parentRefs": [_parent(parent, section)], "hostnames": list(hostnames), "rules": [rule(backends)]}
    return {"apiVersion": f"{API}/v1", "kind": "TLSRoute", "metadata": {"name": name}, "spec": spec}


def _parent(name: str, section: str | None) -> Manifest:
    return {"name": name} if section is None else {"name": name, "sectionName": section}


def rule(
    backends: Mapping[str, int] | str, prefix: str | None = None, filters: Sequence[Manifest] = (), **more: Any
) -> Manifest:
    """A rule to one backend, or to several with weights; on every path, or on those with a prefix."""
    weights = {backends: 1} if isinstance(backends, str) else backends
    made: Manifest = {"backendRefs": [{"name": name, "port": 80, "weight": weight} for name, weight in weights.items()]}
    if prefix is not None:
        made["matches"] = [{"path": {"type": "PathPrefix", "value": prefix}}]
    if filters:
        made["filters"] = list(filters)
    return {**made, **more}


def response_header(name: str, value: str) -> Manifest:
    return {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"set": [{"name": name, "value": value}]}}


def service(name: str, *ports: int) -> list[Manifest]:
    """A Service with port 80, and one slice that says on which ports of this machine it is served."""
    endpoints = [
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-{port}", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "main", "port": port}],
            "endpoints": [{"addresses": ["127.0.0.1"]}],
        }
        for port in ports
    ]
    spec = {"ports": [{"name": "main", "port": 80}]}
    return [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}, *endpoints]


def secret(name: str, certificate: bytes, key: bytes) -> Manifest:
    data = {"tls.crt": base64.b64encode(certificate).decode(), "tls.key": base64.b64encode(key).decode()}
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata, "data": data}


def xbackend(name: str, hostname: str, port: int, **spec: Any) -> Manifest:
    body = {"type": "ExternalHostname", "externalHostname": {"hostname": hostname}, "port": {"port": port}, **spec}
    return {"apiVersion": X_API, "kind": "XBackend", "metadata": {"name": name}, "spec": body}


def outside(name: str, **more: Any) -> Manifest:
    """A reference to an XBackend."""
    return {"group": "gateway.networking.x-k8s.io", "kind": "XBackend", "name": name, **more}


def traffic_policy(name: str, target: str, **spec: Any) -> Manifest:
    """A policy for a Service."""
    body = {"targetRefs": [{"group": "", "kind": "Service", "name": target}], **spec}
    return {"apiVersion": X_API, "kind": "XBackendTrafficPolicy", "metadata": {"name": name}, "spec": body}
