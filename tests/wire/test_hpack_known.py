"""What the two sides of HPACK know by heart: indices, literals and whole blocks, and what they must not keep."""

from __future__ import annotations

from typing import Any

import hpack as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire import hpack, hpack_encode
from gatewayd.wire.hpack import Decoder, FieldLimits, HpackError, TooLarge
from gatewayd.wire.hpack_encode import Encoder


def test_credentials_are_never_indexed():
    encoder = Encoder()
    for name in (b"authorization", b"cookie", b"set-cookie", b"proxy-authorization"):
        for _ in range(3):
            assert encoder.encode([(name, b"secret")])[0] & 0xF0 == 0x10
            assert encoder.encode([], b"\r\n%b: secret" % name.title())[0] & 0xF0 == 0x10


def test_the_table_of_the_encoder_stays_put():
    encoder = Encoder()
    stable = [
        (b":status", b"200"),
        (b"content-type", b"text/html"),
        (b"server", b"nginx"),
        (b"cache-control", b"no-store"),
    ]
    encoder.encode(stable)
    warm = encoder.encode(stable)
    assert len(warm) == 4
    for number in range(300):
        encoder.encode([(b"date", b"%d" % number), (b":path", b"/%d" % number), (b"x-request-id", b"%d" % number)])
        encoder.encode([(b"content-length", b"%d" % number), (b"etag", b"%d" % number), (b"age", b"%d" % number)])
    assert encoder.encode(stable) == warm
    for number in range(3000):
        encoder.encode([(b"server", b"%d" % number)])
    assert len(encoder.encode(stable)) <= 8
    assert encoder._used <= 4096
    assert len(encoder._known) <= 256


def test_lines_are_fields():
    encoder, decoder = Encoder(), Decoder()
    block = b"\r\nContent-Type: text/html\r\nX-Id:  7 \r\nVary:\r\nDate: today"
    fields = (
        (b":status", b"200"),
        (b"content-type", b"text/html"),
        (b"x-id", b"7"),
        (b"vary", b""),
        (b"date", b"today"),
    )
    sizes = []
    for _ in range(4):
        code = encoder.encode(fields[:1], block)
        sizes.append(len(code))
        assert decoder.decode(code) == fields
    assert sizes[1:] == [sizes[1]] * 3
    assert sizes[1] < sizes[0]
    assert decoder.decode(encoder.encode(fields)) == fields


def test_an_insertion_of_one_connection_is_not_sent_on_another():
    block = b"\r\nServer: once\r\nVary: once"
    first = Encoder()
    code = first.encode([], block)
    Decoder().decode(code)
    other, decoder = Encoder(), Decoder()
    for _ in range(3):
        assert decoder.decode(other.encode([], block)) == ((b"server", b"once"), (b"vary", b"once"))
    assert decoder.table_size == len(b"serveroncevaryonce") + 2 * 32


LINES = [
    b"Server: a", b"server: b", b"vary: a", b"date: 1", b"Date:2", b"ETag: x", b"cookie: c", b"X-Id: 1", b"x-id: 22",
]  # fmt: skip
LAST = [*LINES, b"x-request-id: " + b"7" * 32, b"x-request-id:  7 ", b"x-request-id: ", b"x-request-id: " + b"7" * 130]
STARTS = st.tuples(
    st.sampled_from([b"GET", b"POST", b"PROPFIND"]),
    st.sampled_from([b"a", b"b:80", b"c" * 600]),
    st.sampled_from([b"/", b"*", b"/index.html", b"/a?b", b"/" + b"a" * 125, b"/" + b"a" * 126, b"/" + b"a" * 300]),
)


@given(
    st.lists(st.tuples(STARTS, st.lists(st.sampled_from(LINES), max_size=4), st.sampled_from(LAST)), min_size=1),
    st.sampled_from([4096, 80, 0]),
)
def test_what_is_known_as_a_whole_follows_the_table(blocks: list[Any], size: int):
    """What was inserted meanwhile moves the indices of what a block was coded with."""
    encoder, decoder = Encoder(), oracle.Decoder()
    decoder.max_header_list_size = 1 << 20
    for number, ((method, authority, target), lines, last) in enumerate(blocks * 2):
        if number == len(blocks):
            encoder.set_table_size(size)
        block = b"".join([b"\r\n" + line for line in lines])
        start = encoder.start(method, authority, target)
        code = encoder.encode([(b"te", b"trailers")], block, b"\r\n" + last, start)
        found = [tuple(field) for field in decoder.decode(code, raw=True)]
        fields = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in [*lines, last])]
        pseudo = [(b":method", method), (b":scheme", b"http"), (b":authority", authority), (b":path", target)]
        assert found == [*pseudo, (b"te", b"trailers"), *fields]
    assert len(encoder._blocks) <= 16


def test_paths_are_never_indexed_and_few_starts_are_kept():
    encoder = Encoder()
    for number in range(100):
        encoder.start(b"GET", b"a", b"/")
        begin = encoder.start(b"GET", b"%d" % number, b"/secret").removesuffix(b"\x07/secret")
        assert begin[-1:] == b"\x14"
    assert 0 < len(encoder._starts) <= 16


