"""The server's side of WebSocket (RFC 6455), as little as an echo needs: every data frame goes back as it came."""

from __future__ import annotations

import base64
import codecs
import hashlib
from typing import Final

from gatewayd.cli.backend.answer import Fields

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
PATH: Final = "/ws"
LARGEST_FRAME: Final = 16 << 20
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
_RULE_BROKEN, _NOT_UTF8, _TOO_BIG = 1002, 1007, 1009


class _ProtocolBrokenError(Exception):
    """The peer broke a rule; `code` is what the close frame says (RFC 6455 7.4.1)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"closed with {code}")
        self.code = code


def accept_key(fields: Fields) -> bytes | None:
    """The Sec-WebSocket-Accept of an opening handshake; None when it is none (RFC 6455 4.2.1)."""
    values = {name: value.strip() for name, value in fields}
    tokens = {token.strip().lower() for token in values.get(b"connection", b"").split(b",")}
    if values.get(b"upgrade", b"").lower() != b"websocket" or b"upgrade" not in tokens:
        return None
    key = values.get(b"sec-websocket-key")
    if key is None or values.get(b"sec-websocket-version") != b"13":
        return None
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """One unmasked frame, as a server sends it (RFC 6455 5.2)."""
    first = (0x80 if fin else 0) | opcode
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 65536:
        return bytes((first, 126)) + len(payload).to_bytes(2, "big") + payload
    return bytes((first, 127)) + len(payload).to_bytes(8, "big") + payload


class EchoSession:
    """One connection after the switch. `closed` is True once a close frame was sent: the connection is to be closed."""

    def __init__(self) -> None:
        self.closed = False
        self._buffer = bytearray()
        self._message = 0  # opcode of the message whose fragments are coming; 0 when none
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def receive(self, data: bytes) -> bytes:
        """Take bytes of the peer; the bytes to send back."""
        self._buffer += data
        out = bytearray()
        try:
            while not self.closed and (taken := self._next()) is not None:
                out += self._echo(*taken)
        except _ProtocolBrokenError as error:
            self.closed = True
            out += frame(CLOSE, error.code.to_bytes(2, "big"))
        return bytes(out)

    def _next(self) -> tuple[bool, int, bytes] | None:
        """Cut one whole frame from the buffer: (fin, opcode, payload); None while it is incomplete."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if buffer[0] & 0x70 or not buffer[1] & 0x80:  # no extension was agreed; a client masks (RFC 6455 5.1)
            raise _ProtocolBrokenError(_RULE_BROKEN)
        fin, opcode, length, start = bool(buffer[0] & 0x80), buffer[0] & 0x0F, buffer[1] & 0x7F, 2
        if opcode >= CLOSE and (length > 125 or not fin):
            raise _ProtocolBrokenError(_RULE_BROKEN)
        if length >= 126:
            start = 4 if length == 126 else 10
            if len(buffer) < start:
                return None
            length = int.from_bytes(buffer[2:start], "big")
        if length > LARGEST_FRAME:
            raise _ProtocolBrokenError(_TOO_BIG)
        end = start + 4 + length
        if len(buffer) < end:
            return None
        payload = _unmask(bytes(buffer[start + 4 : end]), bytes(buffer[start : start + 4]))
        del buffer[:end]
        return fin, opcode, payload

    def _echo(self, fin: bool, opcode: int, payload: bytes) -> bytes:
        if opcode == CLOSE:
            self.closed = True
            return frame(CLOSE, payload[:2])
        if opcode == PING:
            return frame(PONG, payload)
        if opcode == PONG:
            return b""
        if opcode not in {CONTINUATION, TEXT, BINARY} or (opcode == CONTINUATION) != bool(self._message):
            raise _ProtocolBrokenError(_RULE_BROKEN)
        kind = self._message or opcode
        self._message = 0 if fin else kind
        if kind == TEXT:
            self._check_text(payload, fin)
        return frame(opcode, payload, fin=fin)

    def _check_text(self, payload: bytes, fin: bool) -> None:
        """Text is UTF-8 over all fragments of a message (RFC 6455 8.1)."""
        try:
            self._decoder.decode(payload, fin)
        except UnicodeDecodeError as error:
            raise _ProtocolBrokenError(_NOT_UTF8) from error


def _unmask(payload: bytes, key: bytes) -> bytes:
    """XOR with the repeated key, as one operation on integers (RFC 6455 5.3)."""
    mask = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(payload), "big")
