"""What we accept, h11 accepts, with the same meaning. (h11 accepts more: it repairs where we refuse.) One thing it does
not take, an empty line before a request, which RFC 9112 section 2.2 asks servers to ignore.
"""

from __future__ import annotations

import h11
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from gatewayd.wire.body import ChunkedBody
from gatewayd.wire.framing import CHUNKED, UNTIL_CLOSE
from gatewayd.wire.grammar import REQUEST_SPECIALS, RESPONSE_SPECIALS
from gatewayd.wire.head import RequestHead, parse_request
from gatewayd.wire.path import normalise
from gatewayd.wire.refused import Refused
from gatewayd.wire.response_head import ResponseHead, parse_response
from tests.corpora.accepted import ACCEPTED_REQUESTS
from tests.corpora.responses import ACCEPTED_RESPONSES
from tests.corpora.row import Request, Response
from tests.wire.grammar_examples import chunked_bodies, mutated, request_heads, response_heads
from tests.wire.reading import LIMITS


def _h11_request(data: bytes) -> tuple[h11.Request, bytes]:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=LIMITS.head)
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Request), event
    return event, connection.trailing_data[0]


def _parsed(data: bytes) -> RequestHead | None:
    try:
        return parse_request(data, LIMITS)
    except Refused:
        return None


def _target_of(head: RequestHead, target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a target as it was sent, the path in normal form."""
    if target[:4].lower() == b"http":
        authority, _, rest = target.partition(b"//")[2].partition(b"/")
        if b"?" in authority:
            return b"/", b"?" + target.partition(b"?")[2]
        target = b"/" + rest
    path, mark, query = target.partition(b"?")
    return (path if path == b"*" else normalise(path)), mark + query


def _framing_of(fields: list[tuple[bytes, bytes]]) -> int:
    """The framing that the fields say to h11, after its own normalisation."""
    found = dict(fields)
    if b"transfer-encoding" in found:
        return CHUNKED
    return int(found.get(b"content-length", b"0"))


def _agree_on_request(head: RequestHead, data: bytes) -> None:
    theirs, rest = _h11_request(data.removeprefix(b"\r\n"))
    fields = [(name, value) for name, value in theirs.headers]
    assert theirs.method == head.method
    assert theirs.http_version == b"1.%d" % head.minor
    assert _target_of(head, theirs.target) == (head.path, head.query)
    assert _framing_of(fields) == head.length
    assert rest == data[head.end :]
    named = {option.strip().lower() for name, value in fields if name == b"connection" for option in value.split(b",")}
    for name, value in head.fields:
        assert (name, value) in fields
    forwarded = [name for name, _ in head.fields]
    for name, _ in fields:
        special = REQUEST_SPECIALS.match(b"\r\n" + name + b": x") is not None
        assert special or name in named or name in forwarded


@pytest.mark.parametrize(
    "row", [row for row in ACCEPTED_REQUESTS if b"HTTP/1.0" not in row.data], ids=lambda row: row.name
)
def test_the_corpus_means_the_same_to_h11(row: Request):
    head = parse_request(row.data, LIMITS)
    assert head is not None
    _agree_on_request(head, row.data)


@given(mutated(request_heads()))
@settings(max_examples=1500)
def test_accepted_requests_mean_the_same_to_h11(data: bytes):
    head = _parsed(data)
    event("accepted" if head is not None else "refused")
    if head is not None:
        _agree_on_request(head, data)


def _h11_response(data: bytes, method: bytes) -> h11.Response | h11.InformationalResponse:
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=LIMITS.head)
    connection.send(h11.Request(method=method, target=b"/", headers=[(b"host", b"a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    event = connection.next_event()
    assert isinstance(event, h11.Response | h11.InformationalResponse), event
    return event


def _agree_on_response(head: ResponseHead, data: bytes, method: bytes) -> None:
    theirs = _h11_response(data, method)
    fields = [(name, value) for name, value in theirs.headers]
    assert theirs.status_code == head.status
    assert theirs.reason == head.reason.strip(b" \t") or theirs.reason == head.reason
    bodiless = method == b"HEAD" or head.status < 200 or head.status in {204, 304}
    declared = CHUNKED if b"transfer-encoding" in dict(fields) else int(dict(fields).get(b"content-length", b"-2"))
    assert head.length == (0 if bodiless else declared)
    assert (head.length == UNTIL_CLOSE) == (declared == UNTIL_CLOSE and not bodiless)
    named = {option.strip().lower() for name, value in fields if name == b"connection" for option in value.split(b",")}
    for name, _ in fields:
        special = RESPONSE_SPECIALS.match(b"\r\n" + name + b": x") is not None
        assert special or name in named or (b"\r\n" + name + b":") in head.block.lower()


@pytest.mark.parametrize("row", ACCEPTED_RESPONSES, ids=lambda row: row.name)
def test_the_corpus_of_responses_means_the_same_to_h11(row: Response):
    head = parse_response(row.data, LIMITS, row.method)
    assert head is not None
    _agree_on_response(head, row.data, row.method)


@given(mutated(response_heads()), st.sampled_from([b"GET", b"HEAD"]))
@settings(max_examples=1000)
def test_accepted_responses_mean_the_same_to_h11(data: bytes, method: bytes):
    try:
        head = parse_response(data, LIMITS, method)
    except Refused:
        head = None
    event("accepted" if head is not None else "refused")
    if head is not None:
        _agree_on_response(head, data, method)


def _h11_body(data: bytes) -> tuple[bytes, list[tuple[bytes, bytes]] | None, bytes]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    assert isinstance(connection.next_event(), h11.Request)
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            return body, None, b""
        if isinstance(event, h11.EndOfMessage):
            return body, [(name, value) for name, value in event.headers], connection.trailing_data[0]
        assert isinstance(event, h11.Data)
        body += event.data


@given(mutated(chunked_bodies()))
@settings(max_examples=1000)
def test_accepted_chunks_mean_the_same_to_h11(data: bytes):
    decoder = ChunkedBody()
    try:
        pieces, rest = decoder.feed(data)
    except Refused:
        event("refused")
        return
    event("done" if decoder.done else "incomplete")
    body, trailers, their_rest = _h11_body(data)
    assert b"".join(pieces) == body
    assert decoder.done == (trailers is not None)
    if decoder.done:
        assert rest == their_rest
        lines = [line.partition(b":") for line in decoder.trailers.split(b"\r\n")[1:]]
        assert [(name.lower(), value.strip(b" \t")) for name, _, value in lines] == trailers
