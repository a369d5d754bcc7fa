"""Protocol Buffers by hand, against what the official library makes of the same bytes."""

from __future__ import annotations

import pytest
from envoy.service.auth.v3.attribute_context_pb2 import AttributeContext
from google.protobuf.message import DecodeError
from google.protobuf.unknown_fields import UnknownFieldSet
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire import protobuf
from gatewayd.wire.protobuf import MalformedMessageError, as_bytes, as_integer, fields, last

INTEGERS = st.integers(min_value=-(1 << 31), max_value=(1 << 31) - 1)


@given(INTEGERS, st.text())
def test_what_is_written_is_read_by_the_library(code: int, text: str):
    data = protobuf.integer(1, code) + protobuf.octets(2, text.encode())
    assert Status.FromString(data) == Status(code=code, message=text)
    assert data == Status(code=code, message=text).SerializeToString()


@given(INTEGERS, st.text())
def test_what_the_library_writes_is_read(code: int, text: str):
    data = Status(code=code, message=text).SerializeToString()
    found = last(data)
    assert as_bytes(found.get(2)) == text.encode()
    assert as_integer(found.get(1)) == code & 0xFFFF_FFFF_FFFF_FFFF


@given(st.text(), st.text())
def test_entries_of_maps(key: str, value: str):
    data = protobuf.pair(3, key.encode(), value.encode())
    assert dict(AttributeContext.HttpRequest.FromString(data).headers) == {key: value}


@pytest.mark.parametrize("size", [0, 60, 61, 62, 63, 64, 123, 124, 127, 128, 20000])
def test_entries_of_every_length(size: int):
    for key, value in ((b"k", b"v" * size), (b"k" * size, b"v"), (b"k" * size, b"v" * size)):
        found = AttributeContext.HttpRequest.FromString(protobuf.pair(3, key, value)).headers
        assert dict(found) == {key.decode(): value.decode()}


@given(st.binary(max_size=40))
def test_whatever_is_read_the_library_takes(data: bytes):
    """What we take, it takes with the same numbers; never the other way round."""
    try:
        found = list(fields(data))
    except MalformedMessageError:
        return
    message = Status()
    try:
        message.ParseFromString(data)
    except DecodeError:
        # The library also knows the types of fields 1 to 3, and that text is UTF-8; we ask for those one by one.
        assert any(number in (1, 2, 3) for number, _ in found)
        return
    unknown = [field.field_number for field in UnknownFieldSet(message) if field.wire_type in (0, 2)]
    assert [number for number, _ in found if number > 3] == [number for number in unknown if number > 3]


MALFORMED = [
    b"\x00\x00",  # field number 0
    b"\x0b\x0c",  # a group
    b"\x0f",  # wire type 7
    b"\x08",  # a varint that is missing
    b"\x08" + b"\xff" * 10 + b"\x01",  # one without end
    b"\x12\x05abc",  # shorter than it says
    b"\x12\xff\xff\xff\xff\x0fabc",
    b"\x09\x01\x02",  # a fixed number that is cut off
    b"\x0d\x01",
    b"\xff" * 30,
]


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed(data: bytes):
    with pytest.raises(MalformedMessageError):
        list(fields(data))


def test_types_are_asked_for():
    with pytest.raises(MalformedMessageError):
        as_bytes(1)
    with pytest.raises(MalformedMessageError):
        as_integer(b"")
    assert (as_bytes(None), as_integer(None)) == (b"", 0)


def test_the_last_one_wins_and_fixed_numbers_are_skipped():
    data = b"\x08\x01" + b"\x09" + b"x" * 8 + b"\x0d" + b"y" * 4 + b"\x08\x02"
    assert last(data) == {1: 2}


def test_a_long_message_costs_linear_time():
    assert len(list(fields(b"\x08\x01" * 30_000))) == 30_000