def test_blocks_with_credentials_are_not_remembered():
    encoder = Encoder()
    for _ in range(3):
        encoder.encode([], b"\r\nserver: a\r\nset-cookie: secret")
        encoder.encode([], b"\r\nserver: a\r\netag: once")
        encoder.encode([], b"\r\nserver: a\r\nvary: a")
    assert [*encoder._blocks] == [b"\r\nserver: a\r\nvary: a"]


def test_literals_are_remembered_but_for_credentials():
    hpack._literals.clear()
    block = b"\x00\x01a\x01b" + b"\x41\x01c" + b"\x0f\x2b\x01d" + b"\x10\x01e\x01f" + b"\x60\x01g" + b"\x0f\x08\x01h"
    fields = (
        (b"a", b"b"), (b":authority", b"c"), (b"user-agent", b"d"), (b"e", b"f"), (b"cookie", b"g"),
        (b"authorization", b"h"),
    )  # fmt: skip
    for _ in range(3):
        decoder = Decoder()
        assert decoder.decode(block) == fields
        assert decoder.decode(b"\xbe\xbf") == ((b"cookie", b"g"), (b":authority", b"c"))
    assert [*hpack._literals] == [b"\x00\x01a\x01b", b"\x41\x01c", b"\x0f\x2b\x01d"]
    for number in range(3000):
        Decoder().decode(b"\x04\x04%04d" % number)
    assert len(hpack._literals) <= 1024


def test_a_remembered_literal_is_refused_where_it_is_cut():
    block = b"\x04\x03abc"
    Decoder().decode(block)
    for size in range(1, len(block)):
        with pytest.raises(HpackError):
            Decoder().decode(block[:size])


VALUE = st.sampled_from([b"", b"1", b"22", b"v" * 40])
LITERAL = st.builds(
    lambda start, value: start + bytes((len(value),)) + value,
    st.sampled_from(
        [b"\x41", b"\x5c", b"\x40\x01n", b"\x04", b"\x0f\x0d", b"\x00\x01m", b"\x7e", b"\x10\x01s", b"\x60"]
    ),
    VALUE,
)
BLOCK = st.lists(st.one_of(LITERAL, st.sampled_from([b"\x82", b"\x88", b"\xbe", b"\xc0"])), max_size=5).map(b"".join)
RESIZES = {0: b"\x20", 40: b"\x3f\x09", 90: b"\x3f\x3b", 4096: b"\x3f\xe1\x1f"}


@given(st.lists(BLOCK, min_size=1, max_size=6), st.lists(st.sampled_from([None, None, None, *RESIZES]), max_size=12))
def test_blocks_that_are_known_in_every_table_change_each_alike(blocks: list[bytes], sizes: list[int | None]):
    """The same blocks again and again, on tables of all sizes; hpack counts what is in them."""
    theirs, ours = oracle.Decoder(), Decoder()
    for number, block in enumerate(blocks * 4):
        size = sizes[number] if number < len(sizes) else None
        data = block if size is None else RESIZES[size] + block
        try:
            expected = tuple((bytes(name), bytes(value)) for name, value in theirs.decode(data, raw=True))
        except oracle.HPACKError:
            with pytest.raises(HpackError):
                ours.decode(data)
            return
        assert ours.decode(data) == expected
        assert ours.table_size == theirs.header_table._current_size


def test_a_block_that_inserts_is_known_on_other_connections():
    hpack._wholes.clear()
    block = b"\x88\x5f\x04text\x76\x01s"
    fields = ((b":status", b"200"), (b"content-type", b"text"), (b"server", b"s"))
    for _ in range(3):
        decoder = Decoder()
        for _ in range(3):
            assert decoder.decode(block) == fields
            assert decoder.decode(b"\xbe\xbf") == (fields[2], fields[1])
        assert decoder.table_size == 3 * (32 + 12 + 4 + 32 + 6 + 1)
    assert [*hpack._wholes] == [block]
    for limits in (FieldLimits(size=50), FieldLimits(fields=2)):
        with pytest.raises(TooLarge):
            Decoder().decode(block, limits)


def test_what_is_known_of_whole_blocks_is_bounded_and_holds_no_credentials():
    hpack._wholes.clear()
    decoder = Decoder()
    for number in range(400):
        for _ in range(3):
            decoder.decode(b"\x5c\x03%03d" % number)
            decoder.decode(b"\x5c\x03%03d\x60\x06secret" % number)
    assert 0 < len(hpack._wholes) <= 256
    assert not [block for block in hpack._wholes if b"secret" in block]


def test_the_fields_of_a_known_block_are_the_same_object():
    decoder = Decoder()
    known = []
    for block in (b"\x40\x01a\x01b", b"\x82\xbe", b"\x82\xbe", b"\x40\x01c\x01d"):
        decoder.decode(block)
        known.append(decoder.again)
    assert known == [False, False, True, False]
    assert decoder.decode(b"\x82\xbe") is decoder.decode(b"\x82\xbe")


def test_long_names_and_lines_are_not_remembered():
    hpack_encode._names.clear()
    hpack_encode._literals.clear()
    name, encoder = b"x" * 65, Encoder()
    for line in (name + b": 1", b"x-spaces:" + b" " * 200 + b"1", b"server:" + b" " * 600 + b"1"):
        for _ in range(3):
            encoder.encode([], b"\r\n" + line)
    assert {*hpack_encode._names} == {b"x-spaces", b"server"}
    assert [key for key in hpack_encode._literals if b" " * 200 in key] == []
    assert [key for key in encoder._known if b" " * 600 in key] == []
