"""HPACK, the compression of field sections in HTTP/2 (RFC 7541): the decoder. The encoder is in `hpack_encode.py`.

What is common is made cheap: a block that was seen since the table last changed is one lookup, and so is a literal that
was seen before on any connection. What is hostile is bounded: a block whose fields exceed the limits is read to its
end, for the state of the table, but nothing more is built of it.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gatewayd.wire import huffman
from gatewayd.wire.hpack_table import DEFAULT_TABLE, ENTRY_OVERHEAD, STATIC_TABLE, Field
from gatewayd.wire.never_indexed import NeverIndexed

_FIRST_DYNAMIC = len(STATIC_TABLE) + 1
_MAX_INTEGER = 2**32 - 1
# A block is remembered if it is short, and with few others: ten thousand idle connections hold what they remember.
_MAX_KNOWN = 32
_MAX_KNOWN_BYTES = 256
# Texts of the Huffman code, shared by all connections of a worker; credentials are not among them.
_MAX_TEXTS = 1024
_MAX_TEXT_BYTES = 64
# Literals as they came, with the name written out or of the static table, so that they mean the same everywhere; shared
# like the texts. No representation is the beginning of another: whatever begins with the octets of one is that one.
_MAX_LITERALS = 1024
_MAX_LITERAL_BYTES = 64
# Blocks of such literals, of those that were remembered, and of static indices, with what they insert: servers that
# look nothing up send the same again and again.
_MAX_WHOLES = 256
# Blocks without their path, of one connection: a browser sends few kinds of requests, and no path twice.
_MAX_STEMS = 8
_PATH = b":path"
# Indices, then a literal without indexing whose name is number 4 of the static table, and the length of its value.
_TO_PATH = re.compile(rb"[\x81-\xfe]*[\x04\x14][\x00-\xff]").match
_PRIVATE = frozenset(b"authorization cookie proxy-authorization set-cookie".split())


class HpackError(Exception):
    """A block that cannot be decoded: the connection is lost (COMPRESSION_ERROR)."""


class TooLarge(Exception):
    """A field section over the limits. The decoder's state is sound: only this message is refused (431)."""


class FieldLimits(NamedTuple):
    """Of one field section: the sum of name + value + 32 octets, the number of fields, and the number of cookie fields,
    which are counted alone because clients may cut a cookie into crumbs (RFC 9113 section 8.2.3).
    """

    size: int = 65536
    fields: int = 100
    crumbs: int = 200


_DEFAULT_LIMITS = FieldLimits()
_Entry = tuple[int, Field]  # what it counts for the size of the table and for the limits, and what it is
_NO_ENTRY: _Entry = (0, (b"", b""))
_STATIC_ENTRIES: list[_Entry] = [
    _NO_ENTRY,
    *((ENTRY_OVERHEAD + len(name) + len(value), (name, value)) for name, value in STATIC_TABLE),
]
# Where a literal's value begins, if it has a short index of its name: by its first octet.
_VALUE_AT = bytes(2 if first == 0x0F else 1 for first in range(256))


class Stem(NamedTuple):
    """A block but for its :path, which a literal gives that enters no table: what it says before and after, and what
    that counts for the limits.
    """

    before: tuple[Field, ...]
    after: tuple[Field, ...]
    size: int


class _Whole(NamedTuple):
    """`size` counts for the limits; `new` is what the table gets, the last first, and `weight` what it counts there."""

    fields: tuple[Field, ...]
    size: int
    new: list[_Entry]
    weight: int


_wholes: dict[bytes, _Whole] = {}
_texts: dict[bytes, bytes] = {}
_literals: dict[bytes, _Entry] = {}


