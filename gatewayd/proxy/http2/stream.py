"""One stream of an HTTP/2 connection (RFC 9113 section 5): its windows, and what waits for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gatewayd.wire import frames

if TYPE_CHECKING:
    from gatewayd.proxy.http2.sender import Sender2


class Stream2:
    """One stream. `window` is what may still be sent, `credit` what was received and not yet given back.

    `queue` waits for a window, and `queue_end` is what ends the stream after it: lines of trailers, b"" for none; None
    while more is to come. `full`: the source was told to pause. `moved`: some of the queue left since this was looked
    at. `held`: credit is withheld, because whoever takes the bytes cannot take more.
    """

    __slots__ = (
        "connection",
        "credit",
        "ended_in",
        "ended_out",
        "full",
        "held",
        "id",
        "moved",
        "queue",
        "queue_end",
        "window",
    )

    sink = None  # frames cannot be moved past us
    connection: Any

    def __init__(self, connection: Sender2, identity: int) -> None:
        self.connection = connection
        self.id = identity
        self.window = connection.peer_window
        self.credit = 0
        self.ended_in = self.ended_out = self.held = self.full = self.moved = False
        self.queue = b""
        self.queue_end: bytes | None = None

    def give_credit(self) -> None:
        """Let the peer send as much again as was taken."""
        self.held = False
        if self.credit and not self.ended_in:
            self.connection.write(frames.window_update(self.id, self.credit))
            self.credit = 0

    def waits(self) -> None:
        """There is a queue now."""

    def filled(self) -> None:
        """The queue is longer than it should be."""

    def drained(self) -> None:
        """The queue is empty again."""
