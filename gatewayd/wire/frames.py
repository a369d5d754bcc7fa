"""The frames of HTTP/2 (RFC 9113 sections 4 and 6): what each must look like, and how each is written.

A protocol unpacks FRAME_HEADER, calls `check` for the frames that can be wrong by
their header alone, and waits for the payload; that of DATA then travels as a slice. What needs a connection's state
(which frame may follow which, windows, streams) is the protocol's.
"""

from __future__ import annotations

from enum import IntEnum
from struct import Struct
from typing import NamedTuple


class ErrorCode(IntEnum):
    """Section 7."""

    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class ConnectionFault(Exception):
    """What ends the connection with a GOAWAY of this code. `reason` is one word of the access log."""

    __slots__ = ("code", "reason")

    def __init__(self, code: ErrorCode, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class StreamFault(Exception):
    """What ends one stream with a RST_STREAM of this code."""

    __slots__ = ("code", "reason", "stream")

    def __init__(self, stream: int, code: ErrorCode, reason: str) -> None:
        super().__init__(stream, code, reason)
        self.stream = stream
        self.code = code
        self.reason = reason


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)

END_STREAM = ACK = 0x01
END_HEADERS = 0x04
PADDED = 0x08
PRIORITIZED = 0x20

HEADER_TABLE_SIZE = 1
ENABLE_PUSH = 2
MAX_CONCURRENT_STREAMS = 3
INITIAL_WINDOW_SIZE = 4
MAX_FRAME_SIZE = 5
MAX_HEADER_LIST_SIZE = 6
ENABLE_CONNECT_PROTOCOL = 8  # RFC 8441

DEFAULT_WINDOW = 65535
MAX_WINDOW = 2**31 - 1
DEFAULT_FRAME_SIZE = 16384

# (length << 8 | type, flags, stream): a 24-bit length needs no arithmetic but a shift then. The first bit of the stream
# is reserved, and ignored (section 4.1).
FRAME_HEADER = Struct(">LBL")
_SETTING = Struct(">HL")
_NUMBER = Struct(">L")
_TWO_NUMBERS = Struct(">LL")
_LOW_31 = 0x7FFFFFFF

_pack_header = FRAME_HEADER.pack


# -- what is checked ---------------------------------------------------------------------------------------------------


class _Rule(NamedTuple):
    """`stream`: True for frames of a stream, False for those of the connection, None for either. Lengths in octets."""

    stream: bool | None
    least: int
    most: int
    reason: str


_ANY_LENGTH = 2**24
# Section 6, by type.
_RULES = (
    _Rule(True, 0, _ANY_LENGTH, "data"),
    _Rule(True, 0, _ANY_LENGTH, "headers"),
    _Rule(True, 5, 5, "priority"),
    _Rule(True, 4, 4, "rst_stream"),
    _Rule(False, 0, _ANY_LENGTH, "settings"),
    _Rule(True, 0, _ANY_LENGTH, "push_promise"),
    _Rule(False, 8, 8, "ping"),
    _Rule(False, 8, _ANY_LENGTH, "goaway"),
    _Rule(None, 4, 4, "window_update"),
    _Rule(True, 0, _ANY_LENGTH, "continuation"),
)


def check(length: int, kind: int, flags: int, stream: int, max_frame: int = DEFAULT_FRAME_SIZE) -> None:
    """Refuse what a frame's header alone makes wrong, before its payload is awaited. Types that we do not know pass
    (section 4.1). ConnectionFault; StreamFault for PRIORITY, after which its payload is to be skipped.
    """
    if length > max_frame:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "frame_too_large")
    if kind > CONTINUATION:
        return
    rule = _RULES[kind]
    if rule.stream is not None and rule.stream is (stream == 0):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, rule.reason + "_stream")
    if not rule.least <= length <= rule.most:
        if kind == PRIORITY:
            raise StreamFault(stream, ErrorCode.FRAME_SIZE_ERROR, "priority_length")
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, rule.reason + "_length")
    if kind == SETTINGS and (length if flags & ACK else length % 6):
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "settings_length")
    if kind == PUSH_PROMISE:  # no client may send one, and we never let a server (section 8.4)
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "push_promise")


