"""Reason phrases of HTTP/1.1 (RFC 9110 section 15). HTTP/2 has none, and some clients take no response without one."""

from __future__ import annotations

from http import HTTPStatus

# RFC 9110 calls some otherwise than Python below 3.13 does.
PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    413: b"Content Too Large",
    414: b"URI Too Long",
    416: b"Range Not Satisfiable",
    422: b"Unprocessable Content",
}
