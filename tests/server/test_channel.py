from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

from gatewayd.server.channel import LENGTH, Channel, pair
from tests.processes import affordable


class End:
    """One end of a channel that keeps what it gets."""

    def __init__(self, sock: socket.socket) -> None:
        self.frames: list[bytes] = []
        self.closed = 0
        self.channel = Channel(asyncio.get_running_loop(), sock, self.frames.append, self.close)

    def close(self) -> None:
        self.closed += 1


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)


def run(body: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await body()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def identity(descriptor: int) -> tuple[int, int]:
    stat = os.fstat(descriptor)
    return stat.st_dev, stat.st_ino


def open_descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_frames_arrive_whole_and_in_order_whatever_their_size() -> None:
    async def body() -> None:
        left, right = (End(sock) for sock in pair())
        frames = [b"a", b"b" * 5_000_000, b"c" * 70_000, b"d"]
        for frame in frames:
            left.channel.send(frame)
        right.channel.send(b"back")
        await until(lambda: len(right.frames) == 4 and left.frames)
        assert right.frames == frames
        assert left.frames == [b"back"]
        left.channel.close()
        await until(lambda: right.closed)
        assert (left.closed, right.closed) == (0, 1)

    run(body)


def test_bytes_one_by_one_are_the_same_frames() -> None:
    async def body() -> None:
        ours, theirs = pair()
        end = End(theirs)
        for byte in LENGTH.pack(3) + b"abc" + LENGTH.pack(0) + LENGTH.pack(1) + b"d":
            ours.send(bytes([byte]))
            await asyncio.sleep(0)
        await until(lambda: len(end.frames) == 2)
        assert end.frames == [b"abc", b"d"]
        ours.close()
        await until(lambda: end.closed)

    run(body)


def test_hundreds_of_descriptors_arrive_in_order_beside_their_frames() -> None:
    async def body() -> None:
        left, right = (End(sock) for sock in pair())
        pipes = [os.pipe() for _ in range(affordable(300, 8))]  # both ends, their copies, and the copies of the copies
        sent = [descriptor for ends in pipes for descriptor in ends]
        cut = len(sent) * 5 // 6
        identities = [identity(descriptor) for descriptor in sent]
        left.channel.send(b"x" * 1_000_000)
        left.channel.send(b"first", sent[:cut])
        left.channel.send(b"second", sent[cut:])
        for descriptor in sent:
            os.close(descriptor)  # the channel has copies of its own
        await until(lambda: len(right.frames) == 3)
        taken = [*right.channel.take(cut), *right.channel.take(len(sent) - cut)]
        assert [identity(descriptor) for descriptor in taken] == identities
        assert not any(os.get_inheritable(descriptor) for descriptor in taken)
        for descriptor in taken:
            os.close(descriptor)
        with pytest.raises(IndexError):
            right.channel.take(1)
        left.channel.close()
        right.channel.close()

    run(body)


def test_nothing_leaks_when_a_channel_ends_with_descriptors_on_their_way() -> None:
    async def body() -> None:
        before = open_descriptors()
        left, right = (End(sock) for sock in pair())
        reader, writer = os.pipe()
        left.channel.send(b"x" * 10_000_000, [reader])
        left.channel.send(b"y", [writer])
        os.close(reader)
        os.close(writer)
        await asyncio.sleep(0)
        right.channel.close()
        left.channel.send(b"z")
        await until(lambda: left.closed)
        left.channel.send(b"after the end")
        assert left.closed == 1
        assert open_descriptors() == before

    run(body)


def test_a_frame_beyond_the_limit_ends_the_channel() -> None:
    async def body() -> None:
        ours, theirs = pair()
        end = End(theirs)
        ours.send(b"\xff\xff\xff\xff")
        await until(lambda: end.closed)
        ours.close()

    run(body)
