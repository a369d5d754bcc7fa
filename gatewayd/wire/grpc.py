"""gRPC over HTTP/2: what the gateway itself answers to a gRPC client (gRPC protocol, "Responses": Trailers-Only)."""

from __future__ import annotations

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


def trailers_only(status: int, reason: bytes) -> Fields:
    """The fields of a whole answer, from the HTTP status and the word for the access log."""
    return [
        (b":status", b"200"),
        (b"content-type", CONTENT_TYPE),
        (b"grpc-status", b"%d" % _STATUS.get(status, UNKNOWN)),
        (b"grpc-message", b"gateway: " + reason.replace(b"_", b" ")),
    ]
