"""What a connection to an HTTP/1.1 backend takes in once a response's head was read: its body, decoded or moved."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.http1.sips import SIP, Sips, unread
from gatewayd.proxy.http1.splice import LONG, Splice, splice
from gatewayd.wire.body import gathered
from gatewayd.wire.framing import CHUNKED, UNTIL_CLOSE

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.runtime import Runtime
    from gatewayd.routing.snapshot import Settings
    from gatewayd.upstream.endpoint import Endpoint
    from gatewayd.wire.body import ChunkedBody


class Response1(asyncio.Protocol):
    """The receiving half of `upstream.Upstream1` for bodies: `left` is what is still to come, None before the head;
    `splice` moves it while it is long and both sides are in clear text. `keep` says whether the connection may be used
    again, `was_reset` that the backend reset it, which only who sent the request's body was told.
    """

    __slots__ = (
        "deadline",
        "decoder",
        "endpoint",
        "exchange",
        "keep",
        "left",
        "runtime",
        "settings",
        "sipping",
        "splice",
        "tail",
        "transport",
        "was_reset",
    )

    deadline: float
    decoder: ChunkedBody | None
    endpoint: Endpoint
    exchange: Exchange | None
    keep: bool
    left: int | None
    runtime: Runtime
    settings: Settings
    sipping: bool
    splice: Splice | None
    tail: bytes
    transport: Any
    was_reset: bool

    def _read_body(self, exchange: Exchange, data: bytes) -> None:
        self.deadline = monotonic() + self.settings.stream_idle_timeout
        if len(data) > SIP and not self.sipping:
            self.sipping = True
            self.transport.set_protocol(Sips(self))
        left = self.left
        if left == UNTIL_CLOSE:
            exchange.respond_body(data, False)
        elif left == CHUNKED:
            assert self.decoder is not None
            pieces = self._decode(data)
            if len(data) >= SIP and self.decoder.done:
                self._look_behind()
            self._pass_on(exchange, pieces)
        else:
            assert left is not None
            self.left = left = left - len(data)
            if left < 0:
                data = data[:left]
                self._spare()
            elif not left and len(data) >= SIP:
                self._look_behind()
            exchange.respond_body(data, left <= 0)

    def _decode(self, data: bytes) -> list[bytes]:
        """Pieces of the body: its chunks, or one for many that are short."""
        assert self.decoder is not None
        pieces, rest = self.decoder.feed(data)
        if rest:
            self._spare()
        return gathered(pieces, len(data))

    def _pass_on(self, exchange: Exchange, pieces: list[bytes]) -> None:
        decoder = self.decoder
        assert decoder is not None
        last = pieces.pop() if pieces else b""
        for piece in pieces:
            exchange.respond_body(piece, False)
            if self.exchange is not exchange:
                return
        if last or decoder.done:
            exchange.respond_body(last, decoder.done, decoder.trailers)

    def _spare(self) -> None:
        """Bytes that belong to no response could be taken for the next one's: the connection is never used again."""
        self.runtime.counts.upstream_spare_bytes += 1
        self.keep = False
        if self.exchange is None:
            self.endpoint.idle.pop(self, None)
            self.transport.abort()

    def _look_behind(self) -> None:
        """The response is complete with a read that may have ended where its buffer did: what the socket still holds is
        spare, and must not be there when the next request is sent. After a shorter read it holds nothing.
        """
        if unread(self.transport):
            self._spare()

    def _ended(self, exchange: Exchange, *, clean: bool) -> None:
        """The backend will send no more. Only a body without a length may end so."""
        self.keep = False
        clean = clean and not self.was_reset
        if self.left == UNTIL_CLOSE and clean:
            exchange.respond_body(b"", True)
            return
        self.exchange = None
        self._stop_splice()
        self.transport.abort()
        if self.left is None and self.tail:
            exchange.upstream_lost(b"upstream_cut_head")
        else:
            if not clean:
                self.runtime.counts.upstream_resets += 1
            exchange.upstream_lost(b"upstream_closed" if self.left is None else b"upstream_cut_body")

    def close(self) -> None:
        """Close an idle connection."""
        self.transport.close()

    # -- a long body -------------------------------------------------------------------------------------------------

    def _move_body(self, exchange: Exchange) -> None:
        """Let the kernel move the rest of the body, if it is long and the client's side can take it so."""
        left = self.left
        if left is None or left < LONG or self.exchange is not exchange:
            return
        target = exchange.down.sink
        if target is not None:
            self.splice = splice(self.runtime, self, self.transport, target, left)

    def spliced(self, size: int) -> None:
        """So many bytes of the body are on their way to the client."""
        assert self.left is not None and self.exchange is not None
        self.left -= size
        self.exchange.bytes_out += size
        self.deadline = monotonic() + self.settings.stream_idle_timeout

    def spliced_all(self) -> None:
        """The body is complete."""
        exchange = self.exchange
        assert exchange is not None
        self._stop_splice()
        self._look_behind()
        self.transport.resume_reading()
        exchange.respond_body(b"", True)

    def splice_rests(self) -> None:
        """The client takes no more for now."""
        assert self.exchange is not None
        self.exchange.down.pause_writing()

    def splice_goes_on(self) -> None:
        """The client takes more again."""
        assert self.exchange is not None
        self.exchange.down.resume_writing()

    def splice_broke(self, *, source: bool, clean: bool) -> None:
        """The backend is gone, or the client is (its own connection will say so, or may not read)."""
        exchange = self.exchange
        assert exchange is not None
        if source:
            self._ended(exchange, clean=clean)
        else:
            self._stop_splice()
            exchange.down.transport.abort()

    def _stop_splice(self) -> None:
        if self.splice is not None:
            self.splice.stop()
            self.splice = None
