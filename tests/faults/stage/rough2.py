"""A backend of HTTP/2 in clear text that does what each request asks for. On h2."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, RequestReceived, StreamEnded, StreamReset, WindowUpdated
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes

from tests.faults.stage.tally import Body, Tally, piece
from tests.faults.stage.wish import Wish, wish_of

WHOLE2 = ("right", "early")
CUT2 = (  # what a client must see as cut, or as an answer of the gateway
    "rst-stream",
    "cut",
    "stall",
    "mute",
    "goaway",
    "busy",
)
_chance = random.Random()


class Rough2(asyncio.Protocol):
    """A connection of the backend, which does what each request's query wants (`rough.Wish`)."""

    def __init__(self, tally: Tally, alive: set[Rough2]) -> None:
        self._tally = tally
        self._alive = alive
        self._wire = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._bodies: dict[int, Body] = {}
        self._wishes: dict[int, Wish] = {}
        self._left: dict[int, int] = {}
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._alive.add(self)
        self._wire.initiate_connection()
        self._wire.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 20})
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._alive.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            events = self._wire.receive_data(data)
        except ProtocolError as error:
            self._tally.never(f"a backend of HTTP/2 was sent: {type(error).__name__} {error}")
            self.die()
            return
        for event in events:
            if self.transport.is_closing():
                return
            with suppress(ProtocolError):  # what comes next in these bytes may have ended the stream
                self._take(event)
        self._flush()

    def _take(self, event: Event) -> None:
        number = getattr(event, "stream_id", 0) or 0
        if isinstance(event, RequestReceived):
            path = bytes(dict(event.headers or ())[b":path"]).decode()
            if path.startswith("/envoy."):  # a service that authorizes, or rather does not
                self._refuse(number)
                return
            wish = wish_of(path)
            self._wishes[number], self._bodies[number] = wish, Body(wish.identity)
            if wish.how == "early":
                self._answer(number, wish)
        elif isinstance(event, DataReceived) and number in self._bodies:
            self._bodies[number].take(event.data or b"")
            with suppress(StreamClosedError):
                self._wire.acknowledge_received_data(event.flow_controlled_length or 0, number)
        elif isinstance(event, StreamEnded):
            self._whole(number)
        elif isinstance(event, StreamReset):
            self._left.pop(number, None)
        elif isinstance(event, WindowUpdated):
            for stream in list(self._left):
                self._send(stream)

    def _refuse(self, number: int) -> None:
        turn = _chance.randint(0, 2)
        if turn == 0:
            self._wire.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
        elif turn == 1:
            self.die()

    def _whole(self, number: int) -> None:
        if number not in self._bodies:
            return
        body, wish = self._bodies.pop(number), self._wishes[number]
        if not body.right or body.size != wish.m:
            self._tally.never(f"a request's body by HTTP/2 that looked complete: {body.right} {body.size} of {wish}")
        if wish.how == "busy":
            self._wire.send_headers(number, [(b":status", b"503")], end_stream=True)
        elif wish.how == "goaway":
            self._wire.close_connection(ErrorCodes.NO_ERROR, last_stream_id=number)
            self._flush()
            self.transport.close()
        elif wish.how not in {"early", "mute"}:
            self._answer(number, wish)

    def _answer(self, number: int, wish: Wish) -> None:
        self._wire.send_headers(number, [(b":status", b"200"), (b"x-id", b"%d" % wish.identity)], end_stream=not wish.n)
        if wish.n:
            self._left[number] = 0
            self._send(number)

    def _send(self, number: int) -> None:
        wish, sent = self._wishes[number], self._left[number]
        end = wish.n if wish.how in WHOLE2 else min(wish.at, wish.n - 1)
        while sent < end and (room := min(self._wire.local_flow_control_window(number), 16384)) > 0:
            data = piece(wish.identity, sent, min(room, end - sent))
            sent += len(data)
            self._wire.send_data(number, data, end_stream=sent == wish.n)
        self._left[number] = sent
        if sent == end:
            del self._left[number]
            if wish.how == "rst-stream":
                self._wire.reset_stream(number, ErrorCodes.INTERNAL_ERROR)
            elif wish.how == "cut":
                self._flush()
                self.die()

    def die(self) -> None:
        """Cut the connection."""
        self.transport.abort()

    def _flush(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self._wire.data_to_send())
