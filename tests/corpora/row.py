"""The shape of the corpora: one message, why it matters, and what must become of it."""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """A message that is refused. `data` is all that arrives, `source` the rule that it breaks or the attack it is."""

    name: str
    source: str
    status: int
    reason: str
    data: bytes


class Request(NamedTuple):
    """A request that is accepted, with what it means. `fields` are those that would be forwarded."""

    name: str
    source: str
    data: bytes
    method: bytes = b"GET"
    path: bytes = b"/"
    query: bytes = b""
    host: bytes = b"a"
    body: bytes = b""
    rest: bytes = b""
    keep_alive: bool = True
    fields: tuple[tuple[bytes, bytes], ...] = ()
    trailers: tuple[tuple[bytes, bytes], ...] = ()


class Response(NamedTuple):
    """A response that is accepted, to a request with `method`."""

    name: str
    source: str
    data: bytes
    method: bytes = b"GET"
    status: int = 200
    length: int = 0
    keep_alive: bool = True
    fields: tuple[tuple[bytes, bytes], ...] = ()


def text(*lines: str, body: str = "") -> bytes:
    """A message of these lines. Every character is one byte (Latin-1)."""
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("latin-1")


def request(*fields: str, line: str = "GET / HTTP/1.1", host: str = "Host: a", body: str = "") -> bytes:
    """A request with Host first, unless `host` is empty."""
    return text(line, *([host] if host else []), *fields, body=body)


def chunked(body: str, *fields: str) -> bytes:
    """A POST with a chunked body, given as it stands on the wire."""
    return request("Transfer-Encoding: chunked", *fields, line="POST / HTTP/1.1", body=body)
