from __future__ import annotations

import tracemalloc
from collections.abc import Sequence

import hpack as oracle
import pytest
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire import hpack, huffman
from gatewayd.wire.hpack import Decoder, FieldLimits, HpackError, TooLarge
from gatewayd.wire.hpack_encode import Encoder
from gatewayd.wire.hpack_table import Field

LIMITS = FieldLimits()
_CODER = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
FIRST = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"www.example.com"))
SECOND = (*FIRST, (b"cache-control", b"no-cache"))
THIRD = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":path", b"/index.html"),
    (b":authority", b"www.example.com"),
    (b"custom-key", b"custom-value"),
)
DATE = b"Mon, 21 Oct 2013 20:13:21 GMT"
PLACE = (b"location", b"https://www.example.com")
ANSWER_1 = ((b":status", b"302"), (b"cache-control", b"private"), (b"date", DATE), PLACE)
ANSWER_2 = ((b":status", b"307"), *ANSWER_1[1:])
ANSWER_3 = (
    (b":status", b"200"),
    (b"cache-control", b"private"),
    (b"date", b"Mon, 21 Oct 2013 20:13:22 GMT"),
    PLACE,
    (b"content-encoding", b"gzip"),
    (b"set-cookie", b"foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
)
# RFC 7541 appendix C: (section, size of the table, [(block, fields, size of the table after it)])
APPENDIX_C = [
    (
        "C.2.1",
        4096,
        [("400a637573746f6d2d6b65790d637573746f6d2d686561646572", ((b"custom-key", b"custom-header"),), 55)],
    ),
    ("C.2.2", 4096, [("040c2f73616d706c652f70617468", ((b":path", b"/sample/path"),), 0)]),
    ("C.2.3", 4096, [("100870617373776f726406736563726574", ((b"password", b"secret"),), 0)]),
    ("C.2.4", 4096, [("82", ((b":method", b"GET"),), 0)]),
    (
        "C.3",
        4096,
        [
            ("828684410f7777772e6578616d706c652e636f6d", FIRST, 57),
            ("828684be58086e6f2d6361636865", SECOND, 110),
            ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", THIRD, 164),
        ],
    ),
    (
        "C.4",
        4096,
        [
            ("828684418cf1e3c2e5f23a6ba0ab90f4ff", FIRST, 57),
            ("828684be5886a8eb10649cbf", SECOND, 110),
            ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", THIRD, 164),
        ],
    ),
    (
        "C.5",
        256,
        [
            (
                (
                    "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e1768747470"
                    "733a2f2f7777772e6578616d706c652e636f6d"
                ),
                ANSWER_1,
                222,
            ),
            ("4803333037c1c0bf", ANSWER_2, 222),
            (
                (
                    "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d4153444a4b"
                    "48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b2076657273696f6e3d31"
                ),
                ANSWER_3,
                215,
            ),
        ],
    ),
    (
        "C.6",
        256,
        [
            (
                (
                    "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82"
                    "ae43d3"
                ),
                ANSWER_1,
                222,
            ),
            ("4883640effc1c0bf", ANSWER_2, 222),
            (
                (
                    "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5"
                    "af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007"
                ),
                ANSWER_3,
                215,
            ),
        ],
    ),
]


@pytest.mark.parametrize(("section", "size", "blocks"), APPENDIX_C)
def test_appendix_c(section: str, size: int, blocks: Sequence[tuple[str, tuple[Field, ...], int]]):
    decoder = Decoder()
    prefix = b"" if size == 4096 else b"\x3f" + bytes((size - 31 & 127 | 128, size - 31 >> 7))
    for number, (block, fields, used) in enumerate(blocks):
        data = bytes.fromhex(block)
        assert decoder.decode(data if number else prefix + data) == fields, section
        assert decoder.table_size == used, section


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # index zero
        b"\xbe",  # no such entry
        b"\x82\xbe",
        b"\x7e\x01a",  # the name of no entry
        b"\xff",  # a cut integer
        b"\xff\x80",
        b"\xff\x80\x80\x80\x80\x80\x01",  # an integer that is too long
        b"\xff\xff\xff\xff\xff\x7f",  # and one that is too large
        b"\x40",  # cut literals
        b"\x40\x01",
        b"\x40\x01a",
        b"\x40\x01a\x02b",
        b"\x40\x02a",
        b"\x00\x7f",
        b"\x0f",
        b"\x82\x20",  # a size update inside a block
        b"\x82\x3f\xe1\x1f",
        b"\x3f\xe2\x1f",  # one over the limit
        b"\x20\x3f\xff\xff\xff\xff\x0f",
        b"\x3f",
        b"\x00\x81\xff\x01a",  # a padding of eight bits
        b"\x00\x82\x1f\xff\x01a",
        b"\x00\x81\x18\x01a",  # a padding of zeros
        b"\x00\x84\xff\xff\xff\xff\x01a",  # end of string
    ],
)
def test_refused(block: bytes):
    with pytest.raises(HpackError):
        Decoder().decode(block)
    with pytest.raises((oracle.HPACKError, oracle.HPACKDecodingError)):
        [*oracle.Decoder().decode(block, raw=True)]


