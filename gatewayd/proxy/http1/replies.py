"""What leaves a connection to an HTTP/1.1 client: responses of backends, framed anew, and the gateway's own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from gatewayd.proxy import replies
from gatewayd.proxy.reset import reset
from gatewayd.wire.body import chunks, last_chunk
from gatewayd.wire.fields import allowed_trailers

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.port import Port
    from gatewayd.proxy.runtime import Runtime
    from gatewayd.wire.response_head import ResponseHead

DISCARD = 65536  # bytes of a body that are read for the sake of keeping a connection
JOIN_BELOW = 32768  # one write (one system call) for head and body; above, copying costs more than the call
NO_BODY = frozenset({204, 304})


class Replies1(asyncio.BaseProtocol):
    """The sending half of `downstream.Downstream1`. `keep` says whether the connection outlives the response;
    `reply_chunked` and `reply_silent` (no body may follow) how the body of the present one is framed.
    """

    __slots__ = (
        "born",
        "exchange",
        "half_closed",
        "keep",
        "left",
        "port",
        "reply_chunked",
        "reply_silent",
        "runtime",
        "tail",
        "transport",
        "write",
    )

    born: float
    exchange: Exchange | None
    half_closed: bool
    keep: bool
    left: int
    port: Port
    runtime: Runtime
    tail: bytes
    transport: Any
    write: Any

    def reply_head(self, head: ResponseHead, data: bytes, ended: bool, trailers: bytes) -> None:
        """A backend's response begins. The status line and the framing are written anew."""
        exchange = self.exchange
        assert exchange is not None
        length = head.length
        framing = self._persist()
        request = exchange.head
        if length >= 0 and not (request.method == b"HEAD" or head.status in NO_BODY):
            framing = b"\r\ncontent-length: %d%b\r\n\r\n" % (length, framing)
            self.reply_chunked = self.reply_silent = False
        else:
            framing, data = self._frame_rest(head, data, ended, trailers, framing)
        if len(data) < JOIN_BELOW:
            self.write(b"HTTP/1.1 %d %b%b%b%b" % (head.status, head.reason, head.block, framing, data))
        else:
            self.write(b"HTTP/1.1 %d %b%b%b" % (head.status, head.reason, head.block, framing))
            self.write(data)

    def _frame_rest(
        self, head: ResponseHead, data: bytes, ended: bool, trailers: bytes, close: bytes
    ) -> tuple[bytes, bytes]:
        """Framing of what is not simply so many bytes: no body at all, chunked, or until the close for HTTP/1.0."""
        exchange = self.exchange
        assert exchange is not None
        request = exchange.head
        self.reply_chunked = False
        self.reply_silent = request.method == b"HEAD" or head.status in NO_BODY
        if self.reply_silent:
            length = None if head.status == 204 else head.declared
            declared = b"" if length is None else b"\r\ncontent-length: %d" % int(length)
            return declared + close + b"\r\n\r\n", b""
        if request.minor == 0:
            if self.keep:
                self.keep = False
                close = replies.CLOSE
            return close + b"\r\n\r\n", data
        self.reply_chunked = True
        announced = head.specials.get(b"trailer") if request.trailers else None
        names = b"" if announced is None else b"\r\ntrailer: " + announced
        framing = b"\r\ntransfer-encoding: chunked%b%b\r\n\r\n" % (names, close)
        return framing, b"".join(self._chunks(data, ended, trailers))

    def _chunks(self, data: bytes, ended: bool, trailers: bytes) -> tuple[bytes, ...]:
        """`data` as a chunk, with the last chunk when this is the end."""
        if not ended:
            return chunks(data)
        exchange = self.exchange
        wanted = trailers and exchange is not None and exchange.head.trailers
        return chunks(data, last_chunk(allowed_trailers(trailers) if wanted else b""))

    def reply_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of a response's body."""
        if self.reply_silent:
            return
        if self.reply_chunked:
            self.transport.writelines(self._chunks(data, ended, trailers))
        elif data:
            self.write(data)

    @property
    def sink(self) -> Any:
        """The transport, where the bytes of the response's body go as they are; else None."""
        plain = self.port.scheme == b"http" and not (self.reply_chunked or self.reply_silent)
        return self.transport if plain else None

    def reply_local(self, status: int, block: bytes) -> None:
        """The gateway's own answer to the request in flight."""
        assert self.exchange is not None
        head_only = self.exchange.head.method == b"HEAD"
        self.exchange.bytes_out = 0 if head_only else len(replies.text(status))
        self.write(replies.reply(status, self.runtime.date, block + self._persist(), head_only=head_only))

    def interim(self, head: ResponseHead) -> None:
        """A 1xx response of the backend (RFC 9110 section 15.2), for a client that knows of them."""
        assert self.exchange is not None
        if head.status == 100 and not self.exchange.head.expect:
            return
        if self.exchange.head.minor:
            self.write(b"HTTP/1.1 %d %b%b\r\n\r\n" % (head.status, head.reason, head.block))

    def abort(self) -> None:
        """The response cannot be completed: cut the connection, so that it does not look complete. Where the response
        lasts until the close (HTTP/1.0), only a reset can say so.
        """
        self.keep = False
        reset(self.transport)

    def cut(self, status: int, reason: bytes) -> None:
        """The response takes too long: HTTP/1.1 has no other way to say so."""
        self.abort()

    def _persist(self) -> bytes:
        """Decide whether the connection outlives this response; the Connection field that says so."""
        exchange = self.exchange
        assert exchange is not None
        request = exchange.head
        keep = self.keep and request.keep_alive and not self.runtime.brief
        if self.half_closed and not self.tail:
            keep = False
        if keep and (self.left or exchange.began - self.born > self.port.settings.connection_lifetime):
            keep = 0 < self.left <= DISCARD and not request.expect
        self.keep = keep
        if not keep:
            return replies.CLOSE
        return b"" if request.minor else replies.KEEP_ALIVE
