"""WebSocket frames (RFC 6455 section 5.2), as far as a gateway looks at them: where they end, and the one it sends."""

from __future__ import annotations

LONGEST_HEAD = 14
_OPCODES = frozenset({0, 1, 2, 8, 9, 10})
_CLOSE = 8
_CONTROL = 0x08  # this bit of the opcode makes it a control frame: short, and never in parts
_GOING_AWAY = (1001).to_bytes(2, "big")  # section 7.4.1: such as a server that goes down


def at_border(start: bytes, size: int, *, masked: bool) -> bool:
    """Whether another frame may follow: `size` bytes that begin with `start` are whole frames, none of them a Close.
    Of more than one frame `start` must be all. `masked`: they are a client's.
    """
    place = 0
    while place < size:
        length = _frame_size(start[place : place + LONGEST_HEAD], masked)
        if not length:
            return False
        place += length
    return place == size


def going_away(key: bytes = b"") -> bytes:
    """The Close frame of an end that goes away; masked with a `key` of four bytes where a client would send it."""
    if not key:
        return bytes((0x80 | _CLOSE, len(_GOING_AWAY))) + _GOING_AWAY
    payload = bytes(one ^ other for one, other in zip(_GOING_AWAY, key, strict=False))
    return bytes((0x80 | _CLOSE, 0x80 | len(payload))) + key + payload


def _frame_size(head: bytes, masked: bool) -> int:
    """Bytes of the frame that begins so; 0 when none can begin so, or when it is a Close or too little is known of it.
    RSV1 may be set: compressed messages (RFC 7692) have it.
    """
    if len(head) < 2:
        return 0
    opcode, length = head[0] & 0x0F, head[1] & 0x7F
    if opcode not in _OPCODES or opcode == _CLOSE or head[0] & 0x30 or bool(head[1] & 0x80) != masked:
        return 0
    if opcode & _CONTROL and (length > 125 or not head[0] & 0x80):
        return 0
    start = {126: 4, 127: 10}.get(length, 2)
    if len(head) < start:
        return 0
    if start > 2:
        length = int.from_bytes(head[2:start], "big")
    return start + (4 if masked else 0) + length
