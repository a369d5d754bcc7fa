"""What became of requests whose ends misbehave: every body is checked against what its request must get."""

from __future__ import annotations

import random
from collections import Counter

_PERIOD = 65521  # a prime, so that no buffer size hides a piece that is missing
_PATTERN = random.Random(20).randbytes(_PERIOD) * 2
_STEP = 4093
RST = b"\x01\0\0\0\0\0\0\0"  # SO_LINGER: on, for no time
LOCAL = frozenset({408, 502, 503, 504})  # what the gateway may answer by itself where an end misbehaves


def piece(identity: int, offset: int, size: int) -> bytes:
    """`size` bytes, at most 64 KiB less 15, of the endless body of one request, from an offset on."""
    start = (identity * _STEP + offset) % _PERIOD
    return _PATTERN[start : start + size]


def pieces(identity: int, size: int, most: int = 32768) -> list[tuple[int, bytes]]:
    """A body of `size` bytes in pieces: [(offset, bytes)]."""
    return [(offset, piece(identity, offset, min(most, size - offset))) for offset in range(0, size, most)]


class Tally:
    """Outcomes by name; `wrong` says what should never be, in words, and how often. `lost` are the targets of requests
    that nobody had a reason to lose, with what became of them.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.lost: list[str] = []

    def note(self, outcome: str) -> None:
        """One more of these."""
        self.outcomes[outcome] += 1

    def never(self, what: str) -> None:
        """Something that may not happen."""
        self.wrong[what] += 1

    def told(self, status: int, allowed: frozenset[int], what: str) -> None:
        """An answer that is not the backend's."""
        self.note(str(status))
        if status not in LOCAL and status not in allowed:
            self.never(f"{what}: {status}")


class Body:
    """A body as it arrives; `right` as long as all of it was what belongs there."""

    def __init__(self, identity: int) -> None:
        self.identity = identity
        self.size = 0
        self.right = True

    def take(self, data: bytes) -> None:
        """More of it."""
        for start in range(0, len(data), 32768):
            part = data[start : start + 32768]
            self.right = self.right and part == piece(self.identity, self.size, len(part))
            self.size += len(part)
