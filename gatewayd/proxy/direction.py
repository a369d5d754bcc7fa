"""One direction of a TCP stream: the bytes from one socket to the other.

Messages are moved by `recv` and `send`, which costs least while they are small. Once a direction carries bulk, its
bytes go through a pipe by `splice` and never come to user space.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.watch import Watch

if TYPE_CHECKING:
    from gatewayd.proxy.pipe import Pipe
    from gatewayd.proxy.stream import Stream

_READ = 65536
_BULK_AFTER = 4  # full reads in a row make a direction one of bulk


class Flow:
    """One way of a stream: how many bytes `moved`, and whether it is `done`."""

    __slots__ = ("_seen", "_seen_at", "done", "moved")

    def __init__(self, began: float) -> None:
        self.done = False
        self.moved = 0
        self._seen = 0
        self._seen_at = began

    def last_sweep(self, now: float) -> float:
        """When this direction was last seen to have moved."""
        if self.moved != self._seen:
            self._seen, self._seen_at = self.moved, now
        return self._seen_at

    def start(self) -> None:
        """Begin to move bytes."""

    def stop(self) -> None:
        """The stream is over."""


class Direction(Flow):
    """Bytes from one socket to the other. `_rest` is what the receiver would not take yet; reading rests meanwhile."""

    __slots__ = ("_full", "_loop", "_pipe", "_rest", "_watch", "source", "stream", "target")

    def __init__(self, stream: Stream, source: socket.socket, target: socket.socket) -> None:
        self.done = False  # as of a Flow, without the call
        self.moved = self._seen = 0
        self._seen_at = stream.connected
        self.stream = stream
        self.source = source
        self.target = target
        self._loop = stream.runtime.loop
        self._watch = Watch(self._loop, source.fileno())
        self._rest = b""
        self._full = 0
        self._pipe: Pipe | None = None

    def start(self) -> None:
        """Read from the source whenever it has something."""
        self._watch.start(self._read)

    def _read(self) -> None:
        try:
            data = self.source.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.stream.end(b"reset")
            return
        if not data:
            self._finish()
            return
        size = len(data)
        self.moved += size
        try:
            sent = self.target.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.stream.end(b"reset")
            return
        if sent < size:
            self._rest = data[sent:]
            self._await_target(self._write_rest)
        elif size == _READ:
            self._full += 1
            if self._full >= _BULK_AFTER:
                self._begin_splice()
        else:
            self._full = 0

    def _await_target(self, callback: Any) -> None:
        self._watch.stop()
        self._loop.add_writer(self.target.fileno(), callback)

    def _await_source(self, callback: Any) -> None:
        self._loop.remove_writer(self.target.fileno())
        self._watch.start(callback)

    def _write_rest(self) -> None:
        try:
            sent = self.target.send(self._rest)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.stream.end(b"reset")
            return
        self._rest = self._rest[sent:]
        if not self._rest:
            self._full += 1
            self._await_source(self._read)

    def _finish(self) -> None:
        """The source will send no more: tell the target."""
        self.done = True
        self._watch.stop()
        self._close_pipe()
        try:
            self.target.shutdown(socket.SHUT_WR)
        except OSError:
            self.stream.end(b"reset")
            return
        self.stream.half_closed()

    # -- bulk ------------------------------------------------------------------------------------------------------

    def _begin_splice(self) -> None:
        self._pipe = self.stream.runtime.pipes.take()
        if self._pipe is None:
            self._full = -1000  # none to be had: go on as before for a while
        else:
            self._watch.start(self._splice)

    def _splice(self) -> None:
        """Fill the pipe from the source, empty it into the target."""
        pipe = self._pipe
        assert pipe is not None
        try:
            if not pipe.held:
                size = pipe.fill(self.source.fileno())
                if not size:
                    self._finish()
                    return
                self.moved += size
            pipe.drain(self.target.fileno())
        except (BlockingIOError, InterruptedError):
            if pipe.held:
                self._await_target(self._drain_pipe)
        except OSError:
            self.stream.end(b"reset")

    def _drain_pipe(self) -> None:
        self._loop.remove_writer(self.target.fileno())
        self._watch.start(self._splice)
        self._splice()

    def _close_pipe(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            self.stream.runtime.pipes.give_back(pipe)

    def stop(self) -> None:
        """Leave the loop; the sockets are about to be closed."""
        self._watch.stop()
        self._loop.remove_writer(self.target.fileno())
        self._close_pipe()
