"""Backends of HTTP/1.1 and TCP that do what each request asks for."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.faults.stage.tally import Tally, pieces
from tests.faults.stage.ways import WAYS
from tests.faults.stage.wish import LIMIT, OVER, GoneError, Talk, reset, sends_back, wish_of


class Rough:
    """The backend on one port. It may die, with all its connections, and return."""

    def __init__(self, tally: Tally, *, raw: bool = False) -> None:
        self.port = 0
        self._tally = tally
        self._raw = raw
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Listen, again on the same port."""
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self.port, limit=LIMIT, backlog=1024, reuse_port=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def die(self) -> None:
        """Cut everything."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await (self._stream(reader, writer) if self._raw else self._answer(Talk(reader, writer, self._tally)))
        except (*OVER, asyncio.LimitOverrunError, GoneError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, talk: Talk) -> None:
        """HTTP: one request after the other."""
        while True:
            talk.head = await talk.reader.readuntil(b"\r\n\r\n")
            talk.wish = wish_of(talk.head.split(b" ", 2)[1].decode())
            asked = talk.field(b"authorization").decode() if b" /check" in talk.head else talk.wish.how
            await WAYS[asked or "deny"](talk)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """TCP: a line with a wish, and what follows it is sent back. `n` bytes come first."""
        wish = wish_of((await reader.readuntil(b"\n")).decode())
        for _, data in pieces(wish.identity, wish.n):
            writer.write(data)
            await writer.drain()
        await sends_back(reader, writer, wish.at if wish.how == "cut" else float("inf"))
        if wish.how == "cut":
            reset(writer)
