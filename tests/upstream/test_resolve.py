"""Names of backends: resolved in the background, refreshed, and kept when a look-up fails."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from gatewayd.upstream.backend import Backend
from gatewayd.upstream.resolve import REFRESH, RETRY, Resolver


class Loop:
    """A loop whose look-ups a test answers and whose clock it sets."""

    def __init__(self, real: asyncio.AbstractEventLoop) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.notices: list[str] = []
        self.answer: list[str] | Exception = []
        self.gate: asyncio.Event | None = None  # where answers are slow: until then
        self.create_task = real.create_task

    def time(self) -> float:
        return self.now

    async def getaddrinfo(self, host: str, port: int, *, type: socket.SocketKind) -> list[Any]:  # noqa: A002
        self.asked.append(host)
        answer = self.answer
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return [(socket.AF_INET, type, 6, "", (address, port)) for address in answer]


def run(steps: Any) -> None:
    with asyncio.Runner() as runner:

        async def steady() -> None:
            loop = Loop(asyncio.get_running_loop())
            backend = Backend("b")
            resolver = Resolver(loop, loop.notices)  # type: ignore[arg-type]
            loop.answer = ["10.0.0.1"]
            resolver.update({"b": ("name.example", 80)}, {"b": backend})
            await resolver.settle()
            await steps(loop, resolver, {"b": backend})

        runner.run(steady())


def hosts(backends: dict[str, Backend]) -> list[str]:
    return [endpoint.host for endpoint in backends["b"].endpoints]


def test_a_name_is_resolved_and_refreshed():
    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        assert hosts(backends) == ["10.0.0.1"]
        loop.answer = ["10.0.0.2", "10.0.0.3"]
        resolver.tick(REFRESH - 1, backends)
        await resolver.settle()
        assert loop.asked == ["name.example"]
        resolver.tick(REFRESH, backends)
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.2", "10.0.0.3"]

    run(steps)


def test_a_name_server_leads_nobody_to_this_machine():
    """Names that are not the machine's own: their owner could have the gateway ask what only listens on loopback."""

    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        loop.answer = ["127.0.0.1", "::1"]
        loop.now = REFRESH
        resolver.tick(loop.now, backends)
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.1"], "the last good answer is kept"
        (notice,) = loop.notices
        assert notice.endswith("it leads to this machine, 127.0.0.1, as only localhost and names of /etc/hosts may")
        loop.answer = ["127.0.0.1", "10.0.0.2"]
        loop.now += RETRY
        resolver.tick(loop.now, backends)
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.2"]
        resolver.update({"b": ("shop.localhost", 80)}, backends)
        await resolver.settle()
        assert hosts(backends) == ["127.0.0.1", "10.0.0.2"]

    run(steps)


def test_a_name_server_leads_nobody_to_where_no_backend_is():
    """A name outside may resolve to the metadata service of a cloud at any time."""

    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        loop.answer = ["169.254.169.254", "fe80::1%eth0"]
        loop.now = REFRESH
        resolver.tick(loop.now, backends)
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.1"]
        assert loop.notices == [
            "backend b: the name name.example cannot be resolved: no backend is where it leads to, 169.254.169.254"
        ]
        loop.answer = ["0.0.0.0", "10.0.0.2", "::ffff:169.254.169.254"]
        loop.now += RETRY
        resolver.tick(loop.now, backends)
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.2"]

    run(steps)


def test_the_last_good_answer_is_kept_and_the_next_asked_for_sooner():
    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        loop.answer = socket.gaierror(-3, "try again")
        loop.now = REFRESH
        resolver.tick(loop.now, backends)
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.1"]
        loop.answer = ["10.0.0.9"]
        resolver.tick(REFRESH + RETRY, backends)
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.9"]

    run(steps)


def test_what_is_no_name_is_asked_for_again_later():
    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        loop.answer = UnicodeError("label too long")
        resolver.tick(REFRESH, backends)
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.1"]

    run(steps)


@pytest.mark.parametrize("names", [{}, {"b": ("other.example", 80)}])
def test_an_answer_to_an_old_name_is_not_used(names: dict[str, tuple[str, int]]):
    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        loop.answer = ["10.0.0.2"]
        resolver.tick(REFRESH, backends)
        resolver.update(names, backends)
        loop.answer = ["10.0.0.3"]
        await resolver.settle()
        assert "10.0.0.2" not in hosts(backends)
        resolver.tick(0.0, backends)
        await resolver.settle()
        assert hosts(backends) == (["10.0.0.3"] if names else ["10.0.0.1"])

    run(steps)


def test_a_backend_that_came_back_gets_the_answer():
    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        resolver.tick(REFRESH, backends)
        backends["b"] = Backend("b")
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.1"]

    run(steps)


def test_a_slow_answer_to_an_old_name_keeps_no_new_one_waiting():
    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        loop.answer = ["10.0.0.2"]
        loop.gate = asyncio.Event()
        resolver.tick(REFRESH, backends)
        await asyncio.sleep(0)
        slow, loop.gate = loop.gate, None
        loop.answer = ["10.0.0.3"]
        resolver.update({"b": ("other.example", 80)}, backends)
        for _ in range(5):  # turns of the loop
            await asyncio.sleep(0)
        assert hosts(backends) == ["10.0.0.3"]
        slow.set()
        await resolver.settle()
        assert hosts(backends) == ["10.0.0.3"]
        assert loop.asked[1:] == ["name.example", "other.example"]

    run(steps)


def test_the_log_is_told_once_when_a_name_is_lost():
    async def steps(loop: Loop, resolver: Resolver, backends: dict[str, Backend]) -> None:
        for answer in (socket.gaierror(-3, "try again"), UnicodeError("label too long"), [], ["10.0.0.1"], []):
            loop.answer = answer
            loop.now += REFRESH
            resolver.tick(loop.now, backends)
            await resolver.settle()
        assert loop.notices == [
            "backend b: the name name.example cannot be resolved: try again",
            "backend b: the name name.example cannot be resolved: it has no address",
        ]

    run(steps)
