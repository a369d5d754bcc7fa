"""What the connections of one worker share by heart must make no difference to any of them (RFC 7541 section 7.1).

Several connections, each with a coder of its own that chooses how it writes a field, in any order; what each gets is
what a decoder gets that knows nothing of the others.
"""

from __future__ import annotations

from typing import Any

import hpack as oracle
import pytest
from hpack import struct as coded
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.wire import fields2, hpack, hpack_encode, sorter2
from gatewayd.wire.fields2 import request_head
from gatewayd.wire.heads2 import Heads
from gatewayd.wire.hpack import Decoder, FieldLimits, HpackError, TooLarge
from gatewayd.wire.hpack_encode import Encoder
from gatewayd.wire.never_indexed import NeverIndexed
from gatewayd.wire.refused import Refused

Pairs = list[tuple[bytes, bytes]]
CREDENTIALS = (b"authorization", b"cookie", b"proxy-authorization")
START = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.example"), (b":path", b"/")]
NAMES = st.sampled_from([b"x-user", b"accept", b"user-agent", b"x-long-name-of-a-field", *CREDENTIALS])
VALUES = st.sampled_from([b"", b"1", b"two", b"tenant one", b"v" * 60, b"v" * 61, b"\xff"])
PATHS = st.sampled_from([b"/", b"/a?b=1", b"/a", b"/%2e%2e/", b"no"])


def request(path: bytes, fields: Pairs) -> Pairs:
    return [*START[:3], (b":path", path), *fields]


SENT = st.lists(
    st.tuples(
        st.integers(0, 3),  # the connection
        st.builds(request, PATHS, st.lists(st.tuples(NAMES, VALUES), max_size=4)),
        st.booleans(),  # the strings in Huffman's code
        st.sets(NAMES, max_size=2),  # fields that are never indexed
        st.sampled_from([None, None, None, None, 0, 64, 4096]),  # another size of the table
    ),
    min_size=1,
    max_size=24,
)


def head_of(read: Any, fields: Any) -> Any:
    try:
        head = read(fields, True, 16384)
    except Refused as refused:
        return refused.status, refused.reason
    return [getattr(head, name) for name in ("method", "path", "query", "host", "block", "specials", "length")]


def encoded(encoder: Any, fields: Pairs, never: set[bytes], *, huffman: bool) -> bytes:
    kinds = {True: coded.NeverIndexedHeaderTuple, False: coded.HeaderTuple}
    return bytes(encoder.encode([kinds[name in never](name, value) for name, value in fields], huffman=huffman))


@settings(max_examples=60)
@given(SENT, st.booleans())
def test_no_connection_gets_what_another_sent(sent: list[Any], warm: bool) -> None:
    if not warm:
        for shared in (hpack._literals, hpack._texts, hpack._wholes, fields2._targets, sorter2.REQUESTS.lines):
            shared.clear()
    limits = FieldLimits()
    ends = [(oracle.Encoder(), oracle.Decoder(), Decoder(), Heads()) for _ in range(4)]
    for connection, fields, huffman, never, size in sent * 2:
        encoder, theirs, ours, heads = ends[connection]
        if size is not None:
            encoder.header_table_size = size
        block = encoded(encoder, fields, never, huffman=huffman)
        read_by_them = theirs.decode(block, raw=True)
        assert [(bytes(name), bytes(value)) for name, value in read_by_them] == fields
        found = ours.decode(block, limits)
        assert [*found] == fields
        assert ours.table_size == theirs.header_table._current_size
        read = heads.request if ours.again else request_head
        told = tuple(
            (name if one.indexable or name in CREDENTIALS else NeverIndexed(name), value)
            for one, (name, value) in zip(read_by_them, fields, strict=True)
        )
        assert head_of(read, found) == head_of(request_head, told)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=24)), max_size=12), st.data())
def test_hostile_blocks_poison_nobody(sent: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """A block means the same before and after others, cut and broken ones among them, were read elsewhere."""
    parts = [b"\x00\x01a\x01b", b"\x41\x01c", b"\x40\x01n\x01v", b"\x82", b"\xbe", b"\x10\x01s\x01t", b"\x0f\x2b\x01d"]
    piece = st.sampled_from(parts)
    own = data.draw(st.lists(st.lists(piece, max_size=4).map(b"".join), min_size=1, max_size=4))
    for shared in (hpack._literals, hpack._texts, hpack._wholes):
        shared.clear()
    cold = outcomes(own)
    others = [Decoder() for _ in range(3)]
    for connection, block in sent:
        read(others[connection], block + data.draw(piece))
        read(others[connection], data.draw(piece) + block)
    assert outcomes(own) == cold


def outcomes(blocks: list[bytes]) -> list[Any]:
    decoder = Decoder()
    return [read(decoder, block) for block in blocks]


def read(decoder: Decoder, block: bytes) -> Any:
    """The fields, or why there are none."""
    try:
        return decoder.decode(block), decoder.table_size
    except (HpackError, TooLarge) as error:
        return type(error)


@pytest.mark.parametrize("huffman", [True, False])
@pytest.mark.parametrize("name", CREDENTIALS)
def test_credentials_are_kept_by_no_one_but_their_connection(name: bytes, huffman: bool) -> None:
    """Nor is what its sender wants never to be indexed (section 6.2.3)."""
    secret = b"s3cret-%b-%d" % (name, huffman)
    for never, written in ((set(), name), ({b"x-key"}, b"x-key")):
        block = encoded(oracle.Encoder(), [*START, (written, secret)], never, huffman=huffman)
        for _ in range(3):
            assert Decoder().decode(block)[-1] == (written, secret)
    for _ in range(3):
        Encoder().encode([(name, secret)], b"\r\n%b: %b" % (name.title(), secret))
    shared = [hpack._literals, hpack._texts, hpack._wholes, hpack_encode._literals, sorter2.REQUESTS.lines]
    assert secret.decode() not in repr(shared)
