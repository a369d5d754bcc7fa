"""The bodies of requests that one worker keeps until they are whole, to show them to services that authorize."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.routing.authorization import SHOWN_BYTES

if TYPE_CHECKING:
    from gatewayd.proxy.authorization.guard import Guard

OVERFLOW = (503, b"auth_overflow")


class Bodies:
    """`bytes` of all of them, and who waits for more of its own, in the order in which they began."""

    __slots__ = ("_coming", "bytes")

    def __init__(self) -> None:
        self.bytes = 0
        self._coming: dict[Guard, None] = {}

    def take(self, guard: Guard, size: int) -> bool:
        """Make room for so many bytes, at the cost of those that take longest if need be: whoever sends slowly must
        not keep the others out. False when that is the guard itself.
        """
        self._coming.setdefault(guard)
        while self.bytes + size > SHOWN_BYTES:
            oldest = next(iter(self._coming))
            if oldest is guard:
                return False
            del self._coming[oldest]
            oldest.refuse(*OVERFLOW)
        self.bytes += size
        return True

    def is_whole(self, guard: Guard) -> None:
        """All of the guard's body is there."""
        del self._coming[guard]

    def drop(self, guard: Guard, size: int) -> None:
        """The guard's body is no longer kept here."""
        self._coming.pop(guard, None)
        self.bytes -= size
