"""Load that counts what it lost: clients that ask on and on, at a rate that leaves the machine room."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from tests.faults.stage.client import Client, LostError

Ask = Callable[[Client], Awaitable[object]]


@dataclass(frozen=True)
class Loss:
    """A request that was lost: when it was sent, when that was known, and the client's port of its connection."""

    kind: str
    sent: float
    ended: float
    port: int
    reused: bool


class Load:
    """`clients` keep-alive clients that ask `rate` times a second in all. Ask raises LostError for what is lost.

    `answers` holds (moment of sending, seconds) of every right answer, `losses` the others.
    """

    def __init__(self, port: int, ask: Ask | None = None, *, clients: int = 40, rate: float = 400.0) -> None:
        self.answers: list[tuple[float, float]] = []
        self.losses: list[Loss] = []
        self.clients = [Client(port) for _ in range(clients)]
        self.busy: set[Client] = set()
        self._ask = ask or (lambda client: client.check())
        self._pause = clients / rate
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._go_on(client)) for client in self.clients]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """Let every client finish its request, then close the connections."""
        self._stopped.set()
        await asyncio.gather(*self._tasks)
        for client in self.clients:
            client.close()

    async def _go_on(self, client: Client) -> None:
        await asyncio.sleep(random.random() * self._pause)
        while not self._stopped.is_set():
            await self._once(client)
            await asyncio.sleep(self._pause * (0.5 + random.random()))

    async def _once(self, client: Client) -> None:
        began = time.monotonic()
        self.busy.add(client)
        try:
            await self._ask(client)
        except LostError as lost:
            port = lost.port or client.port
            self.losses.append(Loss(lost.kind, client.sent or began, time.monotonic(), port, client.reused))
        else:
            self.answers.append((began, time.monotonic() - began))
        finally:
            self.busy.discard(client)

    def seconds(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """How long the right answers took that were asked for in a span."""
        return [took for sent, took in self.answers if since <= sent < until]

    @property
    def asked(self) -> int:
        """How many requests were made."""
        return len(self.answers) + len(self.losses)

    def lost(self, *kinds: str) -> int:
        """How many requests were lost, of some kinds or of all."""
        return sum(1 for loss in self.losses if not kinds or loss.kind in kinds)

    def kinds(self) -> str:
        """What was lost, for a message: "3 reset, 1 503"."""
        counted = sorted({loss.kind for loss in self.losses})
        return ", ".join(f"{self.lost(kind)} {kind}" for kind in counted)
