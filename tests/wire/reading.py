"""Messages read as connections read them: bytes come in parts, and what is left of one read leads the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gatewayd.wire.body import ChunkedBody
from gatewayd.wire.fields import Fields, split_block
from gatewayd.wire.framing import CHUNKED
from gatewayd.wire.head import HeadLimits, RequestHead, parse_request
from gatewayd.wire.refused import Refused
from gatewayd.wire.response_head import parse_response

LIMITS = HeadLimits()


class Outcome(NamedTuple):
    """What became of one message. `verdict` is (0, "") when it is complete, else (0, "incomplete") or the refusal."""

    verdict: tuple[int, str]
    line: tuple[object, ...] = ()  # what the start line and the host say
    framing: tuple[object, ...] = ()  # length, keep-alive and what else the fields decide
    fields: Fields = []
    body: bytes = b""
    trailers: Fields = []
    rest: bytes = b""


def read_request(parts: Iterable[bytes], limits: HeadLimits = LIMITS) -> Outcome:
    """The first request of these parts, body included."""
    waiting = iter(parts)
    data = b""
    scanned = 0
    try:
        for part in waiting:
            data += part
            head = parse_request(data, limits, scanned)
            if head is not None:
                return _read_body(head, data[head.end :], waiting)
            scanned = len(data)
    except Refused as refused:
        return Outcome((refused.status, refused.reason))
    return Outcome((0, "incomplete"))


def _read_body(head: RequestHead, data: bytes, waiting: Iterator[bytes]) -> Outcome:
    line = (head.method, head.path, head.query, head.minor, head.host, head.authority)
    framing = (head.length, head.keep_alive, head.expect, head.upgrade, head.trailers, sorted(head.specials.items()))
    outcome = Outcome((0, ""), line, framing, head.fields)
    if head.length != CHUNKED:
        data += b"".join(waiting)
        if len(data) < head.length:
            return outcome._replace(verdict=(0, "incomplete"), body=data)
        return outcome._replace(body=data[: head.length], rest=data[head.length :])
    decoder = ChunkedBody()
    pieces: list[bytes] = []
    while True:
        found, rest = decoder.feed(data)
        pieces += found
        if decoder.done:
            trailers = split_block(decoder.trailers)
            return outcome._replace(body=b"".join(pieces), trailers=trailers, rest=rest + b"".join(waiting))
        try:
            data = next(waiting)
        except StopIteration:
            return outcome._replace(verdict=(0, "incomplete"), body=b"".join(pieces))


def read_response(parts: Iterable[bytes], method: bytes, limits: HeadLimits = LIMITS) -> Outcome:
    """The first response head of these parts."""
    waiting = iter(parts)
    data = b""
    try:
        for part in waiting:
            data += part
            head = parse_response(data, limits, method)
            if head is not None:
                line = (head.status, head.reason)
                framing = (head.length, head.keep_alive, sorted(head.specials.items()))
                rest = data[head.end :] + b"".join(waiting)
                return Outcome((0, ""), line, framing, split_block(head.block), rest=rest)
    except Refused as refused:
        return Outcome((refused.status, refused.reason))
    return Outcome((0, "incomplete"))


def single_bytes(data: bytes) -> list[bytes]:
    """Every byte alone."""
    return [data[place : place + 1] for place in range(len(data))]


def cut_in_two(data: bytes, places: Iterable[int] | None = None) -> Iterator[list[bytes]]:
    """Two parts, cut at every place (or at these)."""
    for place in range(1, len(data)) if places is None else places:
        yield [data[:place], data[place:]]
