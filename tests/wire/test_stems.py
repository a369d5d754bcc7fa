"""Requests that differ by their path alone: decoded and read as any others, at the price of the path."""

from __future__ import annotations

from collections.abc import Iterable

import hpack
import pytest
from hpack.hpack import encode_integer
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire.fields2 import request_head
from gatewayd.wire.head import RequestHead
from gatewayd.wire.heads2 import Heads
from gatewayd.wire.hpack import Decoder, FieldLimits, HpackError, TooLarge
from gatewayd.wire.hpack_table import Field
from gatewayd.wire.refused import Refused
from gatewayd.wire.sorter2 import Malformed

GET, POST, HTTP, HTTPS = b"\x82", b"\x83", b"\x86", b"\x87"  # of the static table
AUTHORITY = b"\x01\x01a"  # literals that enter no table
ACCEPT = b"\x0f\x04\x03*/*"
AGENT = b"\x7a\x03abc"  # enters the table
AFTERS = [
    HTTPS + AUTHORITY,
    HTTP + AUTHORITY + ACCEPT,
    HTTPS,
    AUTHORITY + AGENT,
    AUTHORITY + b"\xbe",
    b"\xbe",
    b"",
    b"\x80",
]
CODE = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
TEXTS = [b"/", b"/a", b"/b?c=1", b"", b"/" + b"x" * 126, b"/" + b"y" * 200]


def path(text: bytes, *, huffman: bool = False) -> bytes:
    """The literal of a path."""
    data = CODE.encode(text) if huffman else text
    length = encode_integer(len(data), 7)
    length[0] |= huffman << 7
    return b"\x04" + bytes(length) + data


PATHS = [path(text, huffman=coded) for text in TEXTS for coded in (False, True)] + [
    b"\x04\x81\x00",
    b"\x04\x05/",
    b"\x04",
]


def outcome(decoder: Decoder, block: bytes) -> tuple[Field, ...] | str:
    try:
        return decoder.decode(block)
    except HpackError:
        return "error"


def expected(decoder: hpack.Decoder, block: bytes) -> tuple[Field, ...] | str:
    try:
        return tuple((bytes(name), bytes(value)) for name, value in decoder.decode(block, raw=True))
    except hpack.HPACKError:
        return "error"


BLOCKS = st.tuples(
    st.sampled_from([b"", GET, POST, GET + HTTP, GET + b"\xbe", b"\xff\x00", b"\x20" + GET]),
    st.sampled_from(PATHS),
    st.sampled_from(AFTERS),
).map(b"".join)


@given(st.lists(BLOCKS, max_size=40))
def test_any_sequence_of_blocks_is_decoded_as_by_hpack(blocks: list[bytes]):
    ours, oracle = Decoder(), hpack.Decoder()
    for block in blocks:
        found = outcome(ours, block)
        assert found == expected(oracle, block)
        if found == "error":  # the connection is lost
            return


def decoded(decoder: Decoder, *blocks: bytes) -> list[bool]:
    """Whether only the path of each was new."""
    found = []
    for block in blocks:
        decoder.decode(block)
        found.append(decoder.stem is not None)
    return found


def test_a_path_is_all_that_is_read_of_a_block_that_is_known_otherwise():
    one, other = (GET + path(text) + HTTPS + AUTHORITY for text in (b"/one", b"/other"))
    assert decoded(Decoder(), one, other) == [False, True]
    decoder = Decoder()
    decoder.decode(one)
    assert decoder.decode(other) == (
        (b":method", b"GET"), (b":path", b"/other"), (b":scheme", b"https"), (b":authority", b"a"),
    )  # fmt: skip


def test_what_comes_before_the_path_is_not_taken_for_what_comes_after():
    assert decoded(Decoder(), GET + path(b"/a") + HTTPS, GET + HTTPS + path(b"/b")) == [False, False]


def test_a_change_of_the_table_is_the_end_of_what_was_known():
    indexed = GET + path(b"/a") + b"\xbe"
    other = GET + path(b"/b") + b"\xbe"
    decoder = Decoder()
    decoder.decode(AGENT)
    assert decoded(decoder, indexed, other) == [False, True]
    decoder.decode(b"\x7a\x03xyz")
    assert decoder.decode(GET + path(b"/c") + b"\xbe")[-1] == (b"user-agent", b"xyz")
    assert decoder.stem is None


def test_limits_hold_for_paths_of_what_is_known():
    limits = FieldLimits(size=200)
    decoder = Decoder()
    decoder.decode(GET + path(b"/") + HTTPS, limits)
    fits = 200 - sum(32 + len(text) for text in (b":methodGET", b":schemehttps", b":path"))
    decoder.decode(GET + path(b"/" * fits) + HTTPS, limits)
    assert decoder.stem is not None
    with pytest.raises(TooLarge):
        decoder.decode(GET + path(b"/" * (fits + 1)) + HTTPS, limits)


TARGETS = [
    b"/", b"/a?b", b"/%41/./b/../c?d=%41", b"*", b"", b"/%00", b"/a\\b", b"/a b", b"/\xff", b"x", b"/" + b"a" * 60,
]  # fmt: skip


def content(head: RequestHead) -> dict[str, object]:
    slots = set(head.__slots__) - {"_pairs", "_values"}  # whose path nobody asks for
    return {name: getattr(head, name) for name in slots} | {"accept": head.value(b"accept")}


@pytest.mark.parametrize("method", [GET, POST, b"\x02\x07OPTIONS"])
@pytest.mark.parametrize("ended", [True, False])
def test_heads_of_pages_are_as_those_that_are_read(method: bytes, ended: bool):
    def heads_of(targets: Iterable[bytes]) -> list[object]:
        heads, decoder = Heads(), Decoder()
        found: list[object] = []
        for target in targets:
            fields = decoder.decode(path(target) + method + HTTPS + AUTHORITY + ACCEPT)
            assert (decoder.stem is not None) == bool(found)
            try:
                if decoder.stem is None:
                    head = request_head(fields, ended, 50)
                else:
                    head = heads.page(decoder.stem, fields, ended, 50)
                found.append(content(head))
                head = head.copy()
                head.block, head.query, head.trusted = b"edited", b"?edited", True
            except (Refused, Malformed) as refused:
                found.append((type(refused), refused.status, refused.reason))
        return found

    alone = [heads_of([target])[0] for target in TARGETS]
    assert heads_of([b"/first", b"/second", *TARGETS, *TARGETS])[2:] == alone * 2
