"""What the echo backend answers: pure functions from a request to an answer, the same for HTTP/1.1 and HTTP/2.

`/status/NNN` answers with that status, `/bytes/N` with N bytes, every other path with JSON about the request.
`?delay=SECONDS` on any path waits before the answer.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

Fields = list[tuple[bytes, bytes]]  # names lower case

CHUNK = 65536
LONGEST_DELAY = 3600.0
LARGEST_DOWNLOAD = 1 << 40
_STATUS = re.compile(r"/status/([2-5][0-9]{2})")
_BYTES = re.compile(r"/bytes/([0-9]{1,13})")
_WITHOUT_BODY = frozenset({204, 304})


@dataclass(slots=True)
class Received:
    """One request as it arrived. The body is not kept: its length and digest are."""

    method: str
    target: str  # path with query
    host: str
    fields: Fields
    protocol: str  # "HTTP/1.1", "HTTP/1.0", "HTTP/2"
    length: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def take(self, data: bytes | bytearray) -> None:
        """Account for a piece of the body."""
        self.length += len(data)
        self.digest.update(data)


@dataclass(slots=True, frozen=True)
class Answer:
    """Status, fields, and either a body or the number of bytes to be made up (`size`)."""

    status: int
    fields: Fields
    body: bytes = b""
    size: int = 0


def delay(target: str) -> float:
    """The seconds that `?delay=` asks for; 0 when absent or no sensible number."""
    try:
        seconds = float(parse_qs(urlsplit(target).query).get("delay", ["0"])[0])
    except ValueError:
        return 0.0
    return min(max(seconds, 0.0), LONGEST_DELAY) if math.isfinite(seconds) else 0.0


def answer(received: Received, name: str, peer: dict[str, Any]) -> Answer:
    """The answer to a complete request. `peer` holds the facts of the connection: client, tls."""
    path = urlsplit(received.target).path
    if found := _BYTES.fullmatch(path):
        size = min(int(found[1]), LARGEST_DOWNLOAD)
        return Answer(200, _fields(name, b"application/octet-stream", size), size=size)
    status = int(found[1]) if (found := _STATUS.fullmatch(path)) else 200
    if status in _WITHOUT_BODY:
        return Answer(status, [(b"x-backend", name.encode())])
    body = orjson.dumps(describe(received, name, peer), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    return Answer(status, _fields(name, b"application/json", len(body)), body=body)


def describe(received: Received, name: str, peer: dict[str, Any]) -> dict[str, Any]:
    """The request as plain data: what the JSON of an answer holds."""
    headers: dict[str, list[str]] = {}
    for key, value in received.fields:
        headers.setdefault(key.decode("latin-1"), []).append(value.decode("latin-1"))
    return {
        "name": name,
        "method": received.method,
        "path": received.target,
        "host": received.host,
        "protocol": received.protocol,
        "headers": headers,
        "body": {"length": received.length, "sha256": received.digest.hexdigest()},
        **peer,
    }


def _fields(name: str, kind: bytes, length: int) -> Fields:
    return [(b"content-type", kind), (b"content-length", b"%d" % length), (b"x-backend", name.encode())]
