"""A worker process: one event loop with the traffic path on it, led by the supervisor over a channel.

    python -m gatewayd.server.worker INDEX WORKERS ADMIN CHANNEL-DESCRIPTOR LOG-LEVEL

Standard output is the access log, standard error the log. Signals are the supervisor's business; when the channel
ends, the supervisor is gone: the worker finishes what is in flight, for at most ORPHAN_DRAIN seconds, and ends, so
that no orphan holds a port.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import uvloop

from gatewayd.observe.log import Log, describe, fault
from gatewayd.routing.change import Change, decode_change
from gatewayd.server.channel import Channel
from gatewayd.server.heap import Heap
from gatewayd.server.messages import Active, Apply, Ask, Beat, Drain, Failed, Message, decode_to_worker, encode

TICK = 0.25  # seconds between two sweeps
BEAT = 1.0  # seconds between two heartbeats
ORPHAN_DRAIN = 5.0  # seconds for what is in flight when the supervisor is gone
SETTLE = 2.0  # seconds that the first generation may wait for the names of backends
DRAIN_STEP = 0.02  # seconds between two looks at whether all is done
REPORT_SHARE = 0.01  # reports may cost this share of the time
IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class AccessLog(Protocol):
    """The part of `observe.access.AccessLog` that a worker drives."""

    def set_clock(self) -> None:
        """Follow the wall clock."""

    def flush(self) -> None:
        """Write the lines that wait."""


class Traffic(Protocol):
    """The part of `proxy.runtime.Runtime` that a worker drives."""

    errors: list[BaseException]
    """Exceptions that ended a connection, for the log."""

    notices: list[str]
    """Lines for the log."""

    @property
    def idle(self) -> bool:
        """Nothing is in flight."""

    @property
    def exhausted(self) -> bool:
        """No memory is left; the worker had better give its place to a new one."""

    async def settle(self) -> None:
        """Wait until the names of backends are resolved for the first time."""

    def apply(self, change: Change, sockets: dict[str, list[socket.socket]]) -> None:
        """Serve what the change leads to; raises and keeps the old on failure."""

    def sweep(self, now: float) -> None:
        """Deadlines, by the monotonic clock."""

    def drain(self) -> None:
        """Take no new connection, close what is idle."""

    def abort(self) -> None:
        """Close everything."""

    def report(self) -> bytes:
        """Counters as an encoded `observe.counters.Report`."""


class Role(NamedTuple):
    """Which one of so many `workers` this is, counted from 0. `admin` is where the admin API listens, as HOST:PORT; ""
    without one.
    """

    number: int
    workers: int
    admin: str


Make = Callable[[asyncio.AbstractEventLoop, Role], tuple[Traffic, AccessLog]]


class Worker:
    """What the supervisor's messages and the clock do to the runtime of one worker."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, channel: socket.socket, runtime: Traffic, access: AccessLog, log: Log
    ) -> None:
        self._loop = loop
        self._runtime = runtime
        self._access = access
        self._log = log
        self._heap = Heap(loop.time)
        self._applied = False
        self._settling: asyncio.Task[None] | None = None
        self._lag = 0.0
        self._next_beat = 0.0
        self._next_report = 0.0
        self._draining = False
        self._channel = Channel(loop, channel, self._frame, self._orphaned)
        self._actions: dict[type[Message], Callable[[Any], None]] = {
            Apply: self._apply,
            Ask: lambda message: self._beat(message.serial),
            Drain: lambda message: self.drain(message.seconds),
        }
        self._tick(loop.time())

    def drain(self, seconds: float) -> None:
        """Take nothing new; end the loop when nothing is in flight, or after `seconds`."""
        if not self._draining:
            self._draining = True
            self._runtime.drain()
        self._wait_idle(self._loop.time() + seconds)

    def _wait_idle(self, deadline: float) -> None:
        if self._runtime.idle or self._loop.time() >= deadline:
            self._runtime.abort()
            self._loop.call_later(DRAIN_STEP, self._loop.stop)  # a turn for what is written last
        else:
            self._loop.call_later(DRAIN_STEP, self._wait_idle, deadline)

    def _frame(self, frame: bytes) -> None:
        message = decode_to_worker(frame)
        self._actions[type(message)](message)

    def _apply(self, message: Apply) -> None:
        began = time.perf_counter()
        sockets: dict[str, list[socket.socket]] = {}
        try:
            for key, count in message.sockets:
                sockets[key] = [socket.socket(fileno=number) for number in self._channel.take(count)]
            self._runtime.apply(decode_change(message.change), sockets)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old generation goes on
            for sock in (sock for share in sockets.values() for sock in share):
                sock.close()
            self._send(Failed(message.generation, describe(error)))
            return
        self._heap.swapped()
        self._settling = self._loop.create_task(self._settle(message.generation, began, first=not self._applied))
        self._applied = True

    async def _settle(self, generation: int, began: float, first: bool) -> None:
        """Acknowledge; the first time only when the names of backends are known too, so that ready means ready."""
        if first:
            try:
                async with asyncio.timeout(SETTLE):  # once in the life of a worker
                    await self._runtime.settle()
            except (TimeoutError, OSError):
                self._log.warning("names of backends are not resolved yet")
        self._send(Active(generation, time.perf_counter() - began))

    def _orphaned(self) -> None:
        self._log.error("the supervisor is gone; this worker ends")
        self.drain(ORPHAN_DRAIN)

    def _send(self, message: Active | Failed | Beat) -> None:
        self._channel.send(encode(message))

    def _tick(self, due: float) -> None:
        now = self._loop.time()
        self._lag = max(self._lag, now - due)
        self._runtime.sweep(time.monotonic())
        self._access.set_clock()
        self._access.flush()
        self._tell_errors()
        self._log.flush()
        if self._runtime.exhausted and not self._draining:
            self._log.error("memory is exhausted; this worker gives its place to a new one")
            self.drain(ORPHAN_DRAIN)
        self._heap.tick(self._runtime.idle)
        if now >= self._next_beat:
            self._next_beat = now + BEAT - TICK / 2
            self._beat(0)
        due = now + TICK
        self._loop.call_at(due, self._tick, due)

    def _tell_errors(self) -> None:
        for notice in self._runtime.notices:
            self._log.warning(notice)
        self._runtime.notices.clear()
        if self._runtime.errors:
            errors, self._runtime.errors[:] = list(self._runtime.errors), []
            for error in errors:
                self._log.error("a defect ended a connection", error=describe(error))

    def _beat(self, serial: int) -> None:
        """A heartbeat; with a report when one is asked for or due. A report over thousands of rules costs
        milliseconds, so it becomes rarer as it grows.
        """
        report = None
        now = self._loop.time()
        if serial or now >= self._next_report:
            began = time.perf_counter()
            report = self._runtime.report()
            self._next_report = now + max(BEAT / 2, (time.perf_counter() - began) / REPORT_SHARE)
        self._send(Beat(self._lag, serial, report))
        if not serial:
            self._lag = 0.0


