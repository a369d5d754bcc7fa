"""What a connection from an HTTP/1.1 client takes in once a head was read: bodies of requests, decoded, within time."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.http1.replies import Replies1
from gatewayd.proxy.http1.sips import SIP, Sips
from gatewayd.proxy.http1.splice import LONG, Splice, splice
from gatewayd.wire.body import gathered
from gatewayd.wire.fields import allowed_trailers
from gatewayd.wire.refused import Refused

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.wire.body import ChunkedBody

DRAINING = -2  # of `left`: what still comes is read and dropped


class Intake1(Replies1):
    """The receiving half of `downstream.Downstream1` for bodies: `left` is what is still to come, `received` the bytes
    since `body_began`, `held` says that reading rests. `splice` moves a body while it is long and both sides are in
    clear text.
    """

    __slots__ = ("body_began", "deadline", "decoder", "held", "received", "sipping", "splice")

    body_began: float
    deadline: float
    decoder: ChunkedBody | None
    held: bool
    received: int
    sipping: bool
    splice: Splice | None

    def _receive(self, data: bytes) -> None:
        exchange = self.exchange
        assert exchange is not None
        self.received += len(data)
        if len(data) > SIP and not self.sipping and self.port.scheme == b"http":
            self.sipping = True
            self.transport.set_protocol(Sips(self))
        if self.left > 0:
            body = data[: self.left] if len(data) > self.left else data
            self.tail = data[self.left :] if len(data) > self.left else b""
            self.left -= len(body)
            exchange.send_body(body, not self.left)
            if self.left >= LONG:
                self._move_body(exchange)
        else:
            try:
                pieces = self._decode(data)
            except Refused as refused:
                self._refuse_body(refused)
                return
            self._pass_on(exchange, gathered(pieces, len(data)))
        if not self.left:
            if self.exchange is exchange:
                self.deadline = NEVER
        elif self.deadline != NEVER:
            self._expect_body(monotonic())

    def _pass_on(self, exchange: Exchange, pieces: list[bytes]) -> None:
        last = pieces.pop() if pieces else b""
        for piece in pieces:
            exchange.send_body(piece, False)
        if last or not self.left:
            exchange.send_body(last, not self.left, self.trailers())

    def _decode(self, data: bytes) -> list[bytes]:
        assert self.decoder is not None
        pieces, rest = self.decoder.feed(data)
        if self.decoder.done:
            self.left = 0
            self.tail = rest
        return pieces

    def trailers(self) -> bytes:
        """The request's trailer lines for the backend: those that the client announced (RFC 9110 section 6.6.2)."""
        decoder, exchange = self.decoder, self.exchange
        if decoder is None or not decoder.trailers or exchange is None or b"trailer" not in exchange.head.specials:
            return b""
        return allowed_trailers(decoder.trailers)

    def _expect_body(self, now: float) -> None:
        """The moment at which a body is too slow: no byte for a while, or too few since it began."""
        settings = self.port.settings if self.exchange is None else self.exchange.settings
        deadline = now + (settings.body_read_timeout or NEVER)
        if settings.body_min_rate:
            earned = max(settings.body_grace, self.received / settings.body_min_rate)
            deadline = min(deadline, self.body_began + earned)
        self.deadline = deadline

    def _refuse_body(self, refused: Refused) -> None:
        exchange = self.exchange
        assert exchange is not None
        self.left = DRAINING
        if exchange.status:
            self.abort()
        else:
            exchange.reply(refused.status, refused.reason.encode())

    def pause(self) -> None:
        """The backend cannot take more of the body: stop reading. The time that passes is not the client's."""
        self.deadline = NEVER
        self.held = True
        self.transport.pause_reading()

    def resume(self) -> None:
        """The backend takes more again."""
        self.held = False
        if self.left:
            self.received = 0
            self.body_began = now = monotonic()
            self._expect_body(now)
        if self.splice is None:
            self.transport.resume_reading()

    # -- a long body -------------------------------------------------------------------------------------------------

    def _move_body(self, exchange: Exchange) -> None:
        """Let the kernel move the rest of the body, if the backend's side can take it so and nobody else wants it."""
        if self.port.scheme != b"http" or self.exchange is not exchange or exchange.copy is not None:
            return
        attempts = exchange.attempts
        target = None if exchange.up is None else exchange.up.sink
        if target is not None and (attempts is None or attempts.retry is None):
            self.splice = splice(self.runtime, self, self.transport, target, self.left)

    def spliced(self, size: int) -> None:
        """So many bytes of the body are on their way to the backend."""
        assert self.exchange is not None
        self.left -= size
        self.received += size
        self.exchange.bytes_in += size
        if self.deadline != NEVER:
            self._expect_body(monotonic())

    def spliced_all(self) -> None:
        """The body is complete."""
        exchange = self.exchange
        assert exchange is not None
        self._stop_splice()
        self.held = False
        self.transport.resume_reading()
        exchange.send_body(b"", True)
        if self.exchange is exchange:
            self.deadline = NEVER

    def splice_rests(self) -> None:
        """The backend takes no more for now."""
        assert self.exchange is not None
        self.exchange.up.pause_writing()

    def splice_goes_on(self) -> None:
        """The backend takes more again."""
        assert self.exchange is not None
        self.exchange.up.resume_writing()

    def splice_broke(self, *, source: bool, clean: bool) -> None:
        """The client is gone, or the backend takes no more and its own connection says why, as far as it can."""
        self._stop_splice()
        if source:
            self.transport.abort()
        elif self.exchange is not None and self.exchange.up is not None:
            self.exchange.up.was_reset = not clean

    def _stop_splice(self) -> None:
        if self.splice is not None:
            self.splice.stop()
            self.splice = None
