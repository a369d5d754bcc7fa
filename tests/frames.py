"""Frames of HTTP/2, read one by one (RFC 9113 section 4.1), for what h2 does not take, like a stream after GOAWAY."""

from __future__ import annotations

from gatewayd.wire.frames import FRAME_HEADER

HEADER_SIZE = 9  # octets


def parse_header(data: bytes, at: int = 0) -> tuple[int, int, int, int]:
    """(length, type, flags, stream) of the frame whose nine octets begin at `at`."""
    word, flags, stream = FRAME_HEADER.unpack_from(data, at)
    return word >> 8, word & 0xFF, flags, stream & 0x7FFFFFFF


def cut(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(type, flags, stream, payload) of the frames in `data`, which end where it ends."""
    found, at = [], 0
    while at < len(data):
        length, kind, flags, stream = parse_header(data, at)
        at += HEADER_SIZE
        found.append((kind, flags, stream, data[at : at + length]))
        at += length
    return found
