"""Tunnels: after 101 the two connections carry bytes, whatever they mean (RFC 9110 section 7.8)."""

from __future__ import annotations

import asyncio
from secrets import token_bytes
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.gone import GONE
from gatewayd.proxy.reset import reset, reset_at_close
from gatewayd.wire.websocket import LONGEST_HEAD, at_border, going_away

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.proxy.exchange import Exchange

_REMEMBERED = 256  # bytes: of a longer read only the head of its first frame is kept


class Tunnel:
    """Two ends, and the exchange that opened them: it is finished, and its line written, when both are closed."""

    __slots__ = ("_exchange", "_open", "client", "deadline", "idle_timeout", "runtime", "server")

    def __init__(self, exchange: Exchange, client: Any, upstream: Any) -> None:
        self._exchange = exchange
        self._open = 2
        settings = exchange.settings
        self.runtime = exchange.port.runtime
        self.idle_timeout = settings.tunnel_idle_timeout
        self.deadline = monotonic() + self.idle_timeout
        self.client = TunnelEnd(self, client)
        self.server = TunnelEnd(self, upstream.transport)
        self.client.peer, self.server.peer = self.server, self.client
        self.server.size = exchange.bytes_out  # what came along with the 101 was not looked at
        assert exchange.backend is not None and exchange.endpoint is not None
        exchange.backend.answered(exchange.endpoint)
        upstream.detach()
        exchange.up = None
        exchange.down = self

    def start(self, tail: bytes) -> None:
        """Take over both transports; `tail` is what the client has sent already."""
        self.runtime.opened(self)
        self.client.transport.set_protocol(self.client)
        self.server.transport.set_protocol(self.server)
        if tail:
            self.client.data_received(tail)

    def count(self, end: TunnelEnd, size: int) -> None:
        """Bytes came from one end."""
        if end is self.client:
            self._exchange.bytes_in += size
        else:
            self._exchange.bytes_out += size
        self.deadline = monotonic() + self.idle_timeout

    def half_closed(self) -> None:
        """One direction is over; the other may go on, with shorter silences."""
        self.idle_timeout = min(self.idle_timeout, self._exchange.settings.half_closed_timeout)
        self.deadline = monotonic() + self.idle_timeout

    def lost(self) -> None:
        """One end is closed for good."""
        self._open -= 1
        if not self._open:
            self.runtime.closed(self)
            self.deadline = NEVER  # a sweep that goes on has it in its list
            self._exchange.finish(monotonic())
            for end in (self.client, self.server):  # nothing comes any more, and nothing is left to the collector
                del end.peer, end.tunnel

    def finished(self, now: float) -> None:
        """The exchange has let go."""

    def expire(self, now: float) -> None:
        """Idle for too long."""
        self._exchange.reason = b"tunnel_timeout"
        reset(self.client.transport)
        reset(self.server.transport)

    def go_away(self) -> None:
        """The tunnel is about to be cut: say so to both ends, as far as a frame may follow what each was sent last.
        What is cut elsewhere must not look complete.
        """
        for sender, key in ((self.server, b""), (self.client, token_bytes(4))):
            target = sender.peer.transport
            if sender.ended or target.is_closing():
                continue
            if at_border(sender.start, sender.size, masked=bool(key)):
                target.write(going_away(key))
            elif (sock := target.get_extra_info("socket")) is not None:
                reset_at_close(sock)

    @property
    def transport(self) -> Any:
        """The client's transport (the worker closes connections by it)."""
        return self.client.transport

    def drain(self) -> None:
        """Tunnels go on until the drain is over."""

    @property
    def idle(self) -> bool:
        """A tunnel is always in use."""
        return False

    exchange = None


class TunnelEnd(asyncio.Protocol):
    """One end: what comes here leaves at the peer. `size` and `start` are length and beginning of the last read:
    enough to tell whether it ended with a frame, when that matters.
    """

    __slots__ = ("ended", "peer", "size", "start", "transport", "tunnel")

    def __init__(self, tunnel: Tunnel, transport: Any) -> None:
        self.tunnel = tunnel
        self.transport: Any = transport
        self.ended = False
        self.size = 0
        self.start = b""
        self.peer: TunnelEnd = self

    def data_received(self, data: bytes) -> None:
        self.size = size = len(data)
        self.start = data if size <= _REMEMBERED else data[:LONGEST_HEAD]
        self.tunnel.count(self, size)
        self.peer.transport.write(data)

    def eof_received(self) -> bool:
        self.tunnel.half_closed()
        self.ended = True
        peer = self.peer.transport
        if peer.is_closing() or not peer.can_write_eof() or not self.transport.can_write_eof():
            peer.close()
            return False
        peer.write_eof()
        if self.peer.ended:  # both directions are over: nothing else would close the two
            peer.close()
            return False
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self.transport = GONE  # its descriptor may be another connection's by now
        peer = self.peer.transport
        if not peer.is_closing():
            if error is None:
                peer.close()
            else:  # a stream that was cut must not look complete at the other end
                reset(peer)
        self.tunnel.lost()

    def pause_writing(self) -> None:
        self.peer.transport.pause_reading()

    def resume_writing(self) -> None:
        if not self.peer.transport.is_closing():
            self.peer.transport.resume_reading()


def say_goodbye(connections: Iterable[Any]) -> bool:
    """Tell the ends of all tunnels among these that they are about to be cut; False when there is none."""
    tunnels = [connection for connection in connections if isinstance(connection, Tunnel)]
    for tunnel in tunnels:
        tunnel.go_away()
    return bool(tunnels)
