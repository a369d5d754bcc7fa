from __future__ import annotations

import pytest

from gatewayd.wire.fields import split_block
from tests.corpora.accepted import ACCEPTED_REQUESTS
from tests.corpora.refused_framing import REFUSED_FRAMING
from tests.corpora.refused_heads import REFUSED_HEADS
from tests.corpora.row import Refusal, Request
from tests.wire.reading import cut_in_two, read_request, single_bytes

REFUSED = (*REFUSED_HEADS, *REFUSED_FRAMING)
ALL = (*REFUSED, *ACCEPTED_REQUESTS)


def _named(row: Refusal | Request) -> str:
    return row.name


def _places(data: bytes) -> list[int]:
    """Every place of a short message; of a long one those at its ends and around the limits."""
    size = len(data)
    if size < 2000:
        return list(range(1, size))
    near = [*range(1, 60), *range(16370, 16400), *range(65520, 65560), *range(size - 60, size)]
    return [place for place in near if place < size]


def test_names_are_told_apart():
    names = [row.name for row in ALL]
    assert len(names) == len(set(names))
    assert len(names) > 300


@pytest.mark.parametrize("row", REFUSED, ids=_named)
def test_refused(row: Refusal):
    assert read_request([row.data]).verdict == (row.status, row.reason)


@pytest.mark.parametrize("row", ACCEPTED_REQUESTS, ids=_named)
def test_accepted(row: Request):
    outcome = read_request([row.data])
    assert outcome.verdict == (0, "")
    method, path, query, _, host, _ = outcome.line
    assert (method, path, query, host) == (row.method, row.path, row.query, row.host)
    assert outcome.framing[1] == row.keep_alive
    assert outcome.fields == list(row.fields)
    assert (outcome.body, outcome.trailers, outcome.rest) == (row.body, list(row.trailers), row.rest)


@pytest.mark.parametrize("row", ALL, ids=_named)
def test_cut_in_two_anywhere_it_means_the_same(row: Refusal | Request):
    whole = read_request([row.data])
    for parts in cut_in_two(row.data, _places(row.data)):
        assert read_request(parts) == whole, parts


@pytest.mark.parametrize("row", ALL, ids=_named)
def test_byte_by_byte_it_means_the_same(row: Refusal | Request):
    assert read_request(single_bytes(row.data)) == read_request([row.data])


@pytest.mark.parametrize("row", [row for row in ACCEPTED_REQUESTS if not row.rest], ids=_named)
def test_cut_short_it_is_incomplete(row: Request):
    for size in _places(row.data):
        assert read_request([row.data[:size]]).verdict == (0, "incomplete")


def test_forwarded_lines_stay_what_they_were():
    block = b"\r\nA:  b \r\nX-Long-Name: \tvalue\x80"
    assert split_block(block) == [(b"a", b"b"), (b"x-long-name", b"value\x80")]