class Decoder:
    """One direction of one connection. `max_table` is what we advertised as SETTINGS_HEADER_TABLE_SIZE; the table is of
    4,096 octets until the peer says otherwise. `again`: the last block is remembered, so its fields are the very object
    that they were before. `stem`: all of it but the :path is, as this very object.
    """

    __slots__ = ("_capacity", "_entries", "_known", "_limits", "_max_table", "_stems", "_used", "again", "stem")

    def __init__(self, max_table: int = DEFAULT_TABLE) -> None:
        self._max_table = max_table
        self._capacity = DEFAULT_TABLE
        self._used = 0
        self.again = False
        # Both tables in one list, in the order of their indices; index 0 is excluded by the octets that name it. Shared
        # by all until something is inserted: idle connections are many.
        self._entries = _STATIC_ENTRIES
        self._known: dict[bytes, tuple[Field, ...]] = {}
        self.stem: Stem | None = None
        self._stems: dict[bytes, Stem] = {}  # by the block without the text of the path
        self._limits = _DEFAULT_LIMITS

    @property
    def table_size(self) -> int:
        """Octets of the dynamic table (RFC 7541 section 4.1)."""
        return self._used

    def decode(self, block: bytes, limits: FieldLimits = _DEFAULT_LIMITS) -> tuple[Field, ...]:
        """The fields of a whole block, in order. HpackError, TooLarge."""
        if limits is not self._limits:
            self._forget()
            self._limits = limits
        found = self._known.get(block) or self._recall(block, limits)
        if found is not None:
            self.again = True
            return found
        self.again = False
        self.stem = None
        try:
            if self._stems:
                found = self._complete(block, limits)
                if found is not None:
                    return found
            found, changed = self._decode(block, limits)
        except IndexError:  # of the block or of the table
            raise HpackError("cut block or unknown index") from None
        except huffman.HuffmanError as error:
            raise HpackError(str(error)) from None
        if len(found) > limits.fields or len(found) > limits.crumbs:
            _count(found, limits)
        if not changed and len(block) <= _MAX_KNOWN_BYTES:
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[block] = found
            self._keep_stem(block, found)
        return found

    def _complete(self, block: bytes, limits: FieldLimits) -> tuple[Field, ...] | None:
        """The fields of a block that differs from an earlier one by its path alone; None for any other."""
        at, stop = _path_of(block)
        if not at:
            return None
        stem = self._stems.get(block[:at] + block[stop:])
        if stem is None:
            return None
        text = block[at + 1 : stop]
        path = huffman.decode(text) if block[at] & 0x80 else text
        if stem.size + len(path) > limits.size:
            raise TooLarge
        self.stem = stem
        return *stem.before, (_PATH, path), *stem.after

    def _keep_stem(self, block: bytes, fields: tuple[Field, ...]) -> None:
        at, stop = _path_of(block)
        if at:
            if len(self._stems) >= _MAX_STEMS:
                self._stems.clear()
            before, after = fields[: at - 1], fields[at:]
            size = sum(ENTRY_OVERHEAD + len(name) + len(value) for name, value in before + after)
            self._stems[block[:at] + block[stop:]] = Stem(before, after, size + ENTRY_OVERHEAD + len(_PATH))

    def _forget(self) -> None:
        """What is known of blocks holds for one state of the table."""
        self._known.clear()
        self._stems.clear()

    def _decode(self, block: bytes, limits: FieldLimits) -> tuple[tuple[Field, ...], bool]:
        """(fields, whether the table may have changed)."""
        end = len(block)
        at = self._resize(block) if end and block[0] & 0xE0 == 0x20 else 0
        changed = at > 0
        absolute = not changed
        inserted = 0
        left = limits.size
        entries = self._entries
        remembered = _literals.get
        found: list[Field] = []
        while at < end:
            first = block[at]
            if first > 0x80:
                at += 1
                index = first - 128
                if first == 0xFF:
                    index, at = _integer(block, at, 127)
                if index >= _FIRST_DYNAMIC:
                    absolute = False
                entry = entries[index]
            else:
                place = at + _VALUE_AT[first] if first & 0x3F else at + 2 + (block[at + 1] & 127)
                stop = place + 1 + (block[place] & 127)
                known = remembered(block[at:stop])
                if known is None:
                    absolute = False
                    stop, entry = self._literal(block, at, first, left)
                else:
                    entry = known
                at = stop
                if first >= 0x40:
                    if not inserted:
                        entries = self._own_entries()
                    inserted += 1
                    entries.insert(_FIRST_DYNAMIC, entry)
                    self._used += entry[0]
                    while self._used > self._capacity:  # one that is larger than the table goes too (section 4.4)
                        self._used -= entries.pop()[0]
            size, field = entry
            left -= size
            if left >= 0:
                found.append(field)
        if left < 0:
            raise TooLarge
        fields = tuple(found)
        if absolute and inserted:
            self._keep_whole(block, fields, limits.size - left, inserted)
        return fields, changed or inserted > 0

    def _own_entries(self) -> list[_Entry]:
        """A list that may be changed, which what is known of blocks does not outlive."""
        self._forget()
        if self._entries is _STATIC_ENTRIES:
            self._entries = [*_STATIC_ENTRIES]
        return self._entries

    def _keep_whole(self, block: bytes, fields: tuple[Field, ...], size: int, inserted: int) -> None:
        """Remember a block that means the same in every table, and what it inserts."""
        new = self._entries[_FIRST_DYNAMIC : _FIRST_DYNAMIC + inserted]
        if len(new) == inserted and len(block) <= _MAX_KNOWN_BYTES:
            if len(_wholes) >= _MAX_WHOLES:
                _wholes.clear()
            _wholes[block] = _Whole(fields, size, new, sum(entry[0] for entry in new))

    def _recall(self, block: bytes, limits: FieldLimits) -> tuple[Field, ...] | None:
        """The fields of a block that is remembered as a whole, with its insertions made; None for any other."""
        whole = _wholes.get(block)
        if whole is None:
            return None
        fields, size, new, weight = whole
        if size > limits.size or len(fields) > min(limits.fields, limits.crumbs) or weight > self._capacity:
            return None
        entries = self._own_entries()
        entries[_FIRST_DYNAMIC:_FIRST_DYNAMIC] = new
        used = self._used + weight
        while used > self._capacity:
            used -= entries.pop()[0]
        self._used = used
        return fields

    def _literal(self, block: bytes, begin: int, first: int, left: int) -> tuple[int, _Entry]:
        """(where it ends, the entry) of a literal at `begin`. Over the limit only what enters the table is built, and
        the size of the rest is of no interest.
        """
        if first == 0x80 or 0x20 <= first < 0x40:
            raise HpackError("index zero" if first == 0x80 else "size update inside a block")
        most = 0x3F if first >= 0x40 else 0x0F
        index = first & most
        at = begin + 1
        if index == most:
            index, at = _integer(block, at, most)
        if left < 0 and first < 0x40:
            if index >= len(self._entries):
                raise HpackError("unknown index")
            return _skip(block, at if index else _skip(block, at)), _NO_ENTRY
        if index:
            name = self._entries[index][1][0]
        else:
            name, at = _string(block, at)
        private = first & 0xF0 == 0x10 or name in _PRIVATE
        if private and name not in _PRIVATE and name[:1] != b":":  # as those are sent on in any case
            name = NeverIndexed(name)
        value, at = _string(block, at, private=private)
        entry = (len(name) + len(value) + ENTRY_OVERHEAD, (name, value))
        if index < _FIRST_DYNAMIC and at - begin <= _MAX_LITERAL_BYTES and not private:
            _remember(block[begin:at], entry)
        return at, entry

    def _resize(self, block: bytes) -> int:
        """Read the size updates that a block begins with (section 4.2); where they end."""
        at = 0
        while at < len(block) and block[at] & 0xE0 == 0x20:
            size = block[at] & 0x1F
            at += 1
            if size == 0x1F:
                size, at = _integer(block, at, 0x1F)
            if size > self._max_table:
                raise HpackError("table size over the limit")
            self._capacity = size
            self._forget()
            while self._used > size:
                self._used -= self._entries.pop()[0]
        return at


