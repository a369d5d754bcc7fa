"""Connections that are held open for long and checked all the time: TCP streams and WebSockets."""

from __future__ import annotations

import asyncio
import time
from typing import Self

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

PAUSE = 0.1


class Streams:
    """`count` TCP streams to an echo through the gateway. `ends` holds, for each that ended, (port, moment)."""

    def __init__(self, port: int, count: int) -> None:
        self.ends: list[tuple[int, float]] = []
        self.wrong = 0
        self.messages = 0
        self._port = port
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        opened = [await asyncio.open_connection("127.0.0.1", self._port) for _ in range(self._count)]
        self._tasks = [asyncio.create_task(self._talk(reader, writer)) for reader, writer in opened]
        return self

    async def __aexit__(self, *_: object) -> None:
        await _end(self._tasks)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = 0
        try:
            while True:
                number += 1
                message = b"%08d" % number
                writer.write(message)
                if await reader.readexactly(8) != message:
                    self.wrong += 1
                self.messages += 1
                await asyncio.sleep(PAUSE)
        except (asyncio.IncompleteReadError, OSError):
            self.ends.append((writer.get_extra_info("sockname")[1], time.monotonic()))
        finally:
            writer.transport.abort()


class WebSockets:
    """`count` WebSockets to an echo through the gateway. `ends` holds (close code or None, moment) of each end."""

    def __init__(self, port: int, count: int, path: str = "/ws") -> None:
        self.ends: list[tuple[int | None, float]] = []
        self.wrong = 0
        self.messages = 0
        self.opened = 0
        self._uri = f"ws://127.0.0.1:{port}{path}"
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._talk()) for _ in range(self._count)]
        while self.opened + len(self.ends) < self._count:
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_: object) -> None:
        await _end(self._tasks)

    async def _talk(self) -> None:
        number = 0
        try:
            async with connect(self._uri, ping_interval=None, close_timeout=1, proxy=None) as socket:
                self.opened += 1
                while True:
                    number += 1
                    await socket.send(str(number))
                    if await socket.recv() != str(number):
                        self.wrong += 1
                    self.messages += 1
                    await asyncio.sleep(PAUSE)
        except ConnectionClosed as closed:
            self.ends.append((closed.rcvd.code if closed.rcvd else None, time.monotonic()))
        except (OSError, InvalidHandshake):
            self.ends.append((None, time.monotonic()))


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
