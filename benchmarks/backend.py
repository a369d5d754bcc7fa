"""The backend: nginx where it is installed, else (for the smoke run) a small server of our own, without HTTP/2.

/files/body   `body` bytes        /upload/...   PUT takes any body        everything else   66 bytes
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from benchmarks.peers import nginx
from benchmarks.peers.peer import Launch, find
from benchmarks.site import GREETING, LOOPBACK, Site

NGINX = """\
http {{
    access_log off;
    sendfile on;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_max_body_size 0;
    client_body_temp_path {folder}/upload;
    proxy_temp_path {folder}/unused; fastcgi_temp_path {folder}/unused;
    uwsgi_temp_path {folder}/unused; scgi_temp_path {folder}/unused;
    default_type application/json;
    server {{
        listen {loopback}:{port} backlog=1024;
        listen {loopback}:{port_h2} http2 backlog=1024;
        root {folder};
        location / {{ return 200 '{greeting}'; }}
        location = /files/body {{ }}
        location /upload {{ dav_methods PUT; limit_except PUT {{ deny all; }} }}
        location /upload/x/ {{ return 200 '{greeting}'; }}
    }}
}}
"""


def launch(site: Site, folder: Path, body: int) -> Launch:
    """Starts nginx with a sparse file of `body` bytes; uploads replace one file for each connection."""
    if find("nginx") is None:
        return Launch([sys.executable, "-m", "benchmarks.backend", str(site.backend), str(body)])
    for name in ("files", "upload"):
        (folder / name).mkdir()
    with (folder / "files" / "body").open("wb") as file:
        file.truncate(body)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        nginx.preamble(folder, 4096, modules=False)
        + NGINX.format(
            folder=folder,
            loopback=LOOPBACK,
            port=site.backend,
            port_h2=site.backend_h2,
            greeting=GREETING.decode(),
        )
    )
    return Launch(nginx.command(configuration))


class Backend(asyncio.Protocol):
    """Enough of HTTP/1.1 for the clients of this package: one request after the other, Content-Length bodies."""

    def __init__(self, body: int) -> None:
        self.body = body
        self.buffer = b""
        self.left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self.left > len(data):
            self.left -= len(data)
            return
        if self.left:
            data, self.left = data[self.left :], 0
            self.answer(b"")
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, rest = self.buffer.partition(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
            self.buffer, self.left = rest[length:], max(0, length - len(rest))
            if not self.left:
                self.answer(b"\0" * self.body if b" /files/body " in lines[0] else GREETING)

    def answer(self, body: bytes) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def serve(port: int, body: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Backend(body), LOOPBACK, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