def unpad(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(begin, end) of what a PADDED payload carries. ConnectionFault."""
    if at == end:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "padding_length")
    end -= data[at]
    if at >= end:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding")
    return at + 1, end


def fragment(data: bytes, at: int, length: int, flags: int, stream: int) -> tuple[int, int]:
    """(begin, end) of the piece of a field block in a HEADERS payload at `at`. Its priority is ignored.

    A stream that depends on itself ends the connection: the block could not be left out without losing HPACK's state.
    """
    end = at + length
    if flags & PADDED:
        at, end = unpad(data, at, end)
    if flags & PRIORITIZED:
        if end - at < 5:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "headers_length")
        if _NUMBER.unpack_from(data, at)[0] & _LOW_31 == stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "depends_on_itself")
        at += 5
    return at, end


def check_priority(data: bytes, at: int, stream: int) -> None:
    """The payload of PRIORITY. StreamFault if the stream depends on itself (RFC 7540 section 5.3.1)."""
    if _NUMBER.unpack_from(data, at)[0] & _LOW_31 == stream:
        raise StreamFault(stream, ErrorCode.PROTOCOL_ERROR, "depends_on_itself")


# (least value, largest value, code of any other), section 6.5.2 and RFC 8441 section 3.
_SETTING_RULES: dict[int, tuple[int, int, ErrorCode]] = {
    ENABLE_PUSH: (0, 1, ErrorCode.PROTOCOL_ERROR),
    INITIAL_WINDOW_SIZE: (0, MAX_WINDOW, ErrorCode.FLOW_CONTROL_ERROR),
    MAX_FRAME_SIZE: (DEFAULT_FRAME_SIZE, 2**24 - 1, ErrorCode.PROTOCOL_ERROR),
    ENABLE_CONNECT_PROTOCOL: (0, 1, ErrorCode.PROTOCOL_ERROR),
}


def parse_settings(payload: bytes, from_server: bool = False) -> list[tuple[int, int]]:
    """The settings of a frame in order, unknown ones included. ConnectionFault for a value that is not allowed."""
    found: list[tuple[int, int]] = [*_SETTING.iter_unpack(payload)]
    for setting, value in found:
        rule = _SETTING_RULES.get(setting)
        if rule is not None and not rule[0] <= value <= rule[1]:
            raise ConnectionFault(rule[2], "setting")
        if from_server and setting == ENABLE_PUSH and value:  # section 6.5.2
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "setting")
    return found


def increment(data: bytes, at: int, stream: int) -> int:
    """By how much a WINDOW_UPDATE opens a window. Zero is a fault of the stream or of the connection (section 6.9)."""
    found: int = _NUMBER.unpack_from(data, at)[0] & _LOW_31
    if not found:
        if stream:
            raise StreamFault(stream, ErrorCode.PROTOCOL_ERROR, "window_increment")
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "window_increment")
    return found


def reset_code(data: bytes, at: int) -> int:
    """The code of a RST_STREAM; it may be one that ErrorCode does not know."""
    code: int = _NUMBER.unpack_from(data, at)[0]
    return code


def parse_goaway(data: bytes, at: int) -> tuple[int, int]:
    """(the last stream that the peer will have served, code) of a GOAWAY."""
    last, code = _TWO_NUMBERS.unpack_from(data, at)
    return last & _LOW_31, code


# -- what is written ---------------------------------------------------------------------------------------------------


def settings(values: dict[int, int]) -> bytes:
    """A SETTINGS frame."""
    return _pack_header(6 * len(values) << 8 | SETTINGS, 0, 0) + b"".join(
        [_SETTING.pack(setting, value) for setting, value in values.items()]
    )


SETTINGS_ACK = _pack_header(SETTINGS, ACK, 0)
_PING = _pack_header(8 << 8 | PING, 0, 0)
_PING_ACK = _pack_header(8 << 8 | PING, ACK, 0)
_FRAME_OF_NUMBER = Struct(">LBLL")


def ping(payload: bytes) -> bytes:
    """A PING of eight octets."""
    return _PING + payload


def ping_ack(payload: bytes) -> bytes:
    """The answer to a PING with this payload."""
    return _PING_ACK + payload


def goaway(last: int, code: int, text: bytes = b"") -> bytes:
    """A GOAWAY: streams above `last` were not served."""
    return _pack_header(8 + len(text) << 8 | GOAWAY, 0, 0) + _TWO_NUMBERS.pack(last, code) + text


def rst_stream(stream: int, code: int) -> bytes:
    """A RST_STREAM."""
    return _FRAME_OF_NUMBER.pack(4 << 8 | RST_STREAM, 0, stream, code)


def window_update(stream: int, size: int) -> bytes:
    """A WINDOW_UPDATE by 1 to MAX_WINDOW octets, of the connection for stream 0."""
    return _FRAME_OF_NUMBER.pack(4 << 8 | WINDOW_UPDATE, 0, stream, size)


def headers(stream: int, block: bytes, ended: bool, max_frame: int = DEFAULT_FRAME_SIZE) -> bytes:
    """HEADERS with a whole field block, and CONTINUATION frames for what is longer than one frame."""
    if len(block) <= max_frame:
        return _pack_header(len(block) << 8 | HEADERS, END_HEADERS | ended, stream) + block
    parts = [_pack_header(max_frame << 8 | HEADERS, int(ended), stream), block[:max_frame]]
    for at in range(max_frame, len(block), max_frame):
        piece = block[at : at + max_frame]
        last = END_HEADERS if at + max_frame >= len(block) else 0
        parts += _pack_header(len(piece) << 8 | CONTINUATION, last, stream), piece
    return b"".join(parts)


def data(stream: int, payload: bytes, ended: bool, max_frame: int = DEFAULT_FRAME_SIZE) -> bytes:
    """DATA, in as many frames as `max_frame` makes necessary; one empty frame for an empty payload."""
    size = len(payload)
    if size <= max_frame:
        return _pack_header(size << 8, ended, stream) + payload
    parts: list[bytes] = []
    for at in range(0, size, max_frame):
        piece = payload[at : at + max_frame]
        parts += _pack_header(len(piece) << 8, ended and at + max_frame >= size, stream), piece
    return b"".join(parts)
