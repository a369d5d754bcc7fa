"""Clients of HTTP/2 that reset streams, stall and leave, and check what they get. On h2."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError, StreamClosedError

from tests.faults.stage.client import next_identity
from tests.faults.stage.rude import PATIENCE, Place, connected, tunnel_wish, wish_at
from tests.faults.stage.rude import STALL as PAUSE
from tests.faults.stage.tally import Body, Tally, piece
from tests.faults.stage.wish import OVER, Wish, reset

MOST = 150_000
_chance = random.Random()


class Stream:
    """One request: what is still to be sent, and what came. What is sent comes back where it is a call of gRPC
    (`kind` POST) or a WebSocket (CONNECT).
    """

    def __init__(self, wish: Wish, place: Place, sending: bytes, kind: str = "") -> None:
        self.kind = kind
        self.wish = wish
        self.place = place
        self.left = sending
        self.sent = sending
        self.got = bytearray()
        self.status = 0
        self.fields: dict[bytes, bytes] = {}
        self.leaves_at = _chance.randint(0, wish.n + 1) if _chance.random() < 0.25 else -1
        self.over = False


class Client2:
    """One connection with some streams."""

    def __init__(self, tally: Tally, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tally = tally
        self._reader = reader
        self._writer = writer
        self._wire = H2Connection(H2Configuration(header_encoding=None, validate_outbound_headers=False))
        self._streams: dict[int, Stream] = {}
        self._wire.initiate_connection()

    def begin(self, stream: Stream) -> None:
        """Send a request's head."""
        number = self._wire.get_next_available_stream_id()
        wish, place = stream.wish, stream.place
        fields = [(":method", stream.kind or ("POST" if stream.left else "GET")), (":scheme", "http"),
                  (":authority", "localhost"),
                  (":path", place.prefix if stream.kind == "POST" else place.path(wish))]  # fmt: skip
        if stream.kind == "CONNECT":
            fields += [(":protocol", "websocket"), ("sec-websocket-version", "13")]
        elif stream.kind:
            fields += [("content-type", "application/grpc"), ("te", "trailers")]
        for line in _chance.choice(place.lines).splitlines():
            name, _, value = line.partition(": ")
            fields.append((name, value))
        self._wire.send_headers(number, fields, end_stream=not stream.left)
        self._streams[number] = stream

    async def run(self, leave_after: int) -> None:
        """Until all streams are over; with `leave_after` so many bytes were read, leave."""
        read = 0
        while not all(stream.over for stream in self._streams.values()):
            for number, stream in self._streams.items():
                self._fill(number, stream)
            self._writer.write(self._wire.data_to_send())
            data = await self._reader.read(65536)
            if not data:
                break
            for event in self._wire.receive_data(data):
                self._take(event)
            read += len(data)
            if 0 <= leave_after < read:
                if leave_after % 3 == 0:
                    await asyncio.sleep(PAUSE)
                elif leave_after % 3 == 1:
                    reset(self._writer)
                return
        for stream in self._streams.values():
            if not stream.over:
                self._lost(stream)

    def _told_to_go(self, event: ConnectionTerminated) -> None:
        if event.error_code:
            self._tally.never(f"GOAWAY {event.error_code}")
        else:
            self._tally.note("goaway")
        for stream in self._streams.values():
            stream.over = True

    def _lost(self, stream: Stream) -> None:
        self._tally.note("cut")
        if stream.place.steady:
            self._tally.lost.append(f"{stream.place.path(stream.wish)}: by HTTP/2")

    def _fill(self, number: int, stream: Stream) -> None:
        while stream.left and not stream.over:
            room = min(self._wire.local_flow_control_window(number), self._wire.max_outbound_frame_size)
            if not room:
                return
            data, stream.left = stream.left[:room], stream.left[room:]
            self._wire.send_data(number, data, end_stream=not stream.left)

    def _take(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self._told_to_go(event)
        number = getattr(event, "stream_id", 0) or 0
        if number not in self._streams:
            return
        stream = self._streams[number]
        if isinstance(event, ResponseReceived | TrailersReceived):
            stream.fields |= dict(event.headers or ())
            stream.status = int(stream.fields.get(b":status", b"0"))
        elif isinstance(event, DataReceived):
            stream.got += event.data or b""
            with suppress(StreamClosedError):  # what comes next in these bytes may have ended it
                self._wire.acknowledge_received_data(event.flow_controlled_length or 0, number)
            if 0 <= stream.leaves_at < len(stream.got) and not stream.over:
                stream.over = True
                with suppress(StreamClosedError):
                    self._wire.reset_stream(number, ErrorCodes.CANCEL)
                self._tally.note("left")
        elif isinstance(event, StreamReset) and not stream.over:
            stream.over = True
            self._lost(stream)
        elif isinstance(event, StreamEnded) and not stream.over:
            stream.over = True
            self._judge(stream)

    def _judge(self, stream: Stream) -> None:
        what = stream.place.prefix
        if stream.status != 200:
            self._tally.told(stream.status, stream.place.allowed, what)
            if stream.place.steady:
                self._tally.lost.append(f"{stream.place.path(stream.wish)}: {stream.status} by HTTP/2")
        elif stream.kind == "CONNECT":
            self._tally.note("streamed")
            if not stream.sent.startswith(bytes(stream.got)):
                self._tally.never(f"{what}: a WebSocket with wrong bytes")
        elif stream.kind:
            self._tally.note("complete" if stream.fields.get(b"grpc-status") == b"0" else "call failed")
            if stream.fields.get(b"grpc-status") == b"0" and stream.got != stream.sent:
                self._tally.never(f"{what}: a call with wrong messages")
        else:
            self._tally.note("complete")
            body = Body(stream.wish.identity)
            body.take(bytes(stream.got))
            if stream.fields.get(b"x-id") != b"%d" % stream.wish.identity:
                self._tally.never(f"{what} by HTTP/2: another request's answer")
            if not body.right or body.size != stream.wish.n:
                self._tally.never(f"{what} by HTTP/2: an answer of {stream.wish.how} that is not whole, or not right")


async def ask2(tally: Tally, place: Place) -> None:
    """Some streams on one connection."""
    streams = []
    for _ in range(_chance.randint(1, 8)):
        wish = wish_at(place)
        streams.append(Stream(wish, place, piece(wish.identity, 0, min(wish.m, 65000))))
        if wish.m > 65000:
            streams[-1].wish = Wish(wish.how, wish.identity, wish.n, wish.at, 65000)
    await _converse(tally, place, streams)


async def call2(tally: Tally, place: Place) -> None:
    """Some calls of gRPC."""
    streams = []
    for _ in range(_chance.randint(1, 4)):
        identity = next_identity()
        size = _chance.choice((10, 1000, 60_000))
        messages = (b"\0" + size.to_bytes(4, "big") + piece(identity, 0, size)) * _chance.randint(1, 3)
        streams.append(Stream(Wish("right", identity, n=len(messages)), place, messages, "POST"))
    await _converse(tally, place, streams)


async def tunnel2(tally: Tally, place: Place) -> None:
    """Some WebSockets (RFC 8441), which may well end with a reset."""
    place, streams = replace(place, steady=False), []
    for _ in range(_chance.randint(1, 4)):
        wish = tunnel_wish()
        streams.append(Stream(wish, place, piece(wish.identity, 0, _chance.choice((1, 1000, 60_000))), "CONNECT"))
    await _converse(tally, place, streams)


async def _converse(tally: Tally, place: Place, streams: list[Stream]) -> None:
    leave_after = _chance.randint(0, 300_000) if _chance.random() < 0.3 else -1
    try:
        async with asyncio.timeout(PATIENCE), connected(place.port, place.tls) as (reader, writer):
            client = Client2(tally, reader, writer)
            for stream in streams:
                client.begin(stream)
            await client.run(leave_after)
    except TimeoutError:
        tally.never(f"{place.prefix} by HTTP/2: no end")
    except OVER:
        tally.note("cut")
    except ProtocolError as error:
        tally.never(f"{place.prefix} by HTTP/2: {type(error).__name__} {error}")
