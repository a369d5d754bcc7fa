"""The encoder of HPACK (RFC 7541).

What keeps it fast is that its table stays put: only fields of a list of stable names go in, none is ever evicted, and
so nearly every field is one lookup of bytes that were made before. Strings are never Huffman-coded: a raw literal is a
concatenation, the code would cost microseconds for each field to save a quarter of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from gatewayd.wire.hpack_table import DEFAULT_TABLE, ENTRY_OVERHEAD, STATIC_TABLE, Field
from gatewayd.wire.never_indexed import is_spelled

# Names whose values a connection sees again and again. All others are sent as literals: paths, dates, lengths, tags,
# ages and request ids would fill the table; what describes one client differs from request to request to a backend.
_STABLE = frozenset(
    b""":authority :status accept-ranges access-control-allow-credentials access-control-allow-headers
    access-control-allow-methods access-control-allow-origin access-control-expose-headers access-control-max-age
    alt-svc cache-control content-encoding content-language content-security-policy content-type
    cross-origin-embedder-policy cross-origin-opener-policy cross-origin-resource-policy grpc-accept-encoding
    grpc-encoding grpc-status permissions-policy pragma referrer-policy server strict-transport-security te vary via
    x-content-type-options x-dns-prefetch-control x-forwarded-host x-forwarded-port x-forwarded-proto x-frame-options
    x-permitted-cross-domain-policies x-powered-by x-xss-protection accept accept-encoding
    grpc-message-type :protocol""".split()
)
# Never to be put into a table by anyone on the way (section 7.1.3): credentials, however they came, and paths, in which
# some are.
_CREDENTIALS = frozenset(b"authorization cookie proxy-authorization set-cookie".split())
_SENSITIVE = _CREDENTIALS | {b":path"}
# Values that are hardly ever seen twice are not worth remembering.
_UNIQUE = frozenset(b"etag traceparent tracestate x-request-id".split()) | _CREDENTIALS
_MAX_ENTRY = 512
_MAX_KNOWN = 256
_MAX_BLOCKS = 16
_MAX_BLOCK_BYTES = 512

_EXACT: dict[Field, bytes] = {
    field: bytes((0x80 | index,)) for index, field in reversed([*enumerate(STATIC_TABLE, 1)]) if field[1]
}
_NAMES: dict[bytes, int] = {name: index for index, (name, _) in reversed([*enumerate(STATIC_TABLE, 1)])}

# Literals that were sent, by field and by line of a block. They depend on no table, so all connections share them.
_literals: dict[Field | bytes, bytes] = {}
_MAX_LITERALS = 1024
_MAX_LITERAL_BYTES = 128


class _Name(NamedTuple):
    """What is known of a name as it is written in a block: how a literal of it begins, and what becomes of values."""

    start: bytes
    lower: bytes
    stable: bool
    unique: bool


_names: dict[bytes, _Name] = {}
_MAX_NAMES = 1024
_MAX_NAME_BYTES = 64
_LENGTHS = tuple(bytes((length,)) for length in range(127))


class Encoder:
    """One direction of one connection. `set_table_size` takes the peer's SETTINGS_HEADER_TABLE_SIZE."""

    __slots__ = ("_blocks", "_capacity", "_indices", "_known", "_new", "_resized", "_starts", "_used")

    def __init__(self) -> None:
        self._capacity = DEFAULT_TABLE
        self._used = 0
        self._indices: dict[Field, int] = {}  # field -> how many were inserted before it
        # Codes of indexed fields, and of blocks all of whose lines were known; right until the next insertion.
        self._known: dict[Field | bytes, bytes] = {}
        self._blocks: dict[bytes, bytes] = {}
        self._starts: dict[Field, bytes] = {}  # by method and authority
        self._new = False  # a line was not known
        self._resized = False  # there is an update to send

    def encode(self, fields: Iterable[Field], block: bytes = b"", last: bytes = b"", start: bytes = b"") -> bytes:
        """The header block of these fields (lower-case names, pseudo-fields first), followed by the lines of a block in
        HTTP/1.1's form, each led by its CRLF; `last` is one more line, which differs each time, `start` what `start`
        made just now.
        """
        parts = [start]
        for field in fields:  # few: a comprehension costs more than they do
            parts.append(self._known.get(field) or _literals.get(field) or self._encode(field))  # noqa: PERF401
        if block:
            parts.append(self._blocks.get(block) or self._block(block))
        if last:
            if last.startswith(_IDENTITY) and len(last) < 127:
                value = last[_IDENTITY_SIZE:].strip(b" \t")
                parts += _IDENTITY_START, _LENGTHS[len(value)], value
            else:
                line = last[2:]
                parts.append(self._known.get(line) or _literals.get(line) or self._line(line))
        if self._resized:
            parts.insert(0, self._size_update())
        return b"".join(parts)

    def start(self, method: bytes, authority: bytes, target: bytes) -> bytes:
        """The code of the pseudo-fields of a request for http, with which the very next block has to begin."""
        begin = self._starts.get((method, authority)) or self._begin(method, authority)
        size = len(target)
        if size < 127:
            return begin + (_PATHS.get(target) or _PATH + _LENGTHS[size] + target)
        return begin + _PATH + _string(target)

    def _begin(self, method: bytes, authority: bytes) -> bytes:
        """The code of all pseudo-fields but the path."""
        before = len(self._indices)
        fields = (b":method", method), (b":scheme", b"http"), (b":authority", authority)
        code = b"".join([self._known.get(field) or _literals.get(field) or self._encode(field) for field in fields])
        if len(self._indices) == before and len(code) <= _MAX_BLOCK_BYTES:
            if len(self._starts) >= _MAX_BLOCKS:
                self._starts.clear()
            self._starts[method, authority] = code
        return code

    def set_table_size(self, size: int) -> None:
        """The peer's table may have this many octets from now on. Ours is never larger than 4,096."""
        size = min(size, DEFAULT_TABLE)
        if size == self._capacity:
            return
        # The table begins anew: sizes change once in a connection's life, and an empty table needs no eviction. Size
        # zero is also the least there can have been since the last block, which section 4.2 wants signalled.
        self._resized = True
        self._capacity = size
        self._used = 0
        self._indices.clear()
        self._forget()

    def _size_update(self) -> bytes:
        self._resized = False
        return b"\x20" + _integer(0x20, 0x1F, self._capacity) if self._capacity else b"\x20"

    def _block(self, block: bytes) -> bytes:
        """The code of a block's lines."""
        known = self._known.get
        shared = _literals.get
        other = self._line
        self._new = False
        code = b"".join([known(line) or shared(line) or other(line) for line in block[2:].split(b"\r\n")])
        if not self._new and len(block) <= _MAX_BLOCK_BYTES:
            if len(self._blocks) >= _MAX_BLOCKS:
                self._blocks.clear()
            self._blocks[block] = code
        return code

    def _line(self, line: bytes) -> bytes:
        """The code of a field line of HTTP/1.1, remembered under the line itself."""
        self._new = True
        written, _, value = line.partition(b":")
        value = value.strip(b" \t")
        start, lower, stable, unique = _names.get(written) or _learn(written)
        if stable:
            field = lower, value
            code = self._known.get(field) or self._dynamic(field)
            if code[0] & 0x80 and len(line) <= _MAX_ENTRY:
                self._know(line, code)
            return code
        length = len(value)
        code = start + (_LENGTHS[length] if length < 127 else _integer(0, 127, length)) + value
        if not unique and len(line) <= _MAX_LITERAL_BYTES:
            _remember(line, code)
        return code

    def _encode(self, field: Field) -> bytes:
        """The code of a field that is not known as it stands."""
        code = _EXACT.get(field)
        if code is not None:
            self._know(field, code)
            return code
        name, value = field
        start, _, stable, unique = _names.get(name) or _learn(name)
        if stable:
            return self._dynamic(field)
        code = start + _string(value)
        if not unique and len(code) <= _MAX_LITERAL_BYTES:
            _remember(field, code)
        return code

    def _dynamic(self, field: Field) -> bytes:
        """The code of a stable field: its index, or the literal that inserts it, or a plain one if there is no room."""
        before = self._indices.get(field)
        code = _EXACT.get(field)
        if before is not None:
            code = _integer(0x80, 0x7F, len(STATIC_TABLE) + len(self._indices) - before)
        if code is not None:
            self._know(field, code)
            return code
        size = len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        if size > _MAX_ENTRY or self._used + size > self._capacity:
            return _start(0x00, 0x0F, field[0]) + _string(field[1])
        self._used += size
        self._indices[field] = len(self._indices)
        self._forget()  # every older entry is one place further now
        return _start(0x40, 0x3F, field[0]) + _string(field[1])

    def _know(self, key: Field | bytes, code: bytes) -> None:
        if len(self._known) >= _MAX_KNOWN:  # there are many ways to spell a line
            self._known.clear()
        self._known[key] = code

    def _forget(self) -> None:
        self._known.clear()
        self._blocks.clear()
        self._starts.clear()