def _count(fields: tuple[Field, ...], limits: FieldLimits) -> None:
    crumbs = sum(name == b"cookie" for name, _ in fields)
    if crumbs > limits.crumbs or len(fields) - crumbs > limits.fields:
        raise TooLarge


def _path_of(block: bytes) -> tuple[int, int]:
    """Where the string of the :path begins and ends, if nothing but indices of one octet comes before and it enters no
    table, as of nearly all clients; else (0, 0). Every octet before it is a field, but for the last.
    """
    found = _TO_PATH(block)
    if found is None:
        return 0, 0
    at = found.end()
    length = block[at - 1] & 127
    stop = at + length
    return (at - 1, stop) if length < 127 and stop <= len(block) else (0, 0)


def _remember(literal: bytes, entry: _Entry) -> None:
    if len(_literals) >= _MAX_LITERALS:
        _literals.clear()
    _literals[literal] = entry


def _integer(block: bytes, at: int, number: int) -> tuple[int, int]:
    """(number, where it ends) of an integer whose prefix is full (section 5.1)."""
    for shift in (0, 7, 14, 21, 28):
        octet = block[at]
        at += 1
        number += (octet & 127) << shift
        if octet < 128:
            if number > _MAX_INTEGER:
                break
            return number, at
    raise HpackError("integer too large")


def _string(block: bytes, at: int, *, private: bool = False) -> tuple[bytes, int]:
    """(text, where it ends) of a string (section 5.2). A private one is not remembered."""
    first = block[at]
    at += 1
    length = first & 127
    if length == 127:
        length, at = _integer(block, at, 127)
    end = at + length
    text = block[at:end]
    if len(text) != length:
        raise HpackError("cut string")
    if first < 128:
        return text, end
    known = _texts.get(text)
    if known is not None:
        return known, end
    plain = huffman.decode(text)
    if length <= _MAX_TEXT_BYTES and not private:
        if len(_texts) >= _MAX_TEXTS:
            _texts.clear()
        _texts[text] = plain
    return plain, end


def _skip(block: bytes, at: int) -> int:
    """Where a string ends that nobody wants."""
    length = block[at] & 127
    at += 1
    if length == 127:
        length, at = _integer(block, at, 127)
    at += length
    if at > len(block):
        raise HpackError("cut string")
    return at
