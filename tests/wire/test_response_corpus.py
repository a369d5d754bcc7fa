from __future__ import annotations

import pytest

from tests.corpora.responses import ACCEPTED_RESPONSES, REFUSED_RESPONSES
from tests.corpora.row import Refusal, Response
from tests.wire.reading import cut_in_two, read_response, single_bytes

ALL = (*REFUSED_RESPONSES, *ACCEPTED_RESPONSES)


def _named(row: Refusal | Response) -> str:
    return row.name


def _method(row: Refusal | Response) -> bytes:
    return row.method if isinstance(row, Response) else b"GET"


@pytest.mark.parametrize("row", REFUSED_RESPONSES, ids=_named)
def test_refused(row: Refusal):
    assert read_response([row.data], b"GET").verdict == (row.status, row.reason)


@pytest.mark.parametrize("row", ACCEPTED_RESPONSES, ids=_named)
def test_accepted(row: Response):
    outcome = read_response([row.data + b"rest"], row.method)
    assert outcome.verdict == (0, "")
    assert outcome.line[0] == row.status
    assert outcome.framing[:2] == (row.length, row.keep_alive)
    assert outcome.fields == list(row.fields)
    assert outcome.rest == b"rest"


@pytest.mark.parametrize("row", ALL, ids=_named)
def test_any_cut_means_the_same(row: Refusal | Response):
    whole = read_response([row.data], _method(row))
    size = len(row.data)
    places = (
        range(1, size) if size < 2000 else [*range(1, 60), *range(65520, min(65560, size)), *range(size - 60, size)]
    )
    for parts in cut_in_two(row.data, places):
        assert read_response(parts, _method(row)) == whole, parts


@pytest.mark.parametrize("row", [row for row in ALL if len(row.data) < 5000], ids=_named)
def test_byte_by_byte_it_means_the_same(row: Refusal | Response):
    assert read_response(single_bytes(row.data), _method(row)) == read_response([row.data], _method(row))
