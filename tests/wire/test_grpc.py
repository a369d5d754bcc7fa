"""gRPC over HTTP/2: the fields of calls and of the gateway's own answers."""

from __future__ import annotations

import pytest

from gatewayd.wire.grpc import is_grpc, status_of, timeout, trailers_only

TYPES = [
    (b"application/grpc", True),
    (b"application/grpc+proto", True),
    (b"application/grpc+json", True),
    (b"application/grpc;charset=utf-8", True),
    (b"application/grpc-web", False),
    (b"application/grpc-web+proto", False),
    (b"application/grpcx", False),
    (b"application/json", False),
    (b"", False),
    (None, False),
]


@pytest.mark.parametrize(("content_type", "expected"), TYPES)
def test_calls_are_known_by_their_type(content_type: bytes | None, expected: bool):
    assert is_grpc(content_type) is expected


TIMEOUTS = [  # gRPC protocol, "Timeout": at most eight digits and a unit
    (b"1H", 3600.0),
    (b"2M", 120.0),
    (b"3S", 3.0),
    (b"250m", 0.25),
    (b"50000u", 0.05),
    (b"1000000n", 0.001),
    (b"0S", 0.0),
    (b"99999999H", 359999996400.0),
    (b"100000000S", None),  # nine digits
    (b"1", None),
    (b"m", None),
    (b"1.5S", None),
    (b"-1S", None),
    (b"1s", None),
    (b"1 S", None),
    (b"1S\n", None),
    (b"", None),
    (None, None),
]


@pytest.mark.parametrize(("value", "expected"), TIMEOUTS)
def test_timeout(value: bytes | None, expected: float | None):
    assert timeout(value) == (None if expected is None else pytest.approx(expected))


STATUSES = [  # Gateway API, GRPCRoute: a miss is UNIMPLEMENTED, no backend UNAVAILABLE; a deadline DEADLINE_EXCEEDED
    (404, 12),
    (421, 12),
    (500, 14),
    (502, 14),
    (503, 14),
    (504, 4),
    (408, 4),
    (431, 8),
    (418, 2),
]


@pytest.mark.parametrize(("status", "expected"), STATUSES)
def test_an_answer_of_the_gateways_own(status: int, expected: int):
    assert status_of(status) == expected
    assert trailers_only(status, b"no_route") == [
        (b":status", b"200"),
        (b"content-type", b"application/grpc"),
        (b"grpc-status", b"%d" % expected),
        (b"grpc-message", b"gateway: no route"),
    ]
