"""What conversations put in the place of clock, transports, loop and access log."""

from __future__ import annotations

from collections import deque
from collections.abc import Coroutine, Iterable
from typing import Any

HERE = "::ffff:198.51.100.1"  # the address that clients connect to, as an IPv6 socket shows it
MOMENT = 0.03  # seconds: a timer for less rings at once


class Clock:
    """A clock that stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Transport:
    """One end of a connection. `stalled` is a peer that reads nothing; `state` what became of the connection."""

    def __init__(self, protocol: Any, peer: str) -> None:
        self.protocol = protocol
        self.peer = peer
        self.state = "open"
        self.out = bytearray()
        self.kept = 0
        self.high = 65536
        self.stalled = self.full = self.ended = self.lost = False
        self.reading = True
        self.error: Exception | None = None
        self.inbox: deque[bytes] = deque()

    def get_extra_info(self, name: str) -> Any:
        return {"peername": (self.peer, 40000), "sockname": (HERE, 80)}.get(name)

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        if self.ended:
            raise RuntimeError("Cannot call write() after write_eof()")
        assert type(data) is bytes, "uvloop copies whatever is not bytes"
        if self.state != "open":
            return
        self.out += data
        if self.stalled:
            self.kept += len(data)
            if self.kept > self.high and not self.full:
                self.full = True
                self.protocol.pause_writing()

    def deliver(self, data: bytes) -> None:
        if hasattr(self.protocol, "data_received"):
            self.protocol.data_received(data)
            return
        while data:
            buffer = self.protocol.get_buffer(-1)
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self.protocol.buffer_updated(size)
            data = data[size:]

    def writelines(self, pieces: Iterable[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def get_write_buffer_size(self) -> int:
        return self.kept

    def reads_again(self) -> None:
        self.stalled = False
        self.kept = 0
        if self.full:
            self.full = False
            self.protocol.resume_writing()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if self.state == "open":
            self.ended = True

    def is_closing(self) -> bool:
        return self.state != "open"

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        if self.state == "open":
            self.state = "closed"

    def abort(self) -> None:
        if not self.lost:
            self.state = "aborted"


class Connect:
    """A connection that the gateway wants to have made; also the awaitable that its task waits on."""

    def __init__(self, loop: Loop, make: Any, host: str, port: int) -> None:
        self.make = make
        self.address = (host, port)
        self.task: Task | None = None
        loop.connects.append(self)

    def __await__(self) -> Any:
        return (yield self)


class Task:
    """A task that a test moves on."""

    def __init__(self, loop: Loop, work: Coroutine[Any, Any, None]) -> None:
        self.loop = loop
        self.work = work
        waits_on: Any = work.send(None)
        waits_on.task = self
        self.waits_on: Connect = waits_on

    def cancel(self) -> None:
        if self.waits_on in self.loop.connects:
            self.loop.connects.remove(self.waits_on)
        self.fail(self.loop.cancelled())

    def fail(self, error: BaseException) -> None:
        try:
            self.work.throw(error)
        except StopIteration:
            return
        raise AssertionError("the task goes on after an error")

    def succeed(self, result: Any) -> None:
        try:
            self.work.send(result)
        except StopIteration:
            return
        raise AssertionError("the task waits for something else")


class Timer:
    """What `call_later` returns."""

    def __init__(self, loop: Loop, when: float, callback: Any) -> None:
        self.loop = loop
        self.when = when
        self.callback = callback
        loop.timers.append(self)

    def cancel(self) -> None:
        if self in self.loop.timers:
            self.loop.timers.remove(self)

    def rings(self) -> None:
        self.loop.timers.remove(self)
        self.callback()


class Loop:
    """The part of an event loop that the traffic path uses for HTTP."""

    def __init__(self, clock: Clock) -> None:
        from asyncio import CancelledError  # noqa: PLC0415 - all that is needed of it

        self.cancelled = CancelledError
        self.time = clock
        self.connects: deque[Connect] = deque()
        self.timers: list[Timer] = []
        self.soon: deque[Any] = deque()

    def call_soon(self, callback: Any, *arguments: Any) -> None:
        """For the next turn."""
        self.soon.append((callback, arguments))

    def turn(self) -> bool:
        """Call what was left for this turn; False when that was nothing."""
        due, self.soon = self.soon, deque()
        for callback, arguments in due:
            callback(*arguments)
        return bool(due)

    def create_task(self, work: Coroutine[Any, Any, None]) -> Task:
        return Task(self, work)

    def call_later(self, delay: float, callback: Any, *args: Any) -> Timer:
        """What is due in a moment is due at once."""
        timer = Timer(self, self.time() + delay, lambda: callback(*args))
        if delay <= MOMENT:
            timer.rings()
        return timer

    def create_connection(self, make: Any, host: str, port: int) -> Connect:
        return Connect(self, make, host, port)


class Lines:
    """An access log that keeps its lines."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.dropped = 0

    def write(self, line: bytes) -> None:
        self.raw.append(line)

    def moment(self, now: float) -> bytes:
        return b"2026-01-01T00:00:00.000Z"

    def set_clock(self) -> None:
        pass
