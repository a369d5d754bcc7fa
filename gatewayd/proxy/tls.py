"""TLS to clients: OpenSSL over memory buffers, between a plain transport and the protocol that speaks HTTP.

To the protocol it is a transport, to the transport a protocol. Against the event loop's own TLS it spares a record that
is not there being asked for (an exception for each read), half of the memory of a connection, and it knows half-close.
"""

from __future__ import annotations

import asyncio
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.gone import GONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gatewayd.proxy.port import Port

_RECORD = 16384  # RFC 8446 section 5.1: no record carries more


class TlsConnection(asyncio.Protocol):
    """One connection of a client. Before the handshake is done it is a connection of its own in the worker's lists."""

    __slots__ = (
        "_ended",
        "_incoming",
        "_make",
        "_outgoing",
        "_protocol",
        "_read_record",
        "_ssl",
        "_write_record",
        "deadline",
        "port",
        "runtime",
        "transport",
    )

    exchange = None
    idle = True  # before the handshake is done nothing is lost with it when room must be made

    def __init__(self, port: Port, context: ssl.SSLContext, make: Callable[[str | None], Any]) -> None:
        self.port = port
        self.runtime = port.runtime
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._read_record = self._ssl.read
        self._write_record = self._ssl.write
        self._make = make  # the protocol, from the ALPN protocol that was agreed on
        self._protocol: Any = None
        self._ended = False
        self.deadline = NEVER

    # -- towards the socket ----------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.deadline = monotonic() + self.port.settings.tls_handshake_timeout
        self.runtime.opened(self)

    def data_received(self, data: bytes) -> None:
        self._incoming.write(data)
        if self._protocol is None and not self._shake():
            return
        self._read()

    def _shake(self) -> bool:
        """Go on with the handshake; True when it is done."""
        try:
            self._ssl.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (ssl.SSLError, ValueError):
            self._flush()  # the alert
            self.transport.close()
            return False
        self._flush()
        self.runtime.left(self)
        self.deadline = NEVER
        self._protocol = self._make(self._ssl.selected_alpn_protocol())
        self._protocol.connection_made(self)
        return True

    def _read(self) -> None:
        """Hand over what the records that are here carry. The next record is not asked for before there is one."""
        pieces: list[bytes] = []
        incoming, connection = self._incoming, self._ssl
        ended = False
        try:
            while True:
                data = self._read_record(_RECORD)
                if not data:
                    ended = True
                    break
                pieces.append(data)
                if not incoming.pending and not connection.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:
            self._flush()
            self.transport.abort()
            return
        if self._outgoing.pending:  # tickets, key updates
            self._flush()
        if pieces:
            self._protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended:
            self.eof_received()

    def _flush(self) -> None:
        if self._outgoing.pending and not self.transport.is_closing():
            self.transport.write(self._outgoing.read())

    def eof_received(self) -> bool:
        """close_notify, or an end without it: the client will send no more."""
        if self._ended:
            return True
        self._ended = True
        if self._protocol is None or not self._protocol.eof_received():
            self.transport.close()
            return False
        return True

    def connection_lost(self, error: Exception | None) -> None:
        protocol, self._protocol = self._protocol, None
        self.transport = GONE
        if protocol is not None:
            protocol.connection_lost(error)
        elif self.deadline != NEVER:
            self.runtime.counts.tls_handshake_failures += 1
            self.runtime.closed(self)

    def pause_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._protocol is not None:
            self._protocol.resume_writing()

    # -- towards the protocol: the methods of a transport ----------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send application data."""
        if data:
            self._write_record(data)
            self.transport.write(self._outgoing.read())

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Send application data in one write; a short record more costs less than to copy a long piece."""
        for piece in pieces:
            self._write_record(piece)
        self._flush()

    def _notify(self) -> None:
        """Send close_notify (RFC 8446 section 6.1), once."""
        try:
            self._ssl.unwrap()
        except (ssl.SSLError, ValueError, OSError):
            pass  # the peer's own is not waited for
        self._flush()

    def write_eof(self) -> None:
        """Send no more; what comes is still read."""
        self._notify()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def can_write_eof(self) -> bool:
        """Each direction of TLS 1.3 ends on its own."""
        return True

    def close(self) -> None:
        """Close when what was written has left."""
        if not self.transport.is_closing():
            self._notify()
            self.transport.close()

    def abort(self) -> None:
        """Close at once."""
        self.transport.abort()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        closing: bool = self.transport.is_closing()
        return closing

    def pause_reading(self) -> None:
        """Leave what comes in the socket."""
        self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self.transport.resume_reading()

    def set_write_buffer_limits(self, high: int) -> None:
        """As of the transport."""
        self.transport.set_write_buffer_limits(high=high)

    def get_write_buffer_size(self) -> int:
        """As of the transport."""
        size: int = self.transport.get_write_buffer_size()
        return size

    def get_extra_info(self, name: str) -> Any:
        """`ssl_object`, or what the transport knows."""
        return self._ssl if name == "ssl_object" else self.transport.get_extra_info(name)

    def set_protocol(self, protocol: Any) -> None:
        """From now on this protocol is told what comes."""
        self._protocol = protocol

    # -- before the handshake is done ------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """The handshake takes too long."""
        self.transport.abort()

    def drain(self) -> None:
        """A handshake goes on; the connection that it makes is drained like any other."""
