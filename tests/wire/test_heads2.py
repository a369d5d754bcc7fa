"""Heads that are known are as those that are read, and copies of them may be edited."""

from __future__ import annotations

import pytest

from gatewayd.wire.fields2 import request_head, response_head
from gatewayd.wire.framing import UNTIL_END
from gatewayd.wire.head import RequestHead
from gatewayd.wire.heads2 import Heads
from gatewayd.wire.never_indexed import NeverIndexed
from gatewayd.wire.refused import Refused
from gatewayd.wire.response_head import ResponseHead
from gatewayd.wire.sorter2 import Malformed

GET = (
    (b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"A.b:80"), (b":path", b"/x%41?q=1"),
    (b"accept", b"*/*"), (b"te", b"trailers"), (b"x-request-id", b"7"),
)  # fmt: skip
OK = ((b":status", b"200"), (b"content-length", b"2"), (b"server", b"s"))


def content(head: RequestHead | ResponseHead) -> dict[str, object]:
    return {name: getattr(head, name) for name in head.__slots__}


@pytest.mark.parametrize("ended", [True, False])
def test_a_request_that_is_known_is_as_one_that_is_read(ended: bool):
    heads = Heads()
    expected = content(request_head(GET, ended))
    for _ in range(3):
        head = heads.request(GET, ended, 16384)
        assert content(head) == expected
        edited = head.copy()
        edited.query, edited.block, edited.expect, edited.trusted = b"?edited", b"", True, True
    assert heads.request(GET, not ended, 16384).length == (UNTIL_END if ended else 0)


def test_what_is_edited_where_it_is_served_is_read_anew():
    heads = Heads()
    asked = (*GET[:4], (b"expect", b"100-continue"))
    for _ in range(2):
        head = heads.request(asked, False, 16384)
        assert head.expect
        head.expect = False


@pytest.mark.parametrize(
    ("more", "name", "value"),
    [
        ((), b"accept", b"*/*"),
        ((), b"te", b"trailers"),
        ((), b"x-absent", None),
        ((), b"host", b"A.b:80"),
        (((b"accept", b"text/html"),), b"accept", b"*/*, text/html"),
        (((b"cookie", b"a=1"),), b"cookie", b"a=1"),
        (((b"cookie", b"a=1"), (b"cookie", b"b=2")), b"cookie", b"a=1; b=2"),  # RFC 9113 section 8.2.3
        (((NeverIndexed(b"x-secret"), b"1"),), b"x-secret", b"1"),  # RFC 7541 section 7.1.3
        (((NeverIndexed(b"x-secret"), b"1"), (b"x-secret", b"2")), b"x-secret", b"1, 2"),
        (((b"forwarded", b"for=x"),), b"forwarded", None),  # the client's word does not count
    ],
)
def test_values_are_those_of_the_lines(more: tuple[tuple[bytes, bytes], ...], name: bytes, value: bytes | None):
    head = request_head((*GET, *more), True)
    assert head.value(name) == value
    assert head.copy().value(name) == value
    for known, _ in head.fields:
        assert head.value(known) == b", ".join(found for other, found in head.fields if other == known)


@pytest.mark.parametrize(
    ("fields", "call"),
    [
        ((), False),
        (((b"content-type", b"application/grpc"),), True),
        (((b"content-type", b"application/grpc-web"),), False),
        (((b"content-type", b"application/grpc"), (b"content-type", b"text/plain")), False),
    ],
)
def test_calls(fields: tuple[tuple[bytes, bytes], ...], call: bool):
    head = request_head((*GET, *fields), True)
    assert (head.call, head.call, head.copy().call) == (call, call, call)


def test_limits_hold_for_what_is_known():
    heads = Heads()
    for _ in range(2):
        heads.request(GET, True, 16384)
    with pytest.raises(Refused) as refused:
        heads.request(GET, True, 5)
    assert (refused.value.status, refused.value.reason) == (414, "line_too_long")


def test_tunnels_are_read_anew():
    heads = Heads()
    asked = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:5])
    for _ in range(2):
        head = heads.request(asked, False, 16384)
        assert (head.upgrade, head.specials) == (b"websocket", {})
        head.specials[b"upgrade"] = b"websocket"


def test_a_response_that_is_known_is_as_one_that_is_read():
    heads = Heads()
    expected = content(response_head(OK, False, b"GET"))
    for _ in range(3):
        head = heads.response(OK, False, b"GET")
        assert content(head) == expected
        edited = head.copy()
        edited.block, edited.status, edited.reason = b"\r\nedited: yes", 500, b"?"
    assert heads.response(OK, False, b"HEAD").length == 0
    assert heads.response(OK, False, b"GET").length == 2
    with pytest.raises(Malformed):
        heads.response(OK, True, b"GET")


def test_few_are_kept():
    heads = Heads()
    for number in range(100):
        heads.request((*GET, (b"x-n", b"%d" % number)), True, 16384)
        heads.response((*OK, (b"x-n", b"%d" % number)), False, b"GET")
    assert 0 < len(heads._requests) <= 8
    assert 0 < len(heads._responses) <= 8


def test_long_ones_are_not():
    heads = Heads()
    for _ in range(2):
        heads.request((*GET, (b"x-long", b"x" * 2048)), True, 16384)
        heads.request((*GET[:3], (b":path", b"/" + b"x" * 2048)), True, 16384)
        heads.response((*OK, (b"x-long", b"x" * 2048)), False, b"GET")
    assert (heads._requests, heads._responses) == ({}, {})
