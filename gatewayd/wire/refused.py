"""The one exception of the wire formats: a message that is refused, and how to answer it."""

from __future__ import annotations


class Refused(Exception):
    """A message outside the grammar or over a limit.

    `status` is the answer to a client (400, 413, 414, 431, 501, 505); a backend's message becomes 502 whatever it says.
    `reason` is one word of the access log, lower case with underscores.
    """

    __slots__ = ("reason", "status")

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason
