"""RFC 9112 section 6.3 as two tables: what Content-Length, Transfer-Encoding and the version mean together."""

from __future__ import annotations

import pytest

from gatewayd.wire.framing import CHUNKED, UNTIL_CLOSE, request_length, response_length
from gatewayd.wire.refused import Refused

BIG = b"9" * 18
REQUESTS = [  # Content-Length, Transfer-Encoding, minor version, length or status
    (None, None, 1, 0),
    (None, None, 0, 0),
    (b"0", None, 1, 0),
    (b"5", None, 1, 5),
    (b"5", None, 0, 5),
    (b"00005", None, 1, 5),
    (BIG, None, 1, int(BIG)),
    (BIG + b"9", None, 1, 400),
    (b"", None, 1, 400),
    (b"+5", None, 1, 400),
    (b"-5", None, 1, 400),
    (b" 5", None, 1, 400),
    (b"5\n", None, 1, 400),
    (b"0x5", None, 1, 400),
    (b"1_0", None, 1, 400),
    (b"5, 5", None, 1, 400),
    ("٥".encode(), None, 1, 400),
    (b"\xb2", None, 1, 400),
    (None, b"chunked", 1, CHUNKED),
    (None, b"CHUNKED", 1, CHUNKED),
    (None, b"chunked", 0, 400),
    (None, b"gzip", 0, 400),
    (None, b"", 1, 400),
    (None, b"chunked ", 1, 400),
    (None, b"chunked,", 1, 400),
    (None, b"gzip, chunked", 1, 400),
    (None, b"chunked, gzip", 1, 400),
    (None, b"chunked;q=1", 1, 400),
    (None, b"xchunked", 1, 400),
    (None, b"identity", 1, 501),
    (None, b"gzip, deflate", 1, 501),
    (None, b"gzip;q=1", 1, 400),
    (b"5", b"chunked", 1, 400),
    (b"0", b"chunked", 1, 400),
    (b"5", b"gzip", 1, 400),
    (b"5", b"chunked", 0, 400),
    (b"x", b"chunked", 1, 400),
]


@pytest.mark.parametrize(("length", "coding", "minor", "expected"), REQUESTS)
def test_requests(length: bytes | None, coding: bytes | None, minor: int, expected: int):
    if expected in {400, 501}:
        with pytest.raises(Refused) as refused:
            request_length(length, coding, minor)
        assert refused.value.status == expected
    else:
        assert request_length(length, coding, minor) == expected


RESPONSES = [  # Content-Length, Transfer-Encoding, minor version, status, method, length or "refused"
    (None, None, 1, 200, b"GET", UNTIL_CLOSE),
    (None, None, 0, 200, b"GET", UNTIL_CLOSE),
    (b"5", None, 1, 200, b"GET", 5),
    (b"0", None, 1, 200, b"GET", 0),
    (b"5", None, 0, 200, b"GET", 5),
    (None, b"chunked", 1, 200, b"GET", CHUNKED),
    (None, b"Chunked", 1, 404, b"POST", CHUNKED),
    (b"5", None, 1, 200, b"HEAD", 0),
    (None, b"chunked", 1, 200, b"HEAD", 0),
    (None, None, 1, 200, b"HEAD", 0),
    (b"5", None, 1, 304, b"GET", 0),
    (None, b"chunked", 1, 304, b"GET", 0),
    (None, None, 1, 304, b"GET", 0),
    (None, None, 1, 204, b"GET", 0),
    (b"0", None, 1, 204, b"GET", 0),
    (None, None, 1, 100, b"GET", 0),
    (None, None, 1, 101, b"GET", 0),
    (b"0", None, 1, 103, b"GET", 0),
    (b"5", None, 1, 204, b"GET", "refused"),
    (b"5", None, 1, 204, b"HEAD", "refused"),
    (None, b"chunked", 1, 204, b"GET", "refused"),
    (b"5", None, 1, 100, b"GET", "refused"),
    (None, b"chunked", 1, 101, b"GET", "refused"),
    (b"5", b"chunked", 1, 200, b"GET", "refused"),
    (b"5", b"chunked", 1, 200, b"HEAD", "refused"),
    (b"5", b"chunked", 1, 304, b"GET", "refused"),
    (None, b"chunked", 0, 200, b"GET", "refused"),
    (None, b"gzip", 1, 200, b"GET", "refused"),
    (None, b"gzip, chunked", 1, 200, b"GET", "refused"),
    (None, b"", 1, 200, b"GET", "refused"),
    (b"+5", None, 1, 200, b"GET", "refused"),
    (b"5, 5", None, 1, 200, b"GET", "refused"),
    (b"", None, 1, 200, b"GET", "refused"),
    (b"x", None, 1, 200, b"HEAD", "refused"),
    (b"x", None, 1, 304, b"GET", "refused"),
]


@pytest.mark.parametrize(("length", "coding", "minor", "status", "method", "expected"), RESPONSES)
def test_responses(
    length: bytes | None, coding: bytes | None, minor: int, status: int, method: bytes, expected: int | str
):
    if expected == "refused":
        with pytest.raises(Refused):
            response_length(length, coding, minor, status, method)
    else:
        assert response_length(length, coding, minor, status, method) == expected
