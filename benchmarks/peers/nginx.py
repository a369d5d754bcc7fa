"""nginx: keep-alive to the backend, bodies streamed and never spooled to disk, the same X- fields that gatewayd sets.

It speaks no HTTP/2 to backends, and on a port without TLS either HTTP/1.1 or HTTP/2. Buffers of 64 KiB are not its
default, but halve what bodies cost, and users who move large ones set them.
"""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from subprocess import run

from benchmarks.peers.peer import Launch, Peer, find, require
from benchmarks.site import CALLS, LAYERS, LOOPBACK, Ports, Site

STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
SPARE = 512  # connections to the backend, listening sockets, files

MAIN = """\
{module}
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log error;
events {{ worker_connections {connections}; }}
"""

HTTP = """\
http {{
    access_log {access_log};
    server_names_hash_max_size 16384;
    server_names_hash_bucket_size 128;
    keepalive_requests 1000000000;
    keepalive_timeout 60s;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/unused; uwsgi_temp_path {folder}/unused; scgi_temp_path {folder}/unused;
    client_max_body_size 0;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_buffers 8 64k;
    proxy_busy_buffers_size 128k;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Request-Id $request_id;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {private_key};
    upstream backend {{
        server {loopback}:{backend};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {loopback}:{http} default_server;
        listen {loopback}:{https} ssl http2 default_server;
        return 404;
    }}
    upstream grpc {{
        server {loopback}:{backend_grpc};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {loopback}:{grpc} http2;
        location {calls} {{
            grpc_set_header Host $http_host;
            grpc_set_header X-Forwarded-For $remote_addr;
            grpc_set_header X-Forwarded-Proto $scheme;
            grpc_set_header X-Forwarded-Host $http_host;
            grpc_set_header X-Request-Id $request_id;
            grpc_pass grpc://grpc;
        }}
        location / {{ return 404; }}
    }}
{servers}}}
"""

SERVER = """\
    server {{
        listen {loopback}:{http};
        listen {loopback}:{https} ssl http2;
        {prior_knowledge}
        server_name {host};
        location / {{ return 404; }}
{locations}    }}
"""

PRIOR_KNOWLEDGE = "listen {loopback}:{h2c} http2;"

LOCATION = """\
        location {path} {{ proxy_pass http://backend; }}
"""

TCP = """\
stream {{
    server {{ listen {loopback}:{tcp}; proxy_pass {loopback}:{backend}; proxy_timeout 60s; proxy_buffer_size 64k; }}
}}
"""


def preamble(folder: Path, connections: int, *, modules: bool) -> str:
    """The part outside of http. Started by root, the worker stays root: it reads files of a private folder."""
    module = f"load_module {STREAM};" if modules and STREAM.exists() else ""
    user = "user root;" if os.geteuid() == 0 else ""
    return MAIN.format(module=module, user=user, folder=folder, connections=connections)


def command(configuration: Path) -> list[str]:
    return [require("nginx"), "-e", "stderr", "-p", str(configuration.parent), "-c", str(configuration)]


def launch(site: Site, ports: Ports, folder: Path) -> Launch:
    places = {"loopback": LOOPBACK, "http": ports.http, "https": ports.https, "tcp": ports.tcp, "h2c": ports.h2c}
    places |= {"backend": site.backend, "grpc": ports.grpc, "backend_grpc": site.backend_grpc}
    servers = "".join(
        SERVER.format(
            host=host,
            locations="".join(LOCATION.format(path=path) for _, path in routes),
            prior_knowledge=PRIOR_KNOWLEDGE.format(**places) if host == site.hosts[0] else "",
            **places,
        )
        for host, routes in groupby(site.pairs(), key=lambda pair: pair[0])
    )
    text = preamble(folder, site.connections + SPARE, modules=True) + HTTP.format(
        folder=folder,
        access_log=f"{folder}/access.log combined buffer=64k flush=1s" if site.access_log else "off",
        certificate=site.certificate,
        private_key=site.private_key,
        servers=servers,
        calls=CALLS,
        **places,
    )
    if STREAM.exists():
        text += TCP.format(**places)
    configuration = folder / "nginx.conf"
    configuration.write_text(text)
    return Launch(command(configuration))


def version() -> str:
    program = find("nginx")
    if not program:
        return ""
    return run([program, "-v"], capture_output=True, text=True, check=True).stderr.split("/")[-1].strip()


SETTINGS = """\
one worker process; 256 idle connections are kept to the backend; bodies are never spooled to disk
(`proxy_request_buffering off`, no temporary files), answers have 8 buffers of 64 KiB; windows of HTTP/2 as shipped. A
connection to the gRPC server carries one call at a time"""
PEER = Peer(
    "nginx",
    "nginx",
    "debian:nginx libnginx-mod-stream",
    version,
    launch,
    frozenset(LAYERS) - {"h2-h2"} - (set() if STREAM.exists() else {"tcp"}),
    settings=SETTINGS,
)
