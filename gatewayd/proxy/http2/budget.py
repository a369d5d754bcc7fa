"""What a peer of HTTP/2 may make us do for nothing before it is told to calm down (RFC 9113 section 10.5)."""

from __future__ import annotations

from time import monotonic

from gatewayd.wire.frames import ConnectionFault, ErrorCode

STRETCH = 10.0  # seconds
# By kind: (so many in a stretch, so many more for each frame of a response or request that we sent in it). Honest peers
# answer what they get: with a WINDOW_UPDATE or a PING for a frame of DATA, and some give up one stream in a few. Resets
# count in both directions, for a peer can make us send them as well as send them itself.
BUDGETS = {
    "resets": (100, 0.25),
    "refused": (100, 0.25),
    "settings": (100, 0.0),
    "empty": (100, 1.0),
    "pings": (1000, 2.0),
    "priorities": (1000, 10.0),
    "windows": (1000, 20.0),
}


class Budget:
    """The counts of one connection. `useful` are the frames that we sent; `patience` multiplies what is allowed."""

    __slots__ = ("_began", "_counts", "_patience", "useful")

    def __init__(self, patience: int = 1) -> None:
        self._patience = patience
        self._counts: dict[str, int] = {}
        self._began = monotonic()
        self.useful = 0

    def charge(self, kind: str) -> None:
        """Count one of a kind. ConnectionFault when it is one too many."""
        count = self._counts.get(kind, 0) + 1
        self._counts[kind] = count
        flat, share = BUDGETS[kind]
        if count <= flat * self._patience + share * self.useful:
            return
        now = monotonic()
        if now - self._began < STRETCH:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too_many_" + kind)
        self._began = now
        self._counts = {kind: 1}
        self.useful = 0
