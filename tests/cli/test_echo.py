"""The echo backend, asked over real sockets by http.client, curl, websockets and openssl."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.certificates import self_signed
from tests.processes import Echo
from tests.talk import curl, fetch, read_all, talk


@pytest.fixture(scope="module")
def backend() -> Iterator[Echo]:
    process = Echo("one")
    yield process
    process.stop()


def test_describes_the_request(backend: Echo):
    reply = fetch(
        backend.port, "/cart?x=1", host="shop.example.com:80", method="POST", headers={"X-A": "1"}, body=b"hello"
    )
    assert reply.status == 200
    assert reply.headers["x-backend"] == "one"
    seen = reply.json
    assert (seen["name"], seen["method"], seen["path"]) == ("one", "POST", "/cart?x=1")
    assert (seen["host"], seen["protocol"], seen["tls"]) == ("shop.example.com:80", "HTTP/1.1", None)
    assert seen["headers"]["x-a"] == ["1"]
    assert seen["body"] == {"length": 5, "sha256": hashlib.sha256(b"hello").hexdigest()}


def test_repeated_fields_stay_apart(backend: Echo):
    answer = talk(backend.port, b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nConnection: close\r\n\r\n")
    assert b'"x-a": [\n      "1",\n      "2"\n    ]' in answer


@pytest.mark.parametrize(("target", "status", "length"), [("/status/503", 503, None), ("/status/204", 204, 0)])
def test_status(backend: Echo, target: str, status: int, length: int | None):
    reply = fetch(backend.port, target)
    assert reply.status == status
    if length is not None:
        assert len(reply.body) == length


def test_the_status_line_has_a_phrase(backend: Echo):
    """Some clients, such as h2load, take no response without one."""
    answer = talk(backend.port, b"GET /status/404 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 404 Not Found\r\n")


@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_downloads_arrive_whole(backend: Echo, version: str):
    size = 3_000_000
    assert curl(
        version, "-o", "/dev/null", "-w", "%{size_download}", f"http://127.0.0.1:{backend.port}/bytes/{size}"
    ) == str(size)


def test_http2_with_prior_knowledge(backend: Echo):
    answer = curl("--http2-prior-knowledge", "-d", "hello", f"http://127.0.0.1:{backend.port}/a?b=1")
    assert '"protocol": "HTTP/2"' in answer
    assert '"path": "/a?b=1"' in answer
    assert hashlib.sha256(b"hello").hexdigest() in answer


def test_head_has_the_length_but_no_body(backend: Echo):
    reply = fetch(backend.port, "/bytes/5", method="HEAD")
    assert reply.headers["content-length"] == "5"
    assert reply.body == b""


def test_pipelined_requests_are_answered_in_order(backend: Echo):
    answer = talk(
        backend.port,
        b"GET /bytes/3 HTTP/1.1\r\nHost: a\r\n\r\nGET /status/204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\0\0\0HTTP/1.1 204 " in answer


def test_delay_holds_back_the_answer_of_a_half_closed_client(backend: Echo):
    with socket.create_connection(("127.0.0.1", backend.port), timeout=60) as client:
        client.sendall(b"GET /status/204?delay=0.2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        client.shutdown(socket.SHUT_WR)
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(60)
        assert read_all(client).startswith(b"HTTP/1.1 204 ")


def test_refuses_what_is_no_http(backend: Echo):
    assert talk(backend.port, b"GARBAGE\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_upload_with_expect_100(backend: Echo):
    with socket.create_connection(("127.0.0.1", backend.port), timeout=60) as client:
        client.sendall(
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"ok")
        assert b'"length": 2' in read_all(client)


def test_websocket_echoes_frames_of_every_length(backend: Echo):
    with connect(f"ws://127.0.0.1:{backend.port}/ws", max_size=None) as client:
        for length in (0, 1, 125, 126, 65535, 65536, 200_000):
            client.send(b"x" * length)
            assert client.recv() == b"x" * length
        client.send(["fragment one, ", "fragment two: €"])
        assert client.recv() == "fragment one, fragment two: €"
        assert client.ping().wait(60)
        client.close(1000)
        assert client.close_code == 1000


UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        pytest.param(b"\x81\x01a", 1002, id="unmasked"),
        pytest.param(b"\xc1\x81\0\0\0\0a", 1002, id="reserved bit"),
        pytest.param(b"\x09\x80\0\0\0\0", 1002, id="fragmented ping"),
        pytest.param(b"\x80\x80\0\0\0\0", 1002, id="continuation of nothing"),
        pytest.param(b"\x81\x81\0\0\0\0\xff", 1007, id="text that is not UTF-8"),
        pytest.param(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 1009, id="too long"),
    ],
)
def test_websocket_closes_on_broken_frames(backend: Echo, frame: bytes, code: int):
    answer = talk(backend.port, UPGRADE + frame)
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head  # the sample of RFC 6455 1.3
    assert rest == b"\x88\x02" + code.to_bytes(2, "big")


def test_tls_facts(echo: Callable[..., Echo], tmp_path: Path):
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    self_signed("echo.example.com", certificate, key)
    backend = echo("secure", "--tls-cert", str(certificate), "--tls-key", str(key))
    context = ssl.create_default_context(cafile=str(certificate))
    context.set_alpn_protocols(["http/1.1"])
    tls = fetch(backend.port, host="echo.example.com", context=context).json["tls"]
    assert (tls["version"], tls["sni"], tls["alpn"]) == ("TLSv1.3", "echo.example.com", "http/1.1")
    answer = curl("--http2", "--cacert", str(certificate), "--resolve", f"echo.example.com:{backend.port}:127.0.0.1",
                  f"https://echo.example.com:{backend.port}/")  # fmt: skip
    assert '"protocol": "HTTP/2"' in answer


def test_tcp_greets_and_echoes_until_the_end(echo: Callable[..., Echo]):
    backend = echo("raw", "--tcp", "--greet")
    data = bytes(range(256)) * 1000
    assert talk(backend.port, data) == b"raw\n" + data


def test_taken_port_is_one_line_and_exit_1(backend: Echo, start: Callable[..., Echo]):
    process = start("gatewayd", "echo", "--port", str(backend.port))
    assert process.wait() == 1
    (line,) = process.lines
    assert line.startswith("gatewayd: echo echo cannot listen: ")
    assert "already in use" in line


def test_sigterm_ends_it_with_0(echo: Callable[..., Echo]):
    assert echo().stop() == 0


@pytest.mark.parametrize("kind", ["http", "http2", "tcp", "tls"])
def test_ends_at_once_though_clients_are_connected(tmp_path: Path, kind: str):
    options: list[str] = []
    if kind == "tls":
        self_signed("shop.test", tmp_path / "c.pem", tmp_path / "k.pem")
        options = ["--tls-cert", str(tmp_path / "c.pem"), "--tls-key", str(tmp_path / "k.pem")]
    process = Echo("leaving", *options, *(["--tcp"] if kind == "tcp" else []))
    with socket.create_connection(("127.0.0.1", process.port)) as plain:
        client = plain
        if kind == "tls":
            trusted = ssl.create_default_context(cafile=tmp_path / "c.pem")
            client = trusted.wrap_socket(plain, server_hostname="shop.test")
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" if kind == "http2" else b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1)
        assert process.stop() == 0
        client.close()
