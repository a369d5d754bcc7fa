"""The HTTP/1.1 server under the API, spoken through h11."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import h11


@dataclass(frozen=True)
class Request:
    """One request; `body` is decoded JSON or None."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    content_type: str
    body: Any


@dataclass(frozen=True)
class Response:
    """`body` is text, or something to encode as JSON."""

    code: int
    body: Any


Answer = Callable[[Request], Awaitable[Response]]


async def serve(host: str, port: int, answer: Answer) -> asyncio.Server:
    """Accept connections until the server is closed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _converse(reader, writer, answer)
        except (ConnectionError, h11.RemoteProtocolError):
            pass
        finally:
            writer.close()

    return await asyncio.start_server(connected, host, port)


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
    protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=64 * 1024)
    while True:
        request = await _request(reader, protocol)
        if request is None:
            return
        writer.write(_encoded(protocol, await answer(request)))
        await writer.drain()
        if protocol.our_state is not h11.DONE or protocol.their_state is not h11.DONE:
            return
        protocol.start_next_cycle()


async def _request(reader: asyncio.StreamReader, protocol: h11.Connection) -> Request | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = protocol.next_event()
        if event is h11.NEED_DATA:
            protocol.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return _decoded(head, body)
        else:
            return None


def _decoded(head: h11.Request, body: bytes) -> Request:
    target = urlsplit(head.target.decode("latin-1"))
    fields = {name.decode(): value.decode("latin-1") for name, value in head.headers}
    return Request(
        method=head.method.decode(),
        path=tuple(unquote(part) for part in target.path.split("/") if part),
        query=dict(parse_qsl(target.query)),
        content_type=fields.get("content-type", ""),
        body=json.loads(body) if body else None,
    )


def _encoded(protocol: h11.Connection, response: Response) -> bytes:
    text = isinstance(response.body, str)
    body = response.body.encode() if text else json.dumps(response.body).encode()
    fields = [
        ("content-type", "text/plain" if text else "application/json"),
        ("content-length", str(len(body))),
    ]
    parts = [
        protocol.send(h11.Response(status_code=response.code, headers=fields)),
        protocol.send(h11.Data(data=body)),
        protocol.send(h11.EndOfMessage()),
    ]
    return b"".join(part for part in parts if part)
