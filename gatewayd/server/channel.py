"""One end of the Unix socket pair between supervisor and worker: frames of bytes, and descriptors beside them.

A frame is a four-byte length and so many bytes. Descriptors ride on empty frames that go ahead of the frame that
names them, because one sendmsg carries at most 253 (SCM_MAX_FD); the receiver keeps them in order until `take`.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence

LENGTH = struct.Struct("!I")
FRAME_LIMIT = 1 << 30
READ_BYTES = 256 * 1024
DESCRIPTORS_AT_ONCE = 200
_SPACE = socket.CMSG_SPACE(253 * array.array("i").itemsize)
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Channel:
    """Frames over one stream socket, on an event loop. `received` gets each frame, `closed` is called once at the end.

    What cannot be sent at once waits in memory: the peer is our own process, and one that does not read is killed.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        received: Callable[[bytes], None],
        closed: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._received = received
        self._closed = closed
        self._inbox = bytearray()
        self._outbox: deque[tuple[memoryview, list[int]]] = deque()
        self._descriptors: deque[int] = deque()
        self._open = True
        self._writing = False
        sock.setblocking(False)
        loop.add_reader(sock, self._readable)

    def send(self, frame: bytes, descriptors: Sequence[int] = ()) -> None:
        """Queue one frame. The descriptors are copied now, so the caller may close its own at any time.

        OSError when there is no descriptor left for the copies; nothing is sent then.
        """
        if not self._open:
            return
        copies = _copies(descriptors)
        for start in range(0, len(copies), DESCRIPTORS_AT_ONCE):
            self._outbox.append((memoryview(LENGTH.pack(0)), copies[start : start + DESCRIPTORS_AT_ONCE]))
        self._outbox.append((memoryview(LENGTH.pack(len(frame)) + frame), []))
        if not self._writing:
            self._writable()

    def take(self, count: int) -> list[int]:
        """The next `count` descriptors that arrived, in the order of sending. IndexError when there are fewer."""
        return [self._descriptors.popleft() for _ in range(count)]

    def close(self) -> None:
        """End the channel at once and without a call of `closed`."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        for descriptor in [*self._descriptors, *(item for _, items in self._outbox for item in items)]:
            os.close(descriptor)
        self._descriptors.clear()
        self._outbox.clear()

    def _lost(self) -> None:
        if self._open:
            self.close()
            self._closed()

    def _readable(self) -> None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(READ_BYTES, _SPACE, _CLOEXEC)
        except BlockingIOError:
            return
        except OSError:
            self._lost()
            return
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self._keep(payload)
        if not data:
            self._lost()
            return
        self._inbox += data
        self._deliver()

    def _keep(self, payload: bytes) -> None:
        numbers = array.array("i")
        numbers.frombytes(payload[: len(payload) - len(payload) % numbers.itemsize])
        for number in numbers:
            os.set_inheritable(number, False)
        self._descriptors.extend(numbers)

    def _deliver(self) -> None:
        while self._open and len(self._inbox) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._inbox)
            if length > FRAME_LIMIT:
                self._lost()
                return
            end = LENGTH.size + length
            if len(self._inbox) < end:
                return
            frame = bytes(self._inbox[LENGTH.size : end])
            del self._inbox[:end]
            if length:
                self._received(frame)

    def _writable(self) -> None:
        while self._outbox:
            data, descriptors = self._outbox[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
            try:
                written = self._socket.sendmsg([data], rights)
            except BlockingIOError:
                self._wait_to_write(True)
                return
            except OSError:
                # The peer is gone. The reader learns it too, and what the peer still said is read before the end.
                self._discard()
                return
            for descriptor in descriptors:
                os.close(descriptor)
            if written < len(data):
                self._outbox[0] = (data[written:], [])
            else:
                self._outbox.popleft()
        self._wait_to_write(False)

    def _discard(self) -> None:
        for _, descriptors in self._outbox:
            for descriptor in descriptors:
                os.close(descriptor)
        self._outbox.clear()
        self._wait_to_write(False)

    def _wait_to_write(self, wait: bool) -> None:
        if wait == self._writing:
            return
        self._writing = wait
        if wait:
            self._loop.add_writer(self._socket, self._writable)
        else:
            self._loop.remove_writer(self._socket)


def _copies(descriptors: Sequence[int]) -> list[int]:
    copies: list[int] = []
    try:
        for descriptor in descriptors:
            copies.append(os.dup(descriptor))  # noqa: PERF401 - what was copied must be closed on failure
    except OSError:
        for descriptor in copies:
            os.close(descriptor)
        raise
    return copies


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected Unix stream sockets, neither inheritable."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
