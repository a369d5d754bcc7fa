"""HAProxy: one thread; routes in one map file that it searches as a tree, the cheapest way it has for many routes.

`splice` with pipes of 1 MiB is not its default, but halves what bodies cost, and users who move large ones set it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from subprocess import run

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import CALLS, LOOPBACK, Ports, Site

CONFIGURATION = """\
global
    nbthread 1
    maxconn {maxconn}
    no strict-limits
    tune.pipesize 1048576
    {log}

defaults
    timeout connect 5s
    timeout client 60s
    timeout server 60s

{web}
{web_h2}
{web_grpc}
backend web
    mode http
    http-reuse always
    server one {loopback}:{backend} pool-max-conn 256

backend web-h2
    mode http
    http-reuse always
    server one {loopback}:{backend_h2} proto h2 pool-max-conn 256

backend web-grpc
    mode http
    http-reuse always
    server one {loopback}:{backend_grpc} proto h2 pool-max-conn 256

listen raw
    mode tcp
    option splice-response
    option splice-request
    bind {loopback}:{tcp}
    server one {loopback}:{backend}
"""

FRONTEND = """\
frontend to-{backend}
    mode http
    {binds}
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
"""


def frontend(site: Site, folder: Path, backend: str, pairs: Iterable[tuple[str, str]], *binds: str) -> str:
    """Listens on `binds`, and sends these hosts and paths to `backend`."""
    routes = folder / f"{backend}.map"
    routes.write_text("".join(f"{host}{path} {backend}\n" for host, path in pairs))
    return FRONTEND.format(
        backend=backend,
        binds="\n    ".join(f"bind {LOOPBACK}:{bind}" for bind in binds),
        routes=routes,
        format="option httplog\n    log global" if site.access_log else "",
    )


def launch(site: Site, ports: Ports, folder: Path) -> Launch:
    bundle, configuration = folder / "bundle.pem", folder / "haproxy.cfg"
    bundle.write_text(site.certificate.read_text() + site.private_key.read_text())
    secure = f"{ports.https} ssl crt {bundle} alpn h2,http/1.1"
    first = ((host, path) for host, path in site.pairs() if host == site.hosts[0])
    configuration.write_text(
        CONFIGURATION.format(
            loopback=LOOPBACK,
            maxconn=site.connections + 100,
            tcp=ports.tcp,
            backend=site.backend,
            backend_h2=site.backend_h2,
            backend_grpc=site.backend_grpc,
            web=frontend(site, folder, "web", site.pairs(), str(ports.http), f"{ports.h2c} proto h2", secure),
            web_h2=frontend(site, folder, "web-h2", first, f"{ports.h2_h2} proto h2"),
            web_grpc=frontend(site, folder, "web-grpc", [(site.hosts[0], CALLS)], f"{ports.grpc} proto h2"),
            log="log stdout format raw local0" if site.access_log else "",
        )
    )
    return Launch([require("haproxy"), "-db", "-f", str(configuration)])


def version() -> str:
    program = find("haproxy")
    return run([program, "-v"], capture_output=True, text=True, check=True).stdout.split()[2] if program else ""


SETTINGS = """\
one thread; `http-reuse always`, 256 idle connections are kept for the backend; bodies in clear text stay in the kernel
(`option splice-request`, `option splice-response`, pipes of 1 MiB), which is why uploads cost it so little; windows
of HTTP/2 as shipped"""
PEER = Peer("haproxy", "haproxy", "debian:haproxy", version, launch, unrouted=503, settings=SETTINGS)
