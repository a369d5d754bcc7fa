"""Heads of HTTP/1.1 responses, read as those of requests are (`head`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.wire import framing
from gatewayd.wire.fields import without
from gatewayd.wire.grammar import BROKEN, RESPONSE_HEAD, RESPONSE_SPECIALS
from gatewayd.wire.refused import Refused
from gatewayd.wire.specials import FRAMING_OPTIONS, KEPT_OPTIONS, PLAIN_CONNECTION, connection_options, sort_out

if TYPE_CHECKING:
    from gatewayd.wire.head import HeadLimits

_split_response = RESPONSE_SPECIALS.split


class ResponseHead:
    """One response's head. `length` is as in `framing.response_length`."""

    __slots__ = ("block", "end", "keep_alive", "length", "reason", "specials", "status")

    status: int
    reason: bytes
    block: bytes
    specials: dict[bytes, bytes]
    length: int
    end: int
    keep_alive: bool

    @property
    def declared(self) -> bytes | None:
        """The Content-Length field, also where no body follows (HEAD, 304); None when absent."""
        return self.specials.get(b"content-length")

    def copy(self) -> ResponseHead:
        """A head that can be edited without the other; they share `specials`."""
        head = ResponseHead()
        head.status = self.status
        head.reason = self.reason
        head.block = self.block
        head.specials = self.specials
        head.length = self.length
        head.end = self.end
        head.keep_alive = self.keep_alive
        return head


def parse_response(data: bytes, limits: HeadLimits, method: bytes) -> ResponseHead | None:
    """The response head that `data` begins with, to a request with `method`; None while incomplete. Refused: 502."""
    found = RESPONSE_HEAD.match(data)
    if found is None:
        _wait_response(data, limits)
        return None
    head = ResponseHead()
    minor, status, reason, block = found.groups()
    head.end = end = found.end()
    if end > limits.head or block.count(b"\n") > limits.fields:
        raise Refused(502, "head_too_large")
    head.status = int(status)
    head.reason = reason or b""
    pieces = _split_response(block)
    head.block, specials = sort_out(pieces, 502)
    head.specials = specials
    head.length = framing.response_length(
        specials.get(b"content-length"), specials.get(b"transfer-encoding"), minor == b"1", head.status, method
    )
    keep = PLAIN_CONNECTION.get(specials.get(b"connection"))
    if keep is not None:
        head.keep_alive = keep > 1 or (keep == 1 and minor == b"1")
    else:
        _read_connection(head, specials[b"connection"], minor)
    return head


def _wait_response(data: bytes, limits: HeadLimits) -> None:
    end = data.find(b"\r\n\r\n")
    line = data.find(b"\r\n")
    if BROKEN.search(data, 0, limits.head if end < 0 else min(end + 4, limits.head)) is not None:
        raise Refused(502, "head")
    if 0 <= line <= limits.head - 2 and RESPONSE_HEAD.fullmatch(data[:line] + b"\r\n\r\n") is None:
        raise Refused(502, "head")  # some other protocol: its sender waits for us, and we need not wait for it
    if end + 4 > limits.head or (end < 0 and len(data) >= limits.head):
        raise Refused(502, "head_too_large")
    if end >= 0:
        raise Refused(502, "head")


def _read_connection(head: ResponseHead, connection: bytes, minor: bytes) -> None:
    options = connection_options(connection)
    head.keep_alive = b"close" not in options and (minor == b"1" or b"keep-alive" in options)
    head.block = without(head.block, options - KEPT_OPTIONS - FRAMING_OPTIONS)
