"""gRPC over HTTP/2: which requests are calls, how long they may take, and what the gateway itself answers to them
(gRPC protocol, "Requests" and "Responses": Trailers-Only).
"""

from __future__ import annotations

import re

from gatewayd.wire.fields import Fields

CONTENT_TYPE = b"application/grpc"

UNKNOWN = 2
DEADLINE_EXCEEDED = 4
UNIMPLEMENTED = 12
UNAVAILABLE = 14

# By the HTTP status that any other client would get. A miss is UNIMPLEMENTED, a backend that cannot be reached
# UNAVAILABLE (Gateway API, GRPCRoute); the rest as gRPC's own mapping for clients has it.
_STATUS = {
    400: 13, 401: 16, 403: 7, 404: UNIMPLEMENTED, 408: DEADLINE_EXCEEDED, 413: 8, 421: UNIMPLEMENTED, 429: UNAVAILABLE,
    431: 8, 500: UNAVAILABLE, 502: UNAVAILABLE, 503: UNAVAILABLE, 504: DEADLINE_EXCEEDED,
}  # fmt: skip


def is_grpc(content_type: bytes | None) -> bool:
    """Whether a request with this Content-Type is a gRPC call: application/grpc, +proto, +json ..., not grpc-web."""
    if content_type is None or not content_type.startswith(CONTENT_TYPE):
        return False
    return content_type[len(CONTENT_TYPE) :][:1] in (b"", b"+", b";")


_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}


def timeout(value: bytes | None) -> float | None:
    """Seconds of a grpc-timeout field (gRPC protocol, "Timeout"); None without one, or where it is malformed: the
    server is the one to refuse it.
    """
    found = None if value is None else _TIMEOUT.fullmatch(value)
    return None if found is None else int(found[1]) * _UNITS[found[2]]


def status_of(status: int) -> int:
    """The grpc-status of an answer that any other client would get with this HTTP status."""
    return _STATUS.get(status, UNKNOWN)


def trailers_only(status: int, reason: bytes) -> Fields:
    """The fields of a whole answer, from the HTTP status and the word for the access log."""
    return [
        (b":status", b"200"),
        (b"content-type", CONTENT_TYPE),
        (b"grpc-status", b"%d" % status_of(status)),
        (b"grpc-message", _words(reason)),
    ]


def trailers(status: int, reason: bytes) -> bytes:
    """The lines of trailers that end an answer which began already; as `trailers_only`."""
    return b"\r\ngrpc-status: %d\r\ngrpc-message: %b" % (status_of(status), _words(reason))


def refusal(status: int, reason: bytes, text: bytes) -> Fields:
    """As `trailers_only`, without :status, and with somebody's own text where a field can carry it."""
    fields = trailers_only(status, reason)[1:]
    message = _message(text)
    return [*fields[:-1], (b"grpc-message", message)] if message else fields


_LONGEST_MESSAGE = 1024  # bytes of text; many clients take 8 KiB of fields
_ENCODED = re.compile(rb"[^ -$&-~]")


def _message(text: bytes) -> bytes:
    """Text as a field says it (gRPC protocol, "Status-Message"); b"" where it is too long, or not UTF-8."""
    if len(text) > _LONGEST_MESSAGE:
        return b""
    try:
        text.decode()
    except UnicodeDecodeError:
        return b""
    return _ENCODED.sub(lambda found: b"%%%02X" % found.group()[0], text.strip())


def _words(reason: bytes) -> bytes:
    return b"gateway: " + reason.replace(b"_", b" ")


def frame(message: bytes) -> bytes:
    """A message as it stands in the body of a call (gRPC protocol, "Length-Prefixed-Message"), not compressed."""
    return b"\x00%b%b" % (len(message).to_bytes(4, "big"), message)


def only_message(body: bytes) -> bytes | None:
    """The message of a body that has exactly one, not compressed; None for any other body."""
    if len(body) < 5 or body[0] or int.from_bytes(body[1:5], "big") != len(body) - 5:
        return None
    return body[5:]
