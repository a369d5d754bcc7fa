"""gatewayd itself: Gateway API YAML, as a user would write it, with one worker."""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit
from typing import Any

from benchmarks.peers.peer import Launch, Peer
from benchmarks.site import CALLS, LOOPBACK, Ports, Site
from gatewayd import __version__

GATEWAY = "gateway.networking.k8s.io/"
NAMESPACE = "bench"
PATIENCE = "120s"  # in which all idle connections must be open, before the first of them is closed
SHARE = 0.4  # of a worker's descriptors is for connections of clients


def resource(api: str, kind: str, name: str, **parts: Any) -> dict[str, Any]:
    metadata = {"name": name} if kind == "GatewayClass" else {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **parts}


def gateway(site: Site) -> Iterator[dict[str, Any]]:
    """The class, its settings and the Gateway with its listeners."""
    settings = {"accessLog": {"enabled": site.access_log}, "timeouts": dict.fromkeys(("head", "idle"), PATIENCE)}
    reference = {"group": "gatewayd.dev", "kind": "GatewayConfig", "name": "settings"}
    listeners = [
        {"name": "http", "port": 80, "protocol": "HTTP"},
        {
            "name": "https",
            "port": 443,
            "protocol": "HTTPS",
            "tls": {"certificateRefs": [{"name": "certificate"}]},
        },
        {"name": "tcp", "port": 9000, "protocol": "TCP"},
        {"name": "h2c", "port": 8080, "protocol": "HTTP"},
        {"name": "h2-h2", "port": 8081, "protocol": "HTTP"},
        {"name": "grpc", "port": 8082, "protocol": "HTTP"},
    ]
    spec = {
        "gatewayClassName": "gatewayd",
        "addresses": [{"type": "IPAddress", "value": LOOPBACK}],
        "infrastructure": {"parametersRef": reference},
        "listeners": listeners,
    }
    controller = {"controllerName": "gatewayd.dev/gateway-controller"}
    yield resource(GATEWAY + "v1", "GatewayClass", "gatewayd", spec=controller)
    yield resource("gatewayd.dev/v1alpha1", "GatewayConfig", "settings", spec=settings)
    yield resource(GATEWAY + "v1", "Gateway", "edge", spec=spec)


def backend(site: Site) -> Iterator[dict[str, Any]]:
    """A Service, where it is served, and the Secret of the HTTPS listener. What speaks HTTP/2 says so (GEP-1911)."""
    places = {"http": site.backend, "h2c": site.backend_h2, "grpc": site.backend_grpc}
    ports: list[dict[str, Any]] = [
        {"name": "http", "port": 80, "targetPort": places["http"]},
        {"name": "h2c", "port": 81, "targetPort": places["h2c"], "appProtocol": "kubernetes.io/h2c"},
        {"name": "grpc", "port": 82, "targetPort": places["grpc"], "appProtocol": "kubernetes.io/h2c"},
    ]
    yield resource("v1", "Service", "backend", spec={"ports": ports})
    slices = resource(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "backend-1",
        addressType="IPv4",
        ports=[{"name": name, "port": port, "protocol": "TCP"} for name, port in places.items()],
        endpoints=[{"addresses": [LOOPBACK], "conditions": {"ready": True}}],
    )
    slices["metadata"]["labels"] = {"kubernetes.io/service-name": "backend"}
    yield slices
    pair = {"tls.crt": site.certificate.read_bytes(), "tls.key": site.private_key.read_bytes()}
    data = {name: base64.b64encode(value).decode() for name, value in pair.items()}
    yield resource("v1", "Secret", "certificate", type="kubernetes.io/tls", data=data)


def route(name: str, host: str, path: str, sections: tuple[str, ...], port: int) -> dict[str, Any]:
    """An HTTPRoute from these listeners to this port of the Service."""
    parents = [{"name": "edge", "sectionName": section} for section in sections]
    match = {"path": {"type": "PathPrefix", "value": path}}
    rules = [{"matches": [match], "backendRefs": [{"name": "backend", "port": port}]}]
    spec = {"parentRefs": parents, "hostnames": [host], "rules": rules}
    return resource(GATEWAY + "v1", "HTTPRoute", name, spec=spec)


def calls(host: str) -> dict[str, Any]:
    """A GRPCRoute."""
    rules = [
        {
            "matches": [{"method": {"service": CALLS.removeprefix("/")}}],
            "backendRefs": [{"name": "backend", "port": 82}],
        }
    ]
    spec = {"parentRefs": [{"name": "edge", "sectionName": "grpc"}], "hostnames": [host], "rules": rules}
    return resource(GATEWAY + "v1", "GRPCRoute", "calls", spec=spec)


def routes(site: Site) -> Iterator[dict[str, Any]]:
    """One HTTPRoute for each route, those of the first host once more for HTTP/2 backends; a GRPCRoute, a TCPRoute."""
    yield calls(site.hosts[0])
    for number, (host, path) in enumerate(site.pairs()):
        first = host == site.hosts[0]
        sections = ("http", "https", "h2c") if first else ("http", "https")
        yield route(f"route-{number}", host, path, sections, 80)
        if first:
            yield route(f"route-h2-{number}", host, path, ("h2-h2",), 81)
    rules = [{"backendRefs": [{"name": "backend", "port": 80}]}]
    spec = {"parentRefs": [{"name": "edge", "sectionName": "tcp"}], "rules": rules}
    yield resource(GATEWAY + "v1alpha2", "TCPRoute", "raw", spec=spec)


def write(site: Site, folder: Path) -> None:
    """JSON is YAML: one document after the other, in three files."""
    folder.mkdir(exist_ok=True)
    for name, documents in {"gateway": gateway(site), "backend": backend(site), "routes": routes(site)}.items():
        text = "---\n".join(json.dumps(document) + "\n" for document in documents)
        (folder / f"{name}.yaml").write_text(text)


def workers(connections: int) -> int:
    """One, or as many as have descriptors for so many connections: a worker keeps most of its own for other ends."""
    limit = getrlimit(RLIMIT_NOFILE)[1]
    return math.ceil(connections / (SHARE * limit))


def launch(site: Site, ports: Ports, folder: Path) -> Launch:
    objects = folder / "objects"
    write(site, objects)
    places = {80: ports.http, 443: ports.https, 9000: ports.tcp, 8080: ports.h2c, 8081: ports.h2_h2, 8082: ports.grpc}
    mapping = ",".join(f"{written}={bound}" for written, bound in places.items())
    options = ["--workers", str(workers(site.connections)), "--port-map", mapping, "--admin", "off", "--no-watch"]
    return Launch([sys.executable, "-m", "gatewayd", "run", str(objects), *options])


def version() -> str:
    return f"{__version__} on Python {sys.version.split()[0]}"


SETTINGS = f"""\
one worker; `timeouts` of {PATIENCE}, for connections that stay idle. As shipped: 100 idle connections are kept
for each endpoint, windows of HTTP/2 are 64 KiB for a stream and 1 MiB for a connection, long bodies in clear text are
moved by the kernel, others pass through buffers of 64 KiB"""
PEER = Peer("gatewayd", sys.executable, "this checkout", version, launch, settings=SETTINGS)
