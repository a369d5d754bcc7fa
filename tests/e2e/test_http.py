"""HTTP/1.1 through a real gateway, between real peers: curl, websockets, raw sockets; nginx and echo as backends."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.manifests import Folder, gateway, gateway_class, http_route, listener, rule, service
from tests.processes import Echo, Gateway, Process, free_port, wait_until
from tests.talk import curl, exchange, fetch, find, keep_alive, program, read_all, talk

NGINX = """
daemon off; master_process off; pid {root}/nginx.pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
    access_log off; types {{ text/plain txt; }} default_type application/octet-stream;
    client_body_temp_path {root}/body; proxy_temp_path {root}/proxy; fastcgi_temp_path {root}/fastcgi;
    uwsgi_temp_path {root}/uwsgi; scgi_temp_path {root}/scgi;
    server {{
        listen 127.0.0.1:{port}; root {root}/www;
        location /chunked.txt {{ ssi on; ssi_types text/plain; alias {root}/www/page.txt; }}
        location /close {{ keepalive_timeout 0; alias {root}/www/page.txt; }}
    }}
}}
"""
LARGE = 20_000_000


class Site:
    """A gateway on one port: echo-a on /, nginx on /files, nothing on /dead, no endpoints on /empty."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.root = scratch
        (scratch / "www").mkdir()
        (scratch / "www" / "large").write_bytes(bytes(range(256)) * (LARGE // 256))
        (scratch / "www" / "page.txt").write_text("a page\n")
        self.echo = Echo("echo-a")
        stack.callback(self.echo.stop)
        nginx = free_port()
        self._start_nginx(nginx, stack)
        folder = Folder(scratch / "manifests")
        folder.write("gateway.yaml", gateway_class(), gateway(listener("http", 80)))
        folder.write("backends.yaml", *service("echo-a", self.echo.port), *service("nginx", nginx), *service("empty"))
        folder.write("dead.yaml", *service("dead", free_port()))
        strip = {
            "type": "URLRewrite",
            "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}},
        }
        folder.write(
            "routes.yaml",
            http_route(
                "site",
                rule("echo-a"),
                rule("nginx", "/files", [strip]),
                rule("dead", "/dead"),
                rule("empty", "/empty"),
                rule("missing", "/missing"),
            ),
        )
        self.gateway = Gateway(folder.path, ports=[80])
        stack.callback(self.gateway.stop)
        self.port = self.gateway.ports[80]
        self.url = f"http://127.0.0.1:{self.port}"

    def _start_nginx(self, port: int, stack: ExitStack) -> None:
        if (found := find("nginx")) is None:
            return
        settings = self.root / "nginx.conf"
        settings.write_text(NGINX.format(root=self.root, port=port))
        process = Process([found, "-p", str(self.root), "-c", str(settings)])
        stack.callback(process.stop)
        wait_until(lambda: _shows_the_page(port) or not process.running, "nginx serves")
        assert process.running, process.output


def _shows_the_page(port: int) -> bool:
    try:
        return fetch(port, "/page.txt").body == b"a page\n"
    except OSError:
        return False


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("site"), stack)


@pytest.fixture
def nginx() -> None:
    """For tests of what only nginx does: skips them where it is not installed."""
    program("nginx")


def test_curl_gets_what_the_backend_saw(site: Site):
    seen = json.loads(curl("-H", "X-Test: 1", f"{site.url}/a/b?c=d"))
    assert (seen["name"], seen["method"], seen["path"]) == ("echo-a", "GET", "/a/b?c=d")
    assert seen["host"] == f"127.0.0.1:{site.port}"
    assert seen["headers"]["x-test"] == ["1"]
    assert seen["headers"]["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["headers"]["x-forwarded-proto"] == ["http"]
    assert len(seen["headers"]["x-request-id"]) == 1


def test_untrusted_forwarding_fields_are_replaced(site: Site):
    sent = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    seen = fetch(site.port, headers=sent).json["headers"]
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["http"]
    assert "evil.example" not in str(seen)


def test_many_requests_share_one_connection(site: Site):
    with keep_alive(site.port) as connection:
        for number in range(50):
            assert exchange(connection, f"/{number}").json["path"] == f"/{number}"


@pytest.mark.parametrize("half_closed", [False, True])
def test_pipelined_requests_are_answered_in_order(site: Site, half_closed: bool):
    """All of them, also when the client closes its sending half behind the last one (RFC 9112 section 9.6)."""
    requests = b"".join(b"GET /bytes/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size for size in range(1, 21))
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as client:
        client.sendall(requests + b"GET /status/204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        if half_closed:
            client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
    lengths = [line for line in answer.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    assert [int(line.split(b":")[1]) for line in lengths] == list(range(1, 21))
    assert answer.count(b"HTTP/1.1 20") == 21


@pytest.mark.usefixtures("nginx")
def test_large_download_from_nginx(site: Site):
    reply = fetch(site.port, "/files/large")
    assert reply.status == 200
    assert hashlib.sha256(reply.body).digest() == hashlib.sha256(bytes(range(256)) * (LARGE // 256)).digest()


@pytest.mark.usefixtures("nginx")
def test_range_and_conditional_requests_pass(site: Site):
    part = fetch(site.port, "/files/large", headers={"Range": "bytes=256-511"})
    assert (part.status, part.body) == (206, bytes(range(256)))
    whole = fetch(site.port, "/files/page.txt")
    again = fetch(site.port, "/files/page.txt", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.usefixtures("nginx")
def test_head_has_the_length_but_no_body(site: Site):
    reply = fetch(site.port, "/files/large", method="HEAD")
    assert reply.status == 200
    assert int(reply.headers["content-length"]) == LARGE // 256 * 256
    assert reply.body == b""


@pytest.mark.usefixtures("nginx")
def test_chunked_response_passes_and_keeps_the_connection(site: Site):
    with keep_alive(site.port) as connection:
        for _ in range(3):
            reply = exchange(connection, "/files/chunked.txt")
            assert reply.body == b"a page\n"
            assert reply.headers["transfer-encoding"] == "chunked"


@pytest.mark.usefixtures("nginx")
def test_a_backend_that_closes_each_connection(site: Site):
    with keep_alive(site.port) as connection:
        for _ in range(3):
            assert exchange(connection, "/files/close").body == b"a page\n"


@pytest.mark.parametrize("expect", ["100-continue", ""])
@pytest.mark.parametrize("framing", ["-H", "-HContent-Length: 5000000"])
def test_uploads_arrive_whole(site: Site, tmp_path: Path, expect: str, framing: str):
    body = bytes(range(250)) * 20_000
    (tmp_path / "body").write_bytes(body)
    how = ["-H", "Transfer-Encoding: chunked"] if framing == "-H" else [framing]
    seen = json.loads(
        curl("-X", "PUT", *how, "-H", f"Expect: {expect}", "--data-binary", f"@{tmp_path}/body", site.url)
    )
    assert seen["body"] == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_continue_comes_before_the_body(site: Site):
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as client:
        client.sendall(
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(4096).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"ok")
        assert b'"length": 2' in read_all(client)


def test_trailers_pass_to_the_backend(site: Site):
    request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    answer = talk(site.port, request + b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"length": 5' in answer


@pytest.mark.usefixtures("nginx")
def test_http_1_0_client_gets_a_closed_connection(site: Site):
    answer = talk(site.port, b"GET /files/chunked.txt HTTP/1.0\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"transfer-encoding" not in answer.lower()
    assert answer.endswith(b"\r\n\r\na page\n")


def test_websocket_passes_and_stays_open(site: Site):
    with connect(f"ws://127.0.0.1:{site.port}/ws") as client:
        for length in (0, 1, 126, 70_000):
            client.send("x" * length)
            assert client.recv() == "x" * length
        assert client.ping().wait(60)
        client.close(1000)
        assert client.close_code == 1000


@pytest.mark.parametrize(
    ("path", "status"), [("/dead", 503), ("/empty", 503), ("/missing", 500), ("/status/418", 418), ("/status/204", 204)]
)
def test_status_of_backends_that_cannot_answer(site: Site, path: str, status: int):
    assert fetch(site.port, path).status == status


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("/a/./b/../c", "/a/c"),
        ("/%61%62", "/ab"),
        ("/a%2Fb", "/a%2Fb"),
        ("/x?a=%61&b=../c#", None),
        ("/x?a=%61&b=../c", "/x?a=%61&b=../c"),
        ("/%00", None),
        ("/a%5Cb", None),
    ],
)
def test_paths_pass_in_normal_form(site: Site, sent: str, seen: str | None):
    answer = talk(site.port, f"GET {sent} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    if seen is None:
        assert answer.startswith(b"HTTP/1.1 400 ")
    else:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == seen


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_what_is_outside_the_grammar_is_refused_and_the_connection_closed(site: Site, request_: bytes):
    smuggled = b"GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = talk(site.port, request_ + smuggled)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_slow_reader_does_not_fill_the_gateways_memory(site: Site):
    (worker,) = _children(site.gateway.pid)
    before = _resident(worker)
    with socket.create_connection(("127.0.0.1", site.port), timeout=60) as client:
        client.sendall(b"GET /bytes/400000000 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        received = 0
        while received < 200_000_000:
            received += len(client.recv(1 << 20))
        assert _resident(worker) - before < 32 << 20
    wait_until(lambda: fetch(site.port, "/status/204").status == 204, "the gateway serves others")


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_access_lines_say_what_happened(site: Site):
    fetch(site.port, "/line?secret=1", host="shop.example.com", headers={"User-Agent": 'x"\\y'})
    line = json.loads(site.gateway.line(r'"path":"/line').string)
    assert (line["method"], line["host"], line["status"]) == ("GET", "shop.example.com", 200)
    assert line["route"] == "HTTPRoute/default/site"


def test_admin_documents(site: Site):
    assert fetch(site.gateway.admin, "/livez").body == b"ok\n"
    assert fetch(site.gateway.admin, "/readyz").status == 200
    metrics = fetch(site.gateway.admin, "/metrics").body.decode()
    assert 'route="HTTPRoute/default/site"' in metrics
    assert fetch(site.gateway.admin, "/status").json["kind"] == "List"
    assert "default/echo-a" in json.dumps(fetch(site.gateway.admin, "/config").json)