def serve(role: Role, channel: int, log: Log, make: Make) -> int:
    """Run one worker until it is drained; the exit status."""
    loop = uvloop.new_event_loop()
    loop.set_exception_handler(lambda _, context: log.error(str(context["message"]), error=fault(context)))
    runtime, access = make(loop, role)
    worker = Worker(loop, socket.socket(fileno=channel), runtime, access, log)
    try:
        loop.run_forever()
    finally:
        access.flush()
        log.flush()
    del worker
    return 0


def traffic(loop: asyncio.AbstractEventLoop, role: Role) -> tuple[Traffic, AccessLog]:
    """The real traffic path, writing its access log to standard output."""
    from gatewayd.observe.access import AccessLog as Lines  # noqa: PLC0415 - the tests' traffic path does without
    from gatewayd.proxy.runtime import Runtime  # noqa: PLC0415

    access = Lines(1)
    host, _, port = role.admin.rpartition(":")
    reserved = (host.strip("[]"), int(port)) if role.admin else None
    return Runtime(loop, role.number, access, role.workers, reserved), access


def main(arguments: Sequence[str], make: Make = traffic) -> int:
    """Entry point; `make` builds the traffic path."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    index, workers, admin, channel, level = arguments
    log = Log(2, level, worker=int(index))
    try:
        return serve(Role(int(index), int(workers), admin), int(channel), log, make)
    except Exception as error:  # noqa: BLE001 - the last line of a process: a log line in place of a traceback
        log.error("a worker cannot run", error=describe(error))  # noqa: TRY400 - no traceback for users
        return 1


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(status)  # nothing is left to be torn down, and a large heap takes long to
