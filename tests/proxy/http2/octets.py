"""Frames to send and to count for tests of HTTP/2 that h2 does not speak for, and its codes (RFC 9113 section 7)."""

from __future__ import annotations

import h2.settings
import hpack
from hpack import NeverIndexedHeaderTuple

from gatewayd.wire import frames
from tests.frames import cut
from tests.proxy.conversation import message

WINDOW = h2.settings.SettingCodes.INITIAL_WINDOW_SIZE
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = 0, 1, 2, 3
CONNECT = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
STREAM_CLOSED, REFUSED_STREAM, CANCEL = 5, 7, 8
# A handshake of WebSocket and its answer, both from RFC 6455 section 1.3.
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def response(size: int) -> bytes:
    return message("HTTP/1.1 200 OK", f"content-length: {size}", body=b"x" * size)


def ask(stream: int, path: str) -> bytes:
    """HEADERS of a GET, from whoever does not hold its own state."""
    pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)]
    return frames.headers(stream, hpack.Encoder().encode([NeverIndexedHeaderTuple(*pair) for pair in pseudo]), True)


def goaways(found: list[tuple[int, int, int, bytes]]) -> list[tuple[int, int]]:
    return [frames.parse_goaway(payload, 0) for kind, _, _, payload in found if kind == frames.GOAWAY]


def body_in(data: bytes) -> int:
    """Octets of DATA in these frames."""
    return sum(len(payload) for kind, _, _, payload in cut(data) if kind == frames.DATA)
