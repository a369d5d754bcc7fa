"""HTTP/1 of the echo backend, on h11: strict, streaming, with Expect: 100-continue, pipelining and WebSocket echo."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import h11

from gatewayd.cli.backend.answer import CHUNK, Answer, Received, answer, delay
from gatewayd.cli.backend.websocket import PATH, EchoSession, accept_key
from gatewayd.wire.phrases import PHRASES


class Http1(asyncio.Protocol):
    """One connection. `_left` is what remains to be sent of a made-up body, `_waiting` the timer of `?delay=`."""

    def __init__(self, name: str, peer: dict[str, Any]) -> None:
        self._name = name
        self._peer = peer
        self._wire = h11.Connection(h11.SERVER, max_incomplete_event_size=131072)
        self._received: Received | None = None
        self._left = 0
        self._paused = False
        self._waiting: asyncio.TimerHandle | None = None
        self._session: EchoSession | None = None
        self._transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a delayed answer: there is nobody left to hear it."""
        del exc
        if self._waiting is not None:
            self._waiting.cancel()

    def data_received(self, data: bytes) -> None:
        """Feed h11, or the WebSocket session once the connection was switched."""
        if self._session is not None:
            self._talk(data)
            return
        self._wire.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """Keep a half-closed connection open while an answer is still due."""
        if self._session is None and self._wire.their_state is not h11.SWITCHED_PROTOCOL:
            self._wire.receive_data(b"")
        return self._received is not None

    def pause_writing(self) -> None:
        """Stop making up bytes; a WebSocket stops reading, for what it reads it writes."""
        self._paused = True
        if self._session is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on where pause_writing stopped."""
        self._paused = False
        if self._session is not None:
            self._transport.resume_reading()
        elif self._left:
            self._send_made_up()

    def _advance(self) -> None:
        """Take events until h11 needs more bytes, or the answer to the current request must be sent first."""
        while not self._transport.is_closing():
            if self._wire.they_are_waiting_for_100_continue:
                self._send(h11.InformationalResponse(status_code=100, headers=[]))
            try:
                event = self._wire.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error)
                return
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return
            self._take(event)

    def _take(self, event: Any) -> None:
        if isinstance(event, h11.Request):
            self._received = _received(event)
        elif isinstance(event, h11.Data) and self._received is not None:
            self._received.take(event.data)
        elif isinstance(event, h11.EndOfMessage) and self._received is not None:
            self._answer_after(delay(self._received.target))
        elif isinstance(event, h11.ConnectionClosed):
            self._transport.close()

    def _answer_after(self, seconds: float) -> None:
        if seconds:
            self._waiting = asyncio.get_running_loop().call_later(seconds, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        received = self._received
        self._waiting = None
        if received is None or self._transport.is_closing():
            return
        if received.target.split("?")[0] == PATH and self._switch(received):
            return
        self._respond(answer(received, self._name, self._peer), received.method)

    def _respond(self, answered: Answer, method: str) -> None:
        self._send(
            h11.Response(status_code=answered.status, headers=answered.fields, reason=PHRASES.get(answered.status, b""))
        )
        if answered.body and method != "HEAD":
            self._send(h11.Data(data=answered.body))
        self._left = answered.size if method != "HEAD" else 0
        self._send_made_up()

    def _send_made_up(self) -> None:
        """Send the rest of `/bytes/N` while the peer keeps up; at the end of it the message ends."""
        while self._left and not self._paused and not self._transport.is_closing():
            piece = min(self._left, CHUNK)
            self._left -= piece
            self._send(h11.Data(data=bytes(piece)))
        if not self._left:
            self._finish()

    def _finish(self) -> None:
        """End the message; go on with what was pipelined, or close."""
        self._send(h11.EndOfMessage())
        self._received = None
        if self._wire.our_state is h11.DONE and self._wire.their_state is h11.DONE:
            self._wire.start_next_cycle()
            asyncio.get_running_loop().call_soon(self._advance)
        else:
            self._transport.close()

    def _switch(self, received: Received) -> bool:
        """Answer an upgrade to WebSocket (RFC 6455 4.2); False when the request does not ask for one."""
        key = accept_key(received.fields)
        if key is None or self._wire.their_state in {h11.DONE, h11.MUST_CLOSE}:  # not waiting for a switch
            return False
        fields = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", key)]
        fields.append((b"x-backend", self._name.encode()))
        self._send(h11.InformationalResponse(status_code=101, headers=fields))
        self._received = None
        self._session = EchoSession()
        self._talk(self._wire.trailing_data[0])
        return True

    def _talk(self, data: bytes) -> None:
        if self._session is not None and data:
            self._transport.write(self._session.receive(data))
            if self._session.closed:
                self._transport.close()

    def _refuse(self, error: h11.RemoteProtocolError) -> None:
        """Say once what was wrong with the bytes, and close."""
        if self._wire.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            body = f"{error}\n".encode()
            length = b"%d" % len(body)
            fields = [(b"content-type", b"text/plain"), (b"content-length", length), (b"connection", b"close")]
            self._send(
                h11.Response(
                    status_code=error.error_status_hint,
                    headers=fields,
                    reason=PHRASES.get(error.error_status_hint, b""),
                )
            )
            self._send(h11.Data(data=body))
            self._send(h11.EndOfMessage())
        self._transport.close()

    def _send(self, event: Any) -> None:
        data = self._wire.send(event)
        if data:
            self._transport.write(data)


def _received(event: h11.Request) -> Received:
    fields = list(event.headers)
    host = next((value for name, value in fields if name == b"host"), b"")
    return Received(
        method=event.method.decode("ascii"),
        target=event.target.decode("latin-1"),
        host=host.decode("latin-1"),
        fields=fields,
        protocol=f"HTTP/{event.http_version.decode('ascii')}",
    )
