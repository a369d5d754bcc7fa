"""The ClientHello (RFC 8446 section 4.1.2), read before the handshake begins: server name and ALPN protocols.

Listener, certificate and client-certificate mode are chosen from it. A callback inside the handshake comes too late:
OpenSSL has copied the verify mode by then.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_SERVER_NAME = 0
_HOST_NAME = 0
_ALPN = 16
MAX_HELLO = 16384 * 2
_MOST_RECORDS = 512  # of a hello: each look at part of it reads all that are there, and who sends it chooses how often
_HOST = re.compile(rb"[0-9A-Za-z._\-]{1,255}")


class ClientHello(NamedTuple):
    """What a client asks for. `server_name` is lower case, b"" when it names none."""

    server_name: bytes
    alpn: tuple[bytes, ...]


def parse_client_hello(data: bytes) -> ClientHello | None:
    """The hello that `data` begins with, over as many TLS records as it takes; None while incomplete.
    ValueError when it is none.
    """
    message = _handshake_bytes(data)
    if isinstance(message, int):
        return None
    try:
        extensions = _extensions(message)
    except (IndexError, struct.error):
        raise ValueError("ClientHello is cut short") from None
    name, alpn = extensions.get(_SERVER_NAME), extensions.get(_ALPN)
    return ClientHello(b"" if name is None else _server_name(name), () if alpn is None else _protocols(alpn))


_number16 = struct.Struct(">H").unpack_from
_extension_head = struct.Struct(">HH").unpack_from


def _extensions(message: bytes) -> dict[int, bytes]:
    """The extensions' bodies by type. ValueError, IndexError or struct.error when lengths lead beyond the end. Every
    connection pays for this, so the dozen of extensions is walked without a reader's calls.
    """
    at = 4 + 2 + 32  # legacy version, random
    at += 1 + message[at]  # session id
    at += 2 + _number16(message, at)[0]  # cipher suites
    at += 1 + message[at]  # compression methods
    found: dict[int, bytes] = {}
    if at == len(message):
        return found
    end = at + 2 + _number16(message, at)[0]
    at += 2
    while at < end <= len(message):
        kind, size = _extension_head(message, at)
        if kind in found:  # RFC 8446 section 4.2; another reader might believe the other one
            raise ValueError("an extension comes twice")
        at += 4 + size
        found[kind] = message[at - size : at]
    if at != end:
        raise ValueError("ClientHello is cut short")
    return found


def least_missing(data: bytes) -> int:
    """How many bytes at least are missing of a hello that is incomplete: to look at it before they are there would cost
    much where a client sends few at a time, and in many records. ValueError when it is none.
    """
    message = _handshake_bytes(data)
    return message if isinstance(message, int) else 0


def _handshake_bytes(data: bytes) -> bytes | int:
    """The whole ClientHello message, records joined; while it is incomplete, how many bytes at least are missing."""
    message = bytearray()
    at = 0
    whole = 4
    for _ in range(_MOST_RECORDS):
        header = data[at : at + 5]
        if header[:1] not in (b"", b"\x16") or (len(header) >= 2 and header[1] != 3):
            raise ValueError("not a TLS handshake")
        if len(header) < 5:
            return whole - len(message)
        size = int.from_bytes(header[3:5], "big")
        if not 0 < size <= 16384:
            raise ValueError("bad record size")
        message += data[at + 5 : at + 5 + size]
        if message and message[0] != _CLIENT_HELLO:
            raise ValueError("not a ClientHello")
        if len(message) >= 4:
            whole = 4 + int.from_bytes(message[1:4], "big")
            if whole > MAX_HELLO:
                raise ValueError("ClientHello too large")
            if len(message) >= whole:
                return bytes(message[:whole])
        if len(data) < at + 5 + size:
            return whole - len(message)
        at += 5 + size
    raise ValueError("ClientHello in too many records")


class _Reader:
    """A cursor over bytes with the vectors of TLS (RFC 8446 section 3.4)."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int) -> None:
        self.data = data
        self.at = at

    def skip(self, count: int) -> bytes:
        self.at += count
        if self.at > len(self.data):
            raise ValueError("ClientHello is cut short")
        return self.data[self.at - count : self.at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.skip(count), "big")

    def vector(self, count: int) -> bytes:
        return self.skip(self.number(count))


def _server_name(body: bytes) -> bytes:
    """RFC 6066 section 3: one name of type host_name."""
    names = _Reader(_Reader(body, 0).vector(2), 0)
    if names.number(1) != _HOST_NAME:
        return b""
    name = names.vector(2).lower().rstrip(b".")
    if names.at < len(names.data):
        raise ValueError("more than one server name")
    if _HOST.fullmatch(name) is None:
        raise ValueError("bad server name")
    return name


def _protocols(body: bytes) -> tuple[bytes, ...]:
    """RFC 7301 section 3.1."""
    names = _Reader(_Reader(body, 0).vector(2), 0)
    found = []
    while names.at < len(names.data):
        found.append(names.vector(1))
    return tuple(found)
