"""Fields that are never indexed stay so from one side to the other (RFC 7541 section 7.1.3)."""

from __future__ import annotations

import hpack as oracle
import pytest
from hpack import struct as coded
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire import hpack, hpack_encode, sorter2
from gatewayd.wire.fields2 import (
    request_head,
    request_start,
    response_head,
    response_start,
    trailer_block,
    trailer_lines,
)
from gatewayd.wire.hpack import Decoder
from gatewayd.wire.hpack_encode import Encoder
from gatewayd.wire.never_indexed import NeverIndexed, is_spelled, spelled
from gatewayd.wire.sorter2 import Malformed

Pairs = list[tuple[bytes, bytes]]
START = [(b":method", b"GET"), (b":scheme", b"https"), (b":authority", b"a.example"), (b":path", b"/a?token=1")]
ALWAYS = {b"authorization", b"cookie", b"proxy-authorization", b"set-cookie", b":path"}
NAMES = [b"x-key", b"accept", b"content-type", b"x-api-key2", b"te-st", b"authorization", b"cookie"]
FIELDS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from([b"", b"1", b"*/*", b"v" * 200])),
    max_size=5,
    unique_by=lambda field: field[0],
)


def sent(encoder: oracle.Encoder, fields: Pairs, never: set[bytes]) -> bytes:
    kinds = {True: coded.NeverIndexedHeaderTuple, False: coded.HeaderTuple}
    return bytes(encoder.encode([kinds[name in never](name, value) for name, value in fields]))


def received(decoder: oracle.Decoder, block: bytes) -> tuple[Pairs, set[bytes]]:
    """The fields, and the names of those that are never indexed."""
    found = decoder.decode(block, raw=True)
    return [(bytes(one[0]), bytes(one[1])) for one in found], {bytes(one[0]) for one in found if not one.indexable}


@given(st.lists(st.tuples(FIELDS, st.sets(st.sampled_from(NAMES))), min_size=1, max_size=6))
def test_requests(requests: list[tuple[Pairs, set[bytes]]]) -> None:
    """Of one connection, each twice, so that what is known of blocks, lines and names is used too."""
    client, gate, ours, out, backend = oracle.Encoder(), oracle.Decoder(), Decoder(), Encoder(), oracle.Decoder()
    for fields, chosen in requests * 2:
        block = sent(client, START + fields, chosen)
        never = received(gate, block)[1]  # what is in the static table is an index in any case
        head = request_head(ours.decode(block), True)
        start = request_start(head, head.path, b"a.example", b"https")
        found, kept = received(backend, out.encode(start, head.block))
        assert sorted(found) == sorted(START + fields)
        assert kept == (never | ALWAYS) & {name for name, _ in START + fields}


def test_responses_and_trailers() -> None:
    server, ours, out, client = oracle.Encoder(), Decoder(), Encoder(), oracle.Decoder()
    fields = [(b":status", b"200"), (b"x-token", b"1"), (b"server", b"s"), (b"etag", b"e")]
    for _ in range(2):
        head = response_head(ours.decode(sent(server, fields, {b"x-token", b"server"})), False, b"GET")
        assert received(client, out.encode(response_start(head), head.block)) == (fields, {b"x-token", b"server"})
        trailers = trailer_block(ours.decode(sent(server, [(b"x-sum", b"1"), (b"grpc-status", b"0")], {b"x-sum"})))
        found, never = received(client, out.encode((), trailer_lines(trailers)))
        assert (found, never) == ([(b"x-sum", b"1"), (b"grpc-status", b"0")], {b"x-sum"})


def test_for_http1_it_is_a_field_like_any_other() -> None:
    head = request_head((*START, (NeverIndexed(b"x-key"), b"1"), (b"x-key2", b"2")), True)
    assert head.block == b"\r\nx-keY: 1\r\nx-key2: 2"
    assert head.fields == [(b"x-key", b"1"), (b"x-key2", b"2")]


RULES = [
    # (the field, what becomes of it): as of one that may be indexed
    ((b"connection", b"close"), Malformed),
    ((b"Upper", b"1"), Malformed),
    ((b"x-key", b" 1"), Malformed),
    ((b"te", b"gzip"), Malformed),
    ((b"content-length", b"x"), Malformed),
    ((b"x-forwarded-for", b"1.2.3.4"), {b"x-forwarded-for": b"1.2.3.4"}),
    ((b"x_forwarded_for", b"1.2.3.4"), {b"x_forwarded_for": b"1.2.3.4"}),
]


@pytest.mark.parametrize(("field", "expected"), RULES)
def test_the_rules_for_fields_hold_for_it_too(
    field: tuple[bytes, bytes], expected: type[Malformed] | dict[bytes, bytes]
):
    for name in (field[0], NeverIndexed(field[0])):
        fields = (*START, (name, field[1]))
        if expected is Malformed:
            with pytest.raises(Malformed):
                request_head(fields, True)
        else:
            head = request_head(fields, True)
            assert (head.block, head.specials) == (b"", expected)


def test_repeated_and_joined_as_any_other() -> None:
    host = (*START[:2], *START[3:], (NeverIndexed(b"host"), b"a"))
    assert request_head(host, True).host == b"a"
    with pytest.raises(Malformed, match="repeated_host"):
        request_head((*host, (b"host", b"a")), True)


SPELLINGS = [(b"x-key", b"x-keY"), (b"x-api-key2", b"x-api-keY2"), (b"a", b"A"), (b"1-2", b"1-2")]


@pytest.mark.parametrize(("name", "written"), SPELLINGS)
def test_spelling(name: bytes, written: bytes) -> None:
    assert spelled(name) == written
    assert is_spelled(written) == (written != name)


@pytest.mark.parametrize("written", [b"x-key", b"X-Key", b"X-KEY", b"x-Key", b"Accept", b"DNT"])
def test_what_clients_write_is_not_taken_for_it(written: bytes) -> None:
    assert not is_spelled(written)


def test_nothing_that_is_shared_keeps_it() -> None:
    secret = b"never-to-be-kept"
    decoder, encoder = Decoder(), Encoder()
    for _ in range(3):
        block = sent(oracle.Encoder(), [*START, (b"x-key", secret)], {b"x-key"})
        head = request_head(decoder.decode(block), True)
        encoder.encode([], head.block)
    for shared in (hpack._literals, hpack._texts, hpack._wholes, hpack_encode._literals, sorter2.REQUESTS.lines):
        assert not any(secret in repr(entry).encode() for entry in shared.items())
    assert not any(secret in key for key in [*encoder._blocks, *encoder._known] if isinstance(key, bytes))
