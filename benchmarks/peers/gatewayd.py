"""gatewayd itself: Gateway API YAML, as a user would write it, with one worker."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.peer import Launch, Peer
from benchmarks.site import LOOPBACK, Ports, Site
from gatewayd import __version__

GATEWAY = "gateway.networking.k8s.io/"
NAMESPACE = "bench"


def resource(api: str, kind: str, name: str, **parts: Any) -> dict[str, Any]:
    metadata = {"name": name} if kind == "GatewayClass" else {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **parts}


def gateway(site: Site) -> Iterator[dict[str, Any]]:
    """The class, its settings and the Gateway with its listeners."""
    settings = {"accessLog": {"enabled": site.access_log}}
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
    places = {"http": site.backend, "h2c": site.backend_h2}
    ports: list[dict[str, Any]] = [
        {"name": "http", "port": 80, "targetPort": places["http"]},
        {"name": "h2c", "port": 81, "targetPort": places["h2c"], "appProtocol": "kubernetes.io/h2c"},
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


def routes(site: Site) -> Iterator[dict[str, Any]]:
    """One HTTPRoute for each route, those of the first host once more for HTTP/2 backends, and one TCPRoute."""
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


def launch(site: Site, ports: Ports, folder: Path) -> Launch:
    objects = folder / "objects"
    write(site, objects)
    mapping = f"80={ports.http},443={ports.https},9000={ports.tcp},8080={ports.h2c},8081={ports.h2_h2}"
    options = ["--workers", "1", "--port-map", mapping, "--admin", "off", "--no-watch"]
    return Launch([sys.executable, "-m", "gatewayd", "run", str(objects), *options])


def version() -> str:
    return f"{__version__} on Python {sys.version.split()[0]}"


PEER = Peer("gatewayd", sys.executable, "this checkout", version, launch)
