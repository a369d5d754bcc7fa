"""Answers that the gateway gives itself, as bytes. The body is one line of text; no reason contains client bytes."""

from __future__ import annotations

from gatewayd.wire.phrases import PHRASES

STATUS_LINES = {status: b"HTTP/1.1 %d %b" % (status, phrase) for status, phrase in PHRASES.items()}

CLOSE = b"\r\nconnection: close"
KEEP_ALIVE = b"\r\nconnection: keep-alive"

_NO_CONTENT = frozenset({204, 304})


def text(status: int) -> bytes:
    """The body of an answer of our own: its status in words, b"" where none may follow."""
    return b"" if status in _NO_CONTENT else b"%d %b\n" % (status, PHRASES.get(status, b""))


def reply(status: int, date: bytes, block: bytes = b"", *, head_only: bool = False) -> bytes:
    """A whole response with a short text body; `block` holds further field lines, each led by CRLF."""
    line = STATUS_LINES.get(status) or b"HTTP/1.1 %d " % status
    if status in _NO_CONTENT:
        return b"%b\r\ndate: %b%b\r\n\r\n" % (line, date, block)
    body = text(status)
    return b"%b\r\ndate: %b\r\ncontent-type: text/plain\r\ncontent-length: %d%b\r\n\r\n%b" % (
        line,
        date,
        len(body),
        block,
        b"" if head_only else body,
    )
