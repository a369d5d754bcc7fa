"""How long a message is: RFC 9112 section 6, judged in one function for each direction. Smuggling lives here.

Where the RFC lets a recipient repair (equal repeated lengths, Transfer-Encoding beside Content-Length), we refuse: a
message that two readers can understand differently is not forwarded.
"""

from __future__ import annotations

from gatewayd.wire.grammar import OPTION_LIST
from gatewayd.wire.refused import Refused

CHUNKED = -1
UNTIL_CLOSE = -2
UNTIL_END = -3  # HTTP/2 without a Content-Length: until END_STREAM


def request_length(length: bytes | None, coding: bytes | None, minor: int) -> int:
    """Length of a request's body: 0 or more bytes, or CHUNKED. Takes the values of Content-Length and
    Transfer-Encoding (None when absent), and the minor version. Refused: 400, or 501 for a coding that we do not know.
    """
    if coding is None:
        return 0 if length is None else _number(length)
    if length is not None:
        raise Refused(400, "length_and_coding")
    if minor == 0:
        raise Refused(400, "coding_in_http10")
    if coding.lower() == b"chunked":
        return CHUNKED
    if OPTION_LIST.fullmatch(coding) and b"chunked" not in coding.lower():
        raise Refused(501, "unknown_coding")
    raise Refused(400, "bad_coding")


def response_length(length: bytes | None, coding: bytes | None, minor: int, status: int, method: bytes) -> int:
    """Length of a response's body as it follows on the wire: 0 or more bytes, CHUNKED or UNTIL_CLOSE."""
    if coding is not None:
        if length is not None:
            raise Refused(502, "length_and_coding")
        if minor == 0 or coding.lower() != b"chunked":
            raise Refused(502, "bad_coding")
    declared = _number(length) if length is not None else (CHUNKED if coding is not None else UNTIL_CLOSE)
    if status < 200 or status == 204:
        if declared not in (UNTIL_CLOSE, 0) or (coding is not None):
            raise Refused(502, "body_not_allowed")
        return 0
    if method == b"HEAD" or status == 304:
        return 0
    return declared


def _number(text: bytes) -> int:
    # bytes.isdigit knows the ten ASCII digits only; str.isdigit and int() would take much more.
    if not text.isdigit() or len(text) > 18:
        raise Refused(400, "bad_content_length")
    return int(text)
