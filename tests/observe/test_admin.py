from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import h11
import orjson
import pytest
import uvloop

from gatewayd.observe import admin as subject
from gatewayd.observe.admin import Admin, Answer, split
from gatewayd.observe.log import Log

HOST = b"host: localhost\r\n"
Body = Callable[[int], Awaitable[None]]


def serve(body: Body, tmp_path: Path, host: str = "127.0.0.1") -> None:
    """Run `body` with the port of a server that has three documents; on a loop as the gateway has it."""

    async def fine() -> Answer:
        return Answer(b"fine\n")

    async def broken() -> Answer:
        raise RuntimeError("broken")

    async def slow() -> Answer:
        await asyncio.sleep(3600)
        return Answer(b"")

    async def main() -> None:
        descriptor = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
        server = Admin({"/fine": fine, "/broken": broken, "/slow": slow}, Log(descriptor))
        port = await server.listen(asyncio.get_running_loop(), host, 0)
        try:
            async with asyncio.timeout(60):
                await body(port)
        finally:
            server.close()
            os.close(descriptor)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


async def talk(port: int, data: bytes, end: bool = True) -> bytes:
    """What comes back for some bytes, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if end:
        writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


def parsed(data: bytes, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    client.receive_data(b"")
    head = client.next_event()
    assert isinstance(head, h11.Response)
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    return head.status_code, {name.decode(): value.decode() for name, value in head.headers}, body


def test_a_document(tmp_path: Path) -> None:
    async def body(port: int) -> None:
        status, fields, text = parsed(await talk(port, b"GET /fine?x=1 HTTP/1.1\r\n" + HOST + b"\r\n"))
        assert (status, text) == (200, b"fine\n")
        assert fields["content-type"] == "text/plain; charset=utf-8"
        assert fields["x-content-type-options"] == "nosniff"
        assert fields["cache-control"] == "no-store"
        assert "default-src 'none'" in fields["content-security-policy"]

    serve(body, tmp_path)


def test_head_is_get_without_the_body(tmp_path: Path) -> None:
    async def body(port: int) -> None:
        status, fields, text = parsed(await talk(port, b"HEAD /fine HTTP/1.1\r\n" + HOST + b"\r\n"), "HEAD")
        assert (status, fields["content-length"], text) == (200, "5", b"")

    serve(body, tmp_path)


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b"GET / HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /fine/../fine HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"POST /fine HTTP/1.1\r\n" + HOST + b"content-length: 2\r\n\r\nxx", 405),
        (b"DELETE /fine HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"GET /broken HTTP/1.1\r\n" + HOST + b"\r\n", 500),
        (b"GET /fine HTTP/1.1\r\nhost: evil.example\r\n\r\n", 403),
        (b"GET /fine HTTP/1.1\r\nhost: 127.0.0.1.evil.example:80\r\n\r\n", 403),
        (b"GET /fine HTTP/1.1\r\nhost: 127.0.0.1:9901\r\n\r\n", 200),
        (b"GET /fine HTTP/1.1\r\nhost: [::1]:9901\r\n\r\n", 200),
        (b"GET /fine HTTP/1.1\r\nhost: LOCALHOST\r\n\r\n", 200),
        (b"GET /fine HTTP/1.0\r\n\r\n", 200),
        (b"GET /fine HTTP/1.1\r\n\r\n", 400),
        (b"GET  /fine HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET /fine HTTP/1.1\r\n" + HOST + b"x: " + b"y" * 70_000, 431),
    ],
)
def test_what_is_answered(tmp_path: Path, request_: bytes, expected: int) -> None:
    async def body(port: int) -> None:
        status, fields, _ = parsed(await talk(port, request_))
        assert status == expected
        if expected == 405:
            assert fields["allow"] == "GET, HEAD"

    serve(body, tmp_path)
    if expected == 500:
        line = orjson.loads((tmp_path / "log").read_text())
        assert (line["message"], line["path"]) == ("an admin document failed", "/broken")


def test_a_wildcard_address_answers_to_every_name(tmp_path: Path) -> None:
    async def body(port: int) -> None:
        assert parsed(await talk(port, b"GET /fine HTTP/1.1\r\nhost: gateway.example\r\n\r\n"))[0] == 200

    serve(body, tmp_path, host="0.0.0.0")


def test_requests_follow_each_other_on_one_connection(tmp_path: Path) -> None:
    async def body(port: int) -> None:
        one = b"GET /fine HTTP/1.1\r\n" + HOST + b"\r\n"
        last = b"GET /fine HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"
        answer = await talk(port, one * 3 + last, end=False)
        assert answer.count(b"HTTP/1.1 200 OK\r\n") == 4

    serve(body, tmp_path)


def test_a_client_that_says_nothing_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "TIMEOUT", 0.05)

    async def body(port: int) -> None:
        for data in (b"", b"GET /fine HT", b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(data)
            try:
                assert await reader.read() == b""
            except ConnectionResetError:
                pass
            writer.close()

    serve(body, tmp_path)


def test_there_is_a_limit_of_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "CONNECTIONS", 2)

    async def body(port: int) -> None:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in held:  # each is accepted once it has answered
            writer.write(b"GET /fine HTTP/1.1\r\n" + HOST + b"\r\n")
            assert await reader.readuntil(b"fine\n")
        try:
            assert await talk(port, b"GET /fine HTTP/1.1\r\n" + HOST + b"\r\n") == b""
        except ConnectionError:
            pass
        for _, writer in held:
            writer.close()

    serve(body, tmp_path)


def test_an_address_in_use_is_an_error() -> None:
    async def main() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            server = Admin({}, Log(2))
            with pytest.raises(OSError, match="in use"):
                await server.listen(asyncio.get_running_loop(), *other.getsockname())
            server.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


@pytest.mark.parametrize(
    ("text", "expected"),
    [("127.0.0.1:9901", ("127.0.0.1", 9901)), ("[::1]:80", ("::1", 80)), ("localhost:0", ("localhost", 0))],
)
def test_addresses(text: str, expected: tuple[str, int]) -> None:
    assert split(text) == expected


@pytest.mark.parametrize(
    "text", ["", "9901", ":9901", "localhost", "localhost:", "localhost:x", "localhost:70000", "a:²"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        split(text)