def test_size_updates_evict_and_allow():
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x01b\x40\x01c\x01d")
    assert decoder.decode(b"\xbe\xbf") == ((b"c", b"d"), (b"a", b"b"))
    assert decoder.decode(b"\x3f\x03\xbe") == ((b"c", b"d"),)  # 34 octets
    with pytest.raises(HpackError):
        decoder.decode(b"\xbf")
    assert decoder.decode(b"\x20\x3f\xe1\x1f") == ()
    assert decoder.table_size == 0
    with pytest.raises(HpackError):
        decoder.decode(b"\xbe")


def test_an_entry_larger_than_the_table_empties_it():
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x01b")
    value = b"v" * 5000
    block = b"\x40\x01n\x7f" + bytes((5000 - 127 & 127 | 128, 5000 - 127 >> 7)) + value
    assert decoder.decode(block) == ((b"n", value),)
    assert decoder.table_size == 0


def test_what_is_remembered_follows_the_table():
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.decode(b"\x82\xbe") == ((b":method", b"GET"), (b"a", b"b"))
    assert decoder.decode(b"\x82\xbe") is decoder.decode(b"\x82\xbe")
    decoder.decode(b"\x40\x01c\x01d")
    assert decoder.decode(b"\x82\xbe") == ((b":method", b"GET"), (b"c", b"d"))
    decoder.decode(b"\x20")
    with pytest.raises(HpackError):
        decoder.decode(b"\x82\xbe")


def test_what_is_remembered_follows_the_limits():
    decoder = Decoder()
    assert len(decoder.decode(b"\x82" * 9)) == 9
    with pytest.raises(TooLarge):
        decoder.decode(b"\x82" * 9, FieldLimits(fields=8))
    with pytest.raises(TooLarge):
        decoder.decode(b"\x82" * 9, FieldLimits(size=9 * 42 - 1))
    assert len(decoder.decode(b"\x82" * 9, FieldLimits(size=9 * 42, fields=9))) == 9


@pytest.mark.parametrize("start", [b"", b"\x00\x01a\x01b"])  # the path of indices alone, and the general one
def test_the_limits_are_exact(start: bytes):
    more = 1 if start else 0
    decoder = Decoder()
    decoder.decode(b"\x60\x01c")  # a cookie in the table
    limits = FieldLimits(fields=5, crumbs=7)
    assert len(decoder.decode(start + b"\x82" * (5 - more) + b"\xbe" * 7, limits)) == 12
    for block in (b"\x82" * (6 - more), b"\xbe" * 8):
        with pytest.raises(TooLarge):
            decoder.decode(start + block, limits)


def test_the_state_survives_what_is_too_large():
    decoder = Decoder()
    peer = oracle.Decoder(max_header_list_size=2**30)
    limits = FieldLimits(size=1000)
    big = b"\x00\x01x\x7f" + bytes((2000 - 127 & 127 | 128, 2000 - 127 >> 7)) + b"v" * 2000
    block = big + b"\x40\x01a\x01b" + b"\x82\x10\x01n\x01v\x04\x01/" + b"\x40\x81\x1f\x01d"
    with pytest.raises(TooLarge):
        decoder.decode(block, limits)
    peer.decode(block, raw=True)
    after = b"\xbe\xbf\x82"
    assert decoder.decode(after, limits) == tuple(map(tuple, peer.decode(after, raw=True)))
    for cut in (b"\x00\x05ab", b"\x00\x01a\x05b", b"\x0f\x7f\x01v", b"\x80", b"\xff\x7f"):
        with pytest.raises(HpackError):
            Decoder().decode(big + cut, limits)


# What one block of a bomb holds, and what prepares the table for it.
BOMBS = {
    "references to a large entry": (b"\x40\x01a\x7f\xb1\x1e" + b"v" * 4016, b"\xbe" * 65000),
    "references to a small entry": (b"\x40\x01a\x00", b"\xbe" * 65000),
    "crumbs": (b"\x60\x00", b"\xbe" * 65000),
    "crumbs beside a literal": (b"\x60\x00", b"\x00\x01a\x01b" + b"\xbe" * 65000),
    "literals": (b"", b"\x00\x00\x00" * 21000),
    "insertions": (b"", b"\x40\x00\x00" * 21000),
    "a text of the shortest codes": (b"", b"\x00\x01a\xff\xe1\xd3\x03" + b"\x00" * 60000),
}


