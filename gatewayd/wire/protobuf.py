"""Protocol Buffers on the wire, for the few messages that are made and read here without generated code.

Encoding: a function for each kind of field, which leaves out what has its default value (proto3). Decoding: the fields
of a message in the order in which they came, each with its number; what they mean is for the caller to know.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED = {_FIXED64: 8, _FIXED32: 4}
_LONGEST_VARINT = 10
_MAX_NUMBER = (1 << 29) - 1

Value = int | bytes


class MalformedMessageError(ValueError):
    """Bytes that are no message; the text says why."""


def integer(number: int, value: int) -> bytes:
    """An int32, int64, uint32, bool or enum. Negative numbers take ten bytes, as the format has it."""
    return _varint(number << 3) + _varint(value & 0xFFFF_FFFF_FFFF_FFFF) if value else b""


def octets(number: int, value: bytes) -> bytes:
    """A string or bytes."""
    return message(number, value) if value else b""


def message(number: int, value: bytes) -> bytes:
    """A message; one without fields is there all the same."""
    return b"%b%b%b" % (_varint(number << 3 | _BYTES), _varint(len(value)), value)


def pair(number: int, key: bytes, value: bytes) -> bytes:
    """One entry of a map of strings."""
    if len(key) + len(value) < 0x7C:  # as below, with lengths of one byte each
        return b"%b%c\x0a%c%b\x12%c%b" % (
            _varint(number << 3 | _BYTES), len(key) + len(value) + 4, len(key), key, len(value), value
        )  # fmt: skip
    return message(number, message(1, key) + message(2, value))


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """The fields of a message: (number, an unsigned integer for a varint, bytes for what has a length). Numbers of
    fixed size are skipped, none of ours has any. MalformedMessageError: cut off, a number of 0, a group, a long varint.
    """
    place, end = 0, len(data)
    while place < end:
        key, place = _read_varint(data, place)
        number, kind = key >> 3, key & 7
        if not 0 < number <= _MAX_NUMBER:
            raise MalformedMessageError("field number out of range")
        if kind == _VARINT:
            value, place = _read_varint(data, place)
            yield number, value
        elif kind == _BYTES:
            size, place = _read_varint(data, place)
            if size > end - place:
                raise MalformedMessageError("message is cut off")
            yield number, data[place : place + size]
            place += size
        elif kind in _FIXED:
            place += _FIXED[kind]
            if place > end:
                raise MalformedMessageError("message is cut off")
        else:
            raise MalformedMessageError("unknown wire type")


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    if place < len(data) and data[place] < 0x80:
        return data[place], place + 1
    value = shift = 0
    for count, byte in enumerate(data[place : place + _LONGEST_VARINT], 1):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place + count
        shift += 7
    raise MalformedMessageError("varint without end")


def last(data: bytes) -> dict[int, Value]:
    """The fields of a message that are there at most once, by their numbers; of several values the last one counts."""
    return dict(fields(data))


def as_bytes(value: Value | None) -> bytes:
    """A string, bytes or a message, b"" where it is absent; MalformedMessageError when it is a number."""
    if value is None:
        return b""
    if isinstance(value, int):
        raise MalformedMessageError("a number where bytes belong")
    return value


def as_integer(value: Value | None) -> int:
    """A number, 0 where it is absent; MalformedMessageError when it is none."""
    if isinstance(value, bytes):
        raise MalformedMessageError("bytes where a number belongs")
    return value or 0
