"""HAProxy: one thread; routes in one map file that it searches as a tree, the cheapest way it has for many routes.

`splice` with pipes of 1 MiB is not its default, but halves what bodies cost, and users who move large ones set it.
"""

from __future__ import annotations

from pathlib import Path
from subprocess import run

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import LOOPBACK, Ports, Site

CONFIGURATION = """\
global
    nbthread 1
    maxconn 1000
    tune.pipesize 1048576
    {log}

defaults
    timeout connect 5s
    timeout client 60s
    timeout server 60s

frontend web
    mode http
    bind {loopback}:{http}
    bind {loopback}:{https} ssl crt {bundle} alpn http/1.1
    {format}
    option http-keep-alive
    option splice-response
    option splice-request
    http-request set-header X-Forwarded-For %[src]
    http-request set-header X-Forwarded-Proto https if {{ ssl_fc }}
    http-request set-header X-Forwarded-Proto http if !{{ ssl_fc }}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Request-Id %[uuid]
    http-request set-var(txn.host) req.hdr(host),host_only,lower
    http-request set-var(txn.path) path
    http-request set-var(txn.key) var(txn.host),concat(,txn.path)
    use_backend %[var(txn.key),map_beg({routes})]

backend web
    mode http
    http-reuse always
    server one {loopback}:{backend} pool-max-conn 256

listen raw
    mode tcp
    option splice-response
    option splice-request
    bind {loopback}:{tcp}
    server one {loopback}:{backend}
"""


def launch(site: Site, ports: Ports, folder: Path) -> Launch:
    routes, bundle, configuration = folder / "routes.map", folder / "bundle.pem", folder / "haproxy.cfg"
    routes.write_text("".join(f"{host}{path} web\n" for host, path in site.pairs()))
    bundle.write_text(site.certificate.read_text() + site.private_key.read_text())
    configuration.write_text(
        CONFIGURATION.format(
            loopback=LOOPBACK,
            http=ports.http,
            https=ports.https,
            tcp=ports.tcp,
            backend=site.backend,
            bundle=bundle,
            routes=routes,
            log="log stdout format raw local0" if site.access_log else "",
            format="option httplog\n    log global" if site.access_log else "",
        )
    )
    return Launch([require("haproxy"), "-db", "-f", str(configuration)])


def version() -> str:
    program = find("haproxy")
    return run([program, "-v"], capture_output=True, text=True, check=True).stdout.split()[2] if program else ""


PEER = Peer("haproxy", "haproxy", "debian:haproxy", version, launch, unrouted=503)