def _is_too_large(decoder: Decoder, block: bytes) -> bool:
    try:
        decoder.decode(block, LIMITS)
    except TooLarge:
        return True
    return False


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_stay_small(name: str):
    prepare, block = BOMBS[name]
    decoder = Decoder()
    decoder.decode(prepare)
    refused = 0
    tracemalloc.start()
    try:
        for _ in range(3):
            refused += _is_too_large(decoder, block)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused == 3
    assert most < 500_000
    assert kept < 200_000  # the interpreter itself keeps up to 2,000 empty pairs for later
    assert decoder.table_size <= 4096


def test_many_texts_are_not_all_remembered():
    decoder = Decoder()
    for number in range(3000):
        text = b"value-%d" % number
        coded = bytes(_CODER.encode(text))
        assert decoder.decode(b"\x00\x01a" + bytes((128 | len(coded),)) + coded) == ((b"a", text),)
    assert len(hpack._texts) <= 1024
    assert len(decoder._known) <= 32


@given(st.one_of(st.binary(max_size=300), st.binary(min_size=900, max_size=1500)))
def test_huffman_reads_what_hpack_writes(text: bytes):
    assert huffman.decode(bytes(_CODER.encode(text))) == text


@given(st.binary(max_size=40))
def test_huffman_refuses_what_hpack_refuses(data: bytes):
    try:
        expected: bytes | None = bytes(decode_huffman(data))
    except oracle.HPACKDecodingError:
        expected = None
    try:
        found: bytes | None = huffman.decode(data)
    except huffman.HuffmanError:
        found = None
    assert found == expected


def test_huffman_keeps_a_bounded_number_of_transitions():
    state = 0x12345678
    for _ in range(2000):
        octets = bytearray()
        for _ in range(60):
            state = (state * 1103515245 + 12345) & 0x7FFFFFFF
            octets.append(state >> 16 & 0xFF)
        text = bytes(octets)
        assert huffman.decode(bytes(_CODER.encode(text))) == text
    assert huffman._kept[0] <= huffman._MAX_KEPT


NAMES = [b":status", b":path", b":authority", b"content-type", b"server", b"vary", b"date", b"x-request-id", b"etag"]
FIELD = st.tuples(
    st.one_of(st.sampled_from([*NAMES, b"cookie", b"authorization", b"te"]), st.binary(max_size=20)),
    st.one_of(
        st.sampled_from([b"", b"200", b"/", b"gzip", b"nginx", b"v" * 126, b"v" * 127, b"v" * 600]),
        st.binary(max_size=40),
    ),
)
SECTIONS = st.lists(st.lists(FIELD, max_size=12), min_size=1, max_size=12)


@given(SECTIONS, st.lists(st.sampled_from([0, 40, 100, 4096, 70000, None]), max_size=12))
def test_hpack_reads_what_we_write(sections: list[list[Field]], sizes: list[int | None]):
    encoder, decoder, ours = Encoder(), oracle.Decoder(), Decoder()
    for number, section in enumerate(sections * 3):
        fields = [(name.lower(), value) for name, value in section]
        size = sizes[number] if number < len(sizes) else None
        if size is not None:
            encoder.set_table_size(size)
            encoder.set_table_size(size)
        block = encoder.encode(fields)
        assert [tuple(field) for field in decoder.decode(block, raw=True)] == fields
        assert ours.decode(block) == tuple(fields)
        if size is not None:
            assert decoder.header_table_size == min(size, 4096)


@given(SECTIONS, st.booleans(), st.lists(st.sampled_from([0, 40, 100, 4096]), max_size=12))
def test_we_read_what_hpack_writes(sections: list[list[Field]], coded: bool, sizes: list[int]):
    encoder, decoder = oracle.Encoder(), Decoder()
    for number, fields in enumerate(sections * 2):
        if number < len(sizes):
            encoder.header_table_size = sizes[number]
        block = bytes(encoder.encode(fields, huffman=coded))
        assert decoder.decode(block) == tuple(fields)
        assert decoder.table_size == encoder.header_table._current_size


@given(SECTIONS, st.data())
def test_of_broken_blocks_hpack_thinks_no_worse(sections: list[list[Field]], data: st.DataObject):
    encoder, theirs, ours = oracle.Encoder(), oracle.Decoder(), Decoder()
    for fields in sections:
        block = bytearray(encoder.encode(fields))
        for _ in range(data.draw(st.integers(0, 2))):
            if block:
                block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
        try:
            found = ours.decode(bytes(block))
        except HpackError:
            return
        assert found == tuple(map(tuple, theirs.decode(bytes(block), raw=True)))


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=6))
def test_of_any_bytes_hpack_thinks_no_worse(blocks: list[bytes]):
    theirs, ours = oracle.Decoder(), Decoder()
    for block in blocks:
        try:
            found = ours.decode(block)
        except HpackError:
            return
        assert found == tuple(map(tuple, theirs.decode(block, raw=True)))
