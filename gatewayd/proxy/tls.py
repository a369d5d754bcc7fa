"""TLS to clients: OpenSSL over memory buffers, between a plain transport and the protocol that speaks HTTP.

To the protocol it is a transport, to the transport a protocol. Against the event loop's own TLS it spares a record that
is not there being asked for (an exception for each read), half of the memory of a connection, and it knows half-close.
And it can read the ClientHello before OpenSSL does, which then has the context that the client asked for.

    the hello is coming (`_hello`) -> the handshake (`_ssl`) -> data, for the `_protocol` that ALPN chose
"""

from __future__ import annotations

import asyncio
import ssl
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from gatewayd.proxy.deadline import NEVER
from gatewayd.proxy.gone import GONE
from gatewayd.proxy.reset import reset
from gatewayd.wire.clienthello import least_missing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.proxy.port import Port

_RECORD = 16384  # RFC 8446 section 5.1: no record carries more
_UNRECOGNIZED_NAME = b"\x15\x03\x01\x00\x02\x02\x70"  # fatal alert 112 (RFC 6066 section 3)


class Welcome(Protocol):
    """What a port does for its TLS connections."""

    port: Port

    def context(self, hello: bytes, connection: TlsConnection) -> tuple[ssl.SSLContext, Any] | None:
        """The context, and what `protocol` has to know, for the ClientHello that the bytes begin with; None while it is
        incomplete. ValueError when it is none, LookupError when nobody serves the server name, ConnectionError when
        who should serve it cannot.
        """

    def protocol(self, alpn: str | None, chosen: Any) -> Any:
        """The protocol that was agreed on."""


class TlsConnection(asyncio.Protocol):
    """One connection of a client. Before the handshake is done it is a connection of its own in the worker's lists."""

    __slots__ = (
        "_chosen",
        "_ended",
        "_hello",
        "_incoming",
        "_least",
        "_outgoing",
        "_protocol",
        "_read_record",
        "_ssl",
        "_welcome",
        "_write_record",
        "deadline",
        "port",
        "runtime",
        "transport",
    )

    exchange = None
    idle = True  # before the handshake is done nothing is lost with it when room must be made

    _chosen: Any
    _incoming: ssl.MemoryBIO
    _outgoing: ssl.MemoryBIO
    _ssl: ssl.SSLObject | None

    def __init__(self, welcome: Welcome) -> None:
        self.port = welcome.port
        self.runtime = self.port.runtime
        self._welcome = welcome
        self._hello = b""
        self._least = 0  # bytes of it before which it cannot be whole
        self._ssl = None
        self._protocol: Any = None
        self._ended = False
        self.deadline = NEVER

    # -- towards the socket ----------------------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.deadline = monotonic() + self.port.settings.tls_handshake_timeout
        self.runtime.opened(self)

    def data_received(self, data: bytes) -> None:
        if self._ssl is None:
            data = self._hello + data
            if len(data) < self._least or not self._greet(data):
                self._hello = data
                return
        self._incoming.write(data)
        if self._protocol is None and not self._shake():
            return
        self._read()

    def _greet(self, data: bytes) -> bool:
        """Choose listener and context by the ClientHello; True when it is there."""
        try:
            found = self._welcome.context(data, self)
        except LookupError:
            self.transport.write(_UNRECOGNIZED_NAME)
            self.transport.close()
            return False
        except ValueError:
            self.transport.abort()
            return False
        except ConnectionError:
            reset(self.transport)
            return False
        if found is None:
            self._least = len(data) + least_missing(data)
            return False
        context, self._chosen = found
        self._hello = b""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._read_record = self._ssl.read
        self._write_record = self._ssl.write
        return True

    def _shake(self) -> bool:
        """Go on with the handshake; True when it is done."""
        connection = self._ssl
        assert connection is not None
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            return False
        except (ssl.SSLError, ValueError):
            self._flush()  # the alert
            self.transport.close()
            return False
        # A ticket could go with the first answer. But what leaves now acknowledges the Finished; without it a client
        # that uses Nagle's algorithm keeps its request back until a timer of this side sends the acknowledgement.
        self._flush()
        self.runtime.left(self)
        self.deadline = NEVER
        self._protocol = self._welcome.protocol(connection.selected_alpn_protocol(), self._chosen)
        self._protocol.connection_made(self)
        return True

    def _read(self) -> None:
        """Hand over what the records that are here carry. The next record is not asked for before there is one; of the
        present one nothing is left, as each read has room for all that a record can carry.
        """
        pieces: list[bytes] = []
        incoming = self._incoming
        ended = False
        try:
            while True:
                data = self._read_record(_RECORD)
                if not data:
                    ended = True
                    break
                pieces.append(data)
                if not incoming.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:  # close_notify, when ours was sent before
            ended = True
        except ssl.SSLError as error:
            self._break(error)
            return
        if self._outgoing.pending:  # key updates
            self._flush()
        if pieces:
            self._protocol.data_received(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if ended:
            self.eof_received()

    def _break(self, error: ssl.SSLError) -> None:
        """A record that nobody made who has the keys. The protocol hears of it here: of what this side cuts, the
        transport would say that it just ended.
        """
        self._flush()
        self.transport.abort()
        protocol, self._protocol = self._protocol, None
        protocol.connection_lost(error)

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
        self._chosen = None  # a stream that was admitted knows this connection
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
        if self._ssl is None:
            return
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
