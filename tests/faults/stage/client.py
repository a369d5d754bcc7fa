"""A client of HTTP/1.1 that knows exactly which answer it must get, and says what it lost."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from zlib import crc32

PATIENCE = 60.0
WINDOW = 65536
_identities = itertools.count(1)


class LostError(Exception):
    """A request without its right answer: `kind` is refused, reset, short, wrong, timeout or the status."""

    def __init__(self, kind: str, port: int = 0) -> None:
        super().__init__(kind)
        self.kind = kind
        self.port = port


@dataclass(frozen=True)
class Head:
    """Status and fields of a response; names in lower case, the last of repeated ones."""

    status: int
    fields: dict[str, str]


def next_identity() -> int:
    """A number that no other request of this process has."""
    return next(_identities)


def content(identity: int, size: int | None = None) -> bytes:
    """The body that belongs to a request's identity, closed by its checksum. 20 bytes to 4 KiB, or `size`."""
    size = 20 + identity * 7919 % 4077 if size is None else size
    text = (b"%d;" % identity) * (size // 2)
    text = text[: size - 9]
    return text + b"\n%08x" % crc32(text)


async def read_head(reader: asyncio.StreamReader) -> Head:
    """The head of a response; interim responses are skipped. LostError when the connection ends before."""
    while True:
        try:
            text = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except (asyncio.IncompleteReadError, OSError) as error:
            raise LostError("reset") from error
        status, *lines = text[:-4].split("\r\n")
        if not status.startswith("HTTP/1.1 1") or " 101 " in status:
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            return Head(int(status.split()[1]), fields)


async def read_body(reader: asyncio.StreamReader, head: Head, method: str = "GET") -> AsyncIterator[bytes]:
    """The body in pieces. LostError("short") when it does not end as its framing promises."""
    try:
        if method == "HEAD" or head.status in {204, 304}:
            return
        if head.fields.get("transfer-encoding") == "chunked":
            while size := int((await reader.readuntil(b"\r\n"))[:-2], 16):
                yield await reader.readexactly(size)
                await reader.readexactly(2)
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return
        left = int(head.fields["content-length"]) if "content-length" in head.fields else None
        while left != 0:
            data = await reader.read(WINDOW if left is None else min(WINDOW, left))
            if not data and left is not None:
                raise LostError("short")
            if not data:
                return
            left = None if left is None else left - len(data)
            yield data
    except (asyncio.IncompleteReadError, OSError, ValueError) as error:
        raise LostError("short") from error


class Client:
    """One client with at most one connection, which is kept as long as the gateway keeps it."""

    def __init__(self, port: int, *, patience: float = PATIENCE) -> None:
        self.target = port
        self.patience = patience
        self.port = 0  # our own end
        self.connects = 0
        self.sent = 0.0
        self.reused = False
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(
        self, path: str = "/", *, method: str = "GET", host: str = "localhost", body: bytes = b"", head: str = ""
    ) -> tuple[Head, bytes, int]:
        """One request: (head, body, identity). LostError when there is no complete answer, with any status."""
        identity = next_identity()
        length = f"content-length: {len(body)}\r\n" if body else ""
        text = f"{method} {path} HTTP/1.1\r\nhost: {host}\r\nx-id: {identity}\r\n{length}{head}\r\n".encode() + body
        try:
            async with asyncio.timeout(self.patience):
                answer, received = await self._exchange(text, method)
        except TimeoutError as error:
            self.close()
            raise LostError("timeout", self.port) from error
        except LostError as lost:
            self.close()
            raise LostError(lost.kind, self.port) from lost
        if answer.fields.get("connection", "").lower() == "close":
            self.close()
        return answer, received, identity

    async def check(self, path: str = "/", *, method: str = "GET", host: str = "localhost", body: bytes = b"") -> Head:
        """One request whose answer must be the witness's 200 for this very request; LostError if it is not."""
        head, received, identity = await self.ask(path, method=method, host=host, body=body)
        if head.status != 200:
            raise LostError(str(head.status), self.port)
        if head.fields.get("x-id") != str(identity) or received != content(identity):
            raise LostError("wrong", self.port)
        return head

    async def _exchange(self, text: bytes, method: str) -> tuple[Head, bytes]:
        reader, writer = await self._connected()
        self.sent = time.monotonic()
        writer.write(text)
        head = await read_head(reader)
        pieces = [piece async for piece in read_body(reader, head, method)]
        return head, b"".join(pieces)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The connection; a new one where there is none or the gateway has closed it meanwhile."""
        if self._reader is not None and (self._reader.at_eof() or self._reader.exception()):
            self.close()
        self.reused = self._reader is not None
        if self._reader is None or self._writer is None:
            self.sent = time.monotonic()
            self.port = 0
            try:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.target, limit=WINDOW)
            except OSError as error:
                raise LostError("refused") from error
            self.connects += 1
            self.port = self._writer.get_extra_info("sockname")[1]
        return self._reader, self._writer

    def close(self) -> None:
        """Let go of the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None
