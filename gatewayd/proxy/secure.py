"""Streams whose TLS ends here (TLSRoute and TCPRoute on a TLS listener of mode Terminate): records on the client's
side, plain bytes on the endpoint's.

A client that closes without close_notify has ended its half all the same: too many never send one, and what the bytes
mean is not known here.
"""

from __future__ import annotations

import socket
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.direction import Flow
from gatewayd.proxy.gone import GONE
from gatewayd.proxy.reset import reset as cut
from gatewayd.proxy.stream import Stream
from gatewayd.proxy.watch import Watch

if TYPE_CHECKING:
    from gatewayd.proxy.port import Port
    from gatewayd.proxy.tls import TlsConnection
    from gatewayd.routing.rule import Share
    from gatewayd.routing.table import ListenerTable

_READ = 65536


class SecureStream(Stream):
    """A stream that is the protocol of a TLS connection, its `client`. No ALPN protocol is agreed on: what the endpoint
    speaks is not known.
    """

    __slots__ = ("_back", "_forth", "_share")

    def __init__(self, port: Port, client: TlsConnection, listener: ListenerTable | None, name: bytes) -> None:
        super().__init__(port, client, client.get_extra_info("peername"), listener, name)
        self._share: Share | None = None  # once it is admitted

    def admit(self) -> None:
        """Choose who will serve it. Who would be served by nobody is refused before the handshake: LookupError where
        no route has the name, ConnectionError where there is no backend.
        """
        share = self.choose()
        if self.rule is None:
            self._refuse(b"no_route")
            raise LookupError(self.name)
        failure = "no_route" if share is None else share.failure or share.clear_failure
        if failure:
            self._refuse(failure.encode())
            raise ConnectionError(failure)
        self._share = share

    def _refuse(self, reason: bytes) -> None:
        """Count and log; the connection ends by itself."""
        self.client = GONE
        self.end(reason)

    # -- the protocol of the TLS connection ------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """The handshake is done: connect."""
        self.began = monotonic()
        self._ends = self._forth, self._back = Inbound(self), Outbound(self)
        transport.set_write_buffer_limits(high=self.settings.buffer_bytes)
        transport.pause_reading()
        self.runtime.opened(self)
        assert self._share is not None
        self.use(self._share)

    def data_received(self, data: bytes) -> None:
        """What the client sent."""
        if not self.over:
            self._forth.take(data)

    def eof_received(self) -> bool:
        """The client will send no more; it may still read."""
        if not self.over:
            self._forth.end()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """The client is gone, before both ways were over."""
        self.client = GONE
        self.end(b"reset")

    def pause_writing(self) -> None:
        """The client does not read as fast as the endpoint sends."""
        if not self.over:
            self._back.pause()

    def resume_writing(self) -> None:
        """It has read."""
        if not self.over:
            self._back.resume()

    # -- the stream ------------------------------------------------------------------------------------------------

    def _flows(self, server: socket.socket) -> tuple[Flow, Flow]:
        return self._forth, self._back

    def _hang_up(self, *, reset: bool) -> None:
        if self._share is not None:
            del self._forth, self._back  # they know this stream
        client, self.client = self.client, GONE
        if reset:
            cut(client)
        else:
            client.close()


class Inbound(Flow):
    """From the client to the endpoint. `_rest` waits for the endpoint, and so does what the client sends meanwhile."""

    __slots__ = ("_ending", "_rest", "_server", "_stream")

    def __init__(self, stream: SecureStream) -> None:
        super().__init__(0.0)
        self._stream = stream
        self._server: socket.socket | None = None
        self._rest = b""
        self._ending = False

    def start(self) -> None:
        """The endpoint is there."""
        self._seen_at = self._stream.connected
        self._server = server = self._stream.server
        assert server is not None
        self._stream.runtime.loop.add_writer(server.fileno(), self._write_rest)

    def take(self, data: bytes) -> None:
        """Pass it on, or keep it until the endpoint takes it: then no more is read, so it is one read at most."""
        self.moved += len(data)
        if self._server is None or self._rest:
            self._rest += data
            return
        sent = self._send(data)
        if sent < len(data):
            self._rest = data[sent:]
            self._stream.client.pause_reading()
            self._stream.runtime.loop.add_writer(self._server.fileno(), self._write_rest)

    def _send(self, data: bytes) -> int:
        assert self._server is not None
        try:
            return self._server.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self._stream.end(b"reset")
            return len(data)

    def _write_rest(self) -> None:
        if self._rest:
            self._rest = self._rest[self._send(self._rest) :]
        if self._rest or self._stream.over:
            return
        assert self._server is not None
        self._stream.runtime.loop.remove_writer(self._server.fileno())
        if self._ending:
            self._finish()
        else:
            self._stream.client.resume_reading()

    def end(self) -> None:
        """The client will send no more."""
        if self._server is None or self._rest:
            self._ending = True
        elif not self.done:
            self._finish()

    def _finish(self) -> None:
        assert self._server is not None
        self.done = True
        try:
            self._server.shutdown(socket.SHUT_WR)
        except OSError:
            self._stream.end(b"reset")
            return
        self._stream.half_closed()

    def stop(self) -> None:
        """Leave the loop; the sockets are about to be closed."""
        if self._server is not None:
            self._stream.runtime.loop.remove_writer(self._server.fileno())
        self._server, self._rest = None, b""


class Outbound(Flow):
    """From the endpoint to the client. Reading rests while the client's transport holds more than it should."""

    __slots__ = ("_ending", "_paused", "_server", "_stream", "_watch")

    def __init__(self, stream: SecureStream) -> None:
        super().__init__(0.0)
        self._stream = stream
        self._server: socket.socket | None = None
        self._watch: Watch | None = None
        self._paused = self._ending = False

    def start(self) -> None:
        """Read from the endpoint whenever it has something."""
        self._seen_at = self._stream.connected
        self._server = server = self._stream.server
        assert server is not None
        self._watch = Watch(self._stream.runtime.loop, server.fileno())
        self.resume()

    def pause(self) -> None:
        """Leave what comes in the endpoint's socket."""
        self._paused = True
        if self._watch is not None:
            self._watch.stop()

    def resume(self) -> None:
        """Read again; or, when there is no more to read, all of it has left."""
        self._paused = False
        if self._watch is None:
            return
        if self._ending:
            self._finish()
        else:
            self._watch.start(self._read)

    def _read(self) -> None:
        assert self._server is not None
        try:
            data = self._server.recv(_READ)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._stream.end(b"reset")
            return
        if not data:
            self._end()
            return
        self.moved += len(data)
        self._stream.client.write(data)

    def _end(self) -> None:
        """The endpoint will send no more: tell the client. The way is over when the last byte has left."""
        assert self._watch is not None
        self._ending = True
        self._watch.stop()
        client = self._stream.client
        client.write_eof()
        client.set_write_buffer_limits(high=0)
        if not self._paused:
            self._finish()

    def _finish(self) -> None:
        if not self.done:
            self.done = True
            self._stream.half_closed()

    def stop(self) -> None:
        """Leave the loop; the sockets are about to be closed."""
        if self._watch is not None:
            self._watch.stop()
        self._watch = None
