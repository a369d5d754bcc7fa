"""Pipes: the way of bytes from one socket to another that never come to user space (splice(2))."""

from __future__ import annotations

import fcntl
import os
import socket

_SIZE = 1 << 20
_F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ exists in Python on Linux only
_KEPT = 16  # empty pipes that wait for the next use


class Pipe:
    """One pipe. `held` counts the bytes in it."""

    __slots__ = ("_into", "_out", "held")

    def __init__(self) -> None:
        """OSError without descriptors."""
        self._out, self._into = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        try:
            fcntl.fcntl(self._into, _F_SETPIPE_SZ, _SIZE)
        except OSError:
            pass  # over the user's limit the pipe keeps its size

    def fill(self, source: int, limit: int = _SIZE) -> int:
        """Take at most `limit` bytes from a socket; 0 at its end. BlockingIOError when it has none now, OSError."""
        size = os.splice(source, self._into, min(limit, _SIZE))
        self.held += size
        return size

    def drain(self, target: int) -> None:
        """Give all that is held to a socket. BlockingIOError when it does not take all of it now, OSError."""
        while self.held:
            self.held -= os.splice(self._out, target, self.held)

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self._into)
        os.close(self._out)


class Pipes:
    """The pipes of one worker, at most `limit` at a time: whoever gets none moves its bytes as before."""

    __slots__ = ("_free", "_left")

    def __init__(self, limit: int) -> None:
        self._left = limit if _possible() else 0
        self._free: list[Pipe] = []

    def take(self) -> Pipe | None:
        """An empty pipe, or None when there is none to be had."""
        if self._free:
            return self._free.pop()
        if not self._left:
            return None
        try:
            pipe = Pipe()
        except OSError:
            return None
        self._left -= 1
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """Nobody uses the pipe any more; it is used again if it is empty."""
        if not pipe.held and len(self._free) < _KEPT:
            self._free.append(pipe)
        else:
            pipe.close()
            self._left += 1


def _possible() -> bool:
    """Whether bytes go from one socket to another by splice here: some sandboxes refuse the call, or know no sockets
    there. Found out before the first body, since one that is under way could not be moved in the other way any more.
    """
    if not hasattr(os, "splice"):
        return False
    try:
        pipe = Pipe()
    except OSError:
        return False
    source, target = socket.socketpair()
    with source, target:
        try:
            target.send(b"x")
            pipe.fill(source.fileno())
            pipe.drain(source.fileno())
            return target.recv(1) == b"x"
        except OSError:
            return False
        finally:
            pipe.close()