def _learn(written: bytes) -> _Name:
    lower = written.lower()
    never = is_spelled(written)
    pattern, most = (0x10, 0x0F) if never or lower in _SENSITIVE else (0x00, 0x0F)
    name = _Name(_start(pattern, most, lower), lower, lower in _STABLE and not never, never or lower in _UNIQUE)
    if len(written) <= _MAX_NAME_BYTES:
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names[written] = name
    return name


def _remember(key: Field | bytes, code: bytes) -> None:
    if len(_literals) >= _MAX_LITERALS:
        _literals.clear()
    _literals[key] = code


def _start(pattern: int, most: int, name: bytes) -> bytes:
    """The first octets of a literal: its kind, and its name as an index or as text."""
    index = _NAMES.get(name)
    return bytes((pattern,)) + _string(name) if index is None else _integer(pattern, most, index)


def _string(text: bytes) -> bytes:
    length = len(text)
    return (bytes((length,)) if length < 127 else _integer(0, 127, length)) + text


def _integer(pattern: int, most: int, number: int) -> bytes:
    """Section 5.1, with `pattern` in the bits above the prefix."""
    if number < most:
        return bytes((pattern | number,))
    octets = bytearray((pattern | most,))
    number -= most
    while number >= 128:
        octets.append(number & 127 | 128)
        number >>= 7
    octets.append(number)
    return bytes(octets)


_PATH = _start(0x10, 0x0F, b":path")
_PATHS = {value: code for (name, value), code in _EXACT.items() if name == b":path"}
# The line that is the last of most requests; its value is never seen twice.
_IDENTITY = b"\r\nx-request-id: "
_IDENTITY_SIZE = len(_IDENTITY)
_IDENTITY_START = _start(0x00, 0x0F, b"x-request-id")
