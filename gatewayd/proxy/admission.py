"""Admission: how many connections of clients one worker holds, and what it does when it can take no more."""

from __future__ import annotations

from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING

from gatewayd.proxy.pressure import STOP_ACCEPTING

if TYPE_CHECKING:
    from gatewayd.proxy.runtime import Runtime

_DESCRIPTOR_SHARE = 0.45  # a connection has two ends, and something must be left for all else
_CLOSE_AT_ONCE = 64
_SETTLED = 0.02  # seconds after which an accepted connection is known
_DEADLINE = attrgetter("deadline")


class Admission:
    """`open` while connections are taken. Those that are not wait in the queues of the listening sockets."""

    __slots__ = ("_limit", "_runtime", "open")

    def __init__(self, runtime: Runtime, descriptors: int) -> None:
        """`descriptors`: how many the process may have."""
        self._runtime = runtime
        self._limit = max(16, int(descriptors * _DESCRIPTOR_SHARE))
        self.open = True

    def full(self) -> bool:
        """Whether no further connection may be taken, for want of descriptors or of memory; nothing is taken then."""
        if self._has_room():
            return False
        self.pause()
        return True

    def _has_room(self) -> bool:
        runtime = self._runtime
        return len(runtime.connections) + runtime.arriving < self._limit and runtime.pressure.level < STOP_ACCEPTING

    def pause(self) -> None:
        """Leave connections in the queues, and make room in a moment, when those that were accepted just now can be
        told from those that are served.
        """
        if self.open:
            self.open = False
            self._runtime.counts.accept_pauses += 1
            for acceptor in self._runtime.acceptors():
                acceptor.pause()
            self._runtime.loop.call_later(_SETTLED, self.close_idle)

    def close_idle(self) -> None:
        """Make room. Those go first whose time would be over first: clients that never said a word have less of it than
        those that were served a moment ago.
        """
        idle = [connection for connection in self._runtime.connections if connection.idle]
        for connection in nsmallest(min(_CLOSE_AT_ONCE, self._limit // 2), idle, key=_DEADLINE):
            connection.transport.close()

    def sweep(self) -> None:
        """Take connections again if there is room; make more of it while there is none."""
        if self.open or self._runtime.draining:
            return
        if self._has_room():
            self.open = True
            for acceptor in self._runtime.acceptors():
                acceptor.resume()
        else:
            self.close_idle()
