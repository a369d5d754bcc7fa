"""Properties that hold for any bytes: splits, round trips, normal forms."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from gatewayd.wire.body import ChunkedBody, chunks, last_chunk
from gatewayd.wire.fields import FORBIDDEN_TRAILERS, BlockEdit, allowed_trailers, join_block, split_block, without
from gatewayd.wire.head import HeadLimits
from gatewayd.wire.path import normalise
from gatewayd.wire.refused import Refused
from gatewayd.wire.target import query_parameters
from tests.wire.grammar_examples import PATHS, chunked_bodies, cuts, mutated, request_heads, response_heads
from tests.wire.reading import read_request, read_response, single_bytes

NAMES = st.text("abcdefgh-_0!", min_size=1, max_size=6).map(str.encode)
VALUES = st.binary(max_size=12).map(lambda value: re.sub(rb"[\x00-\x1f\x7f]", b"", value).strip(b" \t"))
LIMITS = st.sampled_from([HeadLimits(), HeadLimits(60, 30, 3), HeadLimits(80, 90, 2), HeadLimits(40, 40, 5)])
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=8)


@given(st.data(), st.tuples(mutated(request_heads()), st.one_of(chunked_bodies(), st.binary(max_size=8))).map(b"".join))
@settings(max_examples=800)
def test_a_request_means_the_same_however_it_is_cut(draw: st.DataObject, data: bytes):
    limits = draw.draw(LIMITS)
    whole = read_request([data], limits)
    event(str(whole.verdict))
    assert read_request(draw.draw(cuts(data)), limits) == whole
    assert read_request(single_bytes(data), limits) == whole


@given(st.data(), mutated(response_heads()), st.sampled_from([b"GET", b"HEAD"]))
@settings(max_examples=400)
def test_a_response_means_the_same_however_it_is_cut(draw: st.DataObject, data: bytes, method: bytes):
    limits = draw.draw(LIMITS)
    whole = read_response([data], method, limits)
    assert read_response(draw.draw(cuts(data)), method, limits) == whole
    assert read_response(single_bytes(data), method, limits) == whole


@given(st.binary(max_size=60))
@settings(max_examples=500)
def test_random_bytes_are_refused_unless_they_are_a_request(data: bytes):
    found = read_request([data])
    if found.verdict == (0, ""):  # the shortest requests are short enough to be found
        assert re.match(rb"[!-~]+ [!-~]+ HTTP/1\.[01]\r\n", data)
    assert read_request(single_bytes(data)) == found


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), FIELDS, st.binary(max_size=10))
def test_chunks_that_are_written_are_read(pieces: list[bytes], fields: list[tuple[bytes, bytes]], rest: bytes):
    wire = b"".join(b"".join(chunks(piece)) for piece in pieces) + last_chunk(join_block(fields))
    decoder = ChunkedBody()
    body, left = decoder.feed(wire + rest)
    assert (b"".join(body), left, decoder.done) == (b"".join(pieces), rest, True)
    assert split_block(decoder.trailers) == fields


def test_no_bytes_make_no_chunk():
    assert chunks(b"") == ()
    assert chunks(b"", b"end") == (b"end",)


@pytest.mark.parametrize("size", [1, 8191, 8192, 70000])
def test_a_chunk_is_framed_and_long_data_is_not_copied(size: int):
    data = b"a" * size
    pieces = chunks(data, b"end")
    assert b"".join(pieces) == b"%x\r\n%b\r\nend" % (size, data)
    assert any(piece is data for piece in pieces) == (size >= 8192)


@given(FIELDS)
def test_a_block_survives_the_round_trip(fields: list[tuple[bytes, bytes]]):
    assert split_block(join_block(fields)) == fields


@given(FIELDS, st.frozensets(NAMES, max_size=4))
def test_lines_are_dropped_by_name(fields: list[tuple[bytes, bytes]], names: frozenset[bytes]):
    assert split_block(without(join_block(fields), names)) == [pair for pair in fields if pair[0] not in names]


@given(FIELDS, st.lists(st.sampled_from(sorted(FORBIDDEN_TRAILERS)), max_size=3))
def test_trailers_never_frame_or_route(fields: list[tuple[bytes, bytes]], forbidden: list[bytes]):
    spelled = [spell for name in forbidden for spell in (name.upper(), name.replace(b"-", b"_"))]
    block = join_block([*fields, *[(name, b"x") for name in spelled]])
    kept = [pair for pair in fields if pair[0].replace(b"_", b"-") not in FORBIDDEN_TRAILERS]
    assert split_block(allowed_trailers(block)) == kept


EDITS = st.lists(st.tuples(NAMES, VALUES), max_size=3, unique_by=lambda pair: pair[0]).map(tuple)


@given(FIELDS, EDITS, EDITS, st.lists(NAMES, max_size=3).map(tuple))
@settings(max_examples=300)
def test_an_edit_does_what_a_list_would(
    fields: list[tuple[bytes, bytes]],
    to_set: tuple[tuple[bytes, bytes], ...],
    to_add: tuple[tuple[bytes, bytes], ...],
    to_remove: tuple[bytes, ...],
):
    gone = {name for name, _ in to_set} | set(to_remove)
    expected = [pair for pair in fields if pair[0] not in gone] + [*to_set, *to_add]
    block = join_block([(name.upper(), value) for name, value in fields])
    assert split_block(BlockEdit(to_set, to_add, to_remove).apply(block)) == expected


@pytest.mark.parametrize("name", [b"", b"a b", b"a:", b"a\r\n", b"a\n", b"\xe4"])
def test_an_edit_takes_field_names_only(name: bytes):
    with pytest.raises(ValueError, match="not a field name"):
        BlockEdit(add=((name, b"x"),))


_PATH = re.compile(rb"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/\[\]^`{|}]|%[0-9A-Fa-f]{2})*")
_NEEDLESS = re.compile(rb"%(?:2[DdEe]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[Ff]|7[Ee])")


@given(st.one_of(PATHS, st.binary(max_size=20).map(lambda rest: b"/" + rest)))
@settings(max_examples=1500)
def test_the_normal_form_of_a_path(path: bytes):
    try:
        normal = normalise(path)
    except ValueError:
        event("refused")
        return
    event("changed" if normal != path else "unchanged")
    assert normalise(normal) == normal
    assert len(normal) <= len(path)
    assert _PATH.fullmatch(normal)
    assert _NEEDLESS.search(normal) is None
    for segments in (normal.split(b"/"), re.split(rb"/|%2[Ff]", normal)):
        assert not {b".", b".."} & set(segments)
    assert b"%00" not in normal
    assert b"%5c" not in normal.lower()


@given(st.lists(st.sampled_from([b"a", b"b", b"", b".", b".."]), max_size=8))
def test_dot_segments_are_removed_as_the_rfc_says(segments: list[bytes]):
    path = b"/" + b"/".join(segments)
    assert normalise(path) == _remove_dot_segments(path)


def _remove_dot_segments(path: bytes) -> bytes:
    """RFC 3986 section 5.2.4, step by step as it is written there."""
    done = b""
    while path:
        if path.startswith(b"/./") or path == b"/.":
            path = b"/" + path[3:]
        elif path.startswith(b"/../") or path == b"/..":
            path = b"/" + path[4:]
            done = done[: max(done.rfind(b"/"), 0)]
        else:
            end = path.find(b"/", 1)
            end = len(path) if end < 0 else end
            done, path = done + path[:end], path[end:]
    return done


@given(PATHS)
def test_a_path_is_matched_in_one_form_whoever_sends_it(path: bytes):
    """Encoding more than is needed changes nothing."""
    try:
        normal = normalise(path)
    except ValueError:
        assume(False)
    encoded = re.sub(rb"(?<!%)(?<!%.)[A-Za-z~_]", lambda found: b"%%%02x" % found.group()[0], path)
    assert normalise(encoded) == normal


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"?a=b", {b"a": b"b"}),
        (b"?a=1&a=2", {b"a": b"1"}),
        (b"?%61=%62", {b"a": b"b"}),
        (b"?a=b+c", {b"a": b"b c"}),
        (b"?a=b%2Bc", {b"a": b"b+c"}),
        (b"?A=b&a=c", {b"A": b"b", b"a": b"c"}),
        (b"?a", {b"a": b""}),
        (b"?a=b=c", {b"a": b"b=c"}),
        (b"?a=%zz%4", {b"a": b"%zz%4"}),
        (b"?a=b;c=d", {b"a": b"b;c=d"}),
    ],
)
def test_query_parameters(query: bytes, expected: dict[bytes, bytes]):
    assert query_parameters(query) == expected


def test_a_refusal_is_an_answer():
    refused = Refused(431, "head_too_large")
    assert (refused.status, refused.reason) == (431, "head_too_large")
