"""Heads that are known are as those that are read, and may be edited."""

from __future__ import annotations

import pytest

from gatewayd.wire.fields2 import request_head, response_head
from gatewayd.wire.framing import UNTIL_END
from gatewayd.wire.head import RequestHead
from gatewayd.wire.heads2 import Heads
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
        head.query, head.block, head.expect, head.trusted = b"?edited", b"", True, True
        head.fields.append((b"x", b"y"))
    assert heads.request(GET, not ended, 16384).length == (UNTIL_END if ended else 0)


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
        head.block, head.status, head.reason = b"\r\nedited: yes", 500, b"?"
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
