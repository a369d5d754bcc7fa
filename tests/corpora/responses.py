"""Responses of backends: those that pass, and those that become a 502 because they could be read in two ways."""

from __future__ import annotations

from gatewayd.wire.framing import CHUNKED, UNTIL_CLOSE
from tests.corpora.row import Refusal, Response, text


def response(*fields: str, line: str = "HTTP/1.1 200 OK") -> bytes:
    """A response head."""
    return text(line, *fields)


def _bad(name: str, *fields: str, line: str = "HTTP/1.1 200 OK", reason: str = "head", status: int = 502) -> Refusal:
    return Refusal(name, "RFC 9112", status, reason, response(*fields, line=line))


REFUSED_RESPONSES = (
    _bad("line: lower-case version", line="http/1.1 200 OK"),
    _bad("line: HTTP/2", line="HTTP/2 200"),
    _bad("line: HTTP/1.2", line="HTTP/1.2 200 OK"),
    _bad("line: two digits", line="HTTP/1.1 20 OK"),
    _bad("line: four digits", line="HTTP/1.1 2000 OK"),
    _bad("line: status below 100", line="HTTP/1.1 099 OK"),
    _bad("line: letters", line="HTTP/1.1 abc OK"),
    _bad("line: two spaces", line="HTTP/1.1  200 OK"),
    _bad("line: tab", line="HTTP/1.1\t200 OK"),
    _bad("line: reason at once", line="HTTP/1.1 200OK"),
    _bad("line: NUL in the reason", line="HTTP/1.1 200 O\0K"),
    _bad("line: CR in the reason", line="HTTP/1.1 200 O\rK"),
    _bad("line: LF in the reason", line="HTTP/1.1 200 O\nK"),
    Refusal("line: empty line first", "RFC 9112 4", 502, "head", b"\r\n" + response()),
    Refusal("line: HTTP/0.9", "RFC 9112 4", 502, "head", b"<html>\r\n</html>\r\n\r\n"),
    Refusal("line: another protocol", "RFC 9112 4", 502, "head", b"SSH-2.0-OpenSSH_9.2\r\n"),
    Refusal("line: HTTP/2 settings", "RFC 9113 3.4", 502, "head", b"\x00\x00\x12\x04\x00\x00\x00\x00\x00"),
    Refusal("line: TLS alert", "RFC 8446 6", 502, "head", b"\x15\x03\x01\x00\x02\x02\x46"),
    Refusal("line: LF only", "RFC 9112 2.2", 502, "head", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
    _bad("field: space before the colon", "Content-Length : 5"),
    _bad("field: folded", "A: b\r\n c"),
    _bad("field: no colon", "A"),
    _bad("field: no name", ": a"),
    _bad("field: NUL", "A: \0"),
    _bad("field: bare CR", "A: b\rC: d"),
    _bad("field: bare LF", "A: b\nC: d"),
    _bad("field: too many", *["A: b"] * 101, reason="head_too_large"),
    _bad("field: too large", *[f"A: {'b' * 1000}"] * 70, reason="head_too_large"),
    Refusal("field: without end", "limits", 502, "head_too_large", response(f"A: {'b' * 70000}")[:66000]),
    Refusal(
        "field: too large, but wrong before", "order of bytes", 502, "head", response("A: \0", f"B: {'b' * 70000}")
    ),
    _bad("length: twice the same", "Content-Length: 5", "Content-Length: 5", reason="repeated_content_length"),
    _bad("length: two of them", "Content-Length: 5", "Content-Length: 6", reason="repeated_content_length"),
    _bad("length: list", "Content-Length: 5, 5", reason="bad_content_length", status=400),
    _bad("length: plus", "Content-Length: +5", reason="bad_content_length", status=400),
    _bad("length: empty", "Content-Length:", reason="bad_content_length", status=400),
    _bad("length: too large", f"Content-Length: {2**64}", reason="bad_content_length", status=400),
    _bad("both: CL.TE", "Content-Length: 5", "Transfer-Encoding: chunked", reason="length_and_coding"),
    _bad("both: TE.CL", "Transfer-Encoding: chunked", "Content-Length: 5", reason="length_and_coding"),
    _bad(
        "coding: twice", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", reason="repeated_transfer_encoding"
    ),
    _bad("coding: list", "Transfer-Encoding: gzip, chunked", reason="bad_coding"),
    _bad("coding: unknown", "Transfer-Encoding: cow", reason="bad_coding"),
    _bad("coding: vertical tab", "Transfer-Encoding: \x0bchunked"),
    _bad("coding: no-break space", "Transfer-Encoding: chunked\xa0", reason="bad_coding"),
    _bad("coding: HTTP/1.0", "Transfer-Encoding: chunked", line="HTTP/1.0 200 OK", reason="bad_coding"),
    _bad("no body: 204 with a length", "Content-Length: 5", line="HTTP/1.1 204 No Content", reason="body_not_allowed"),
    _bad(
        "no body: 204 with chunks",
        "Transfer-Encoding: chunked",
        line="HTTP/1.1 204 No Content",
        reason="body_not_allowed",
    ),
    _bad("no body: 100 with a length", "Content-Length: 5", line="HTTP/1.1 100 Continue", reason="body_not_allowed"),
    _bad("no body: 101 with chunks", "Transfer-Encoding: chunked", line="HTTP/1.1 101 X", reason="body_not_allowed"),
    _bad("option: not a list", "Connection: a b", reason="bad_connection_option", status=400),
)

ACCEPTED_RESPONSES = (
    Response("line: no reason", "RFC 9112 4", response("Content-Length: 0", line="HTTP/1.1 200 ")),
    Response("line: no space for a reason", "many servers", response("Content-Length: 0", line="HTTP/1.1 200")),
    Response("line: reason of anything", "RFC 9112 4", response("Content-Length: 0", line="HTTP/1.1 200 \xe4\t!")),
    Response("line: unknown status", "RFC 9110 15", response("Content-Length: 0", line="HTTP/1.1 999 X"), status=999),
    Response(
        "line: HTTP/1.0",
        "RFC 9112 C",
        response("Content-Length: 3", line="HTTP/1.0 200 OK"),
        length=3,
        keep_alive=False,
    ),
    Response(
        "line: HTTP/1.0 kept alive",
        "RFC 9112 C.2.2",
        response("Content-Length: 3", "Connection: keep-alive", line="HTTP/1.0 200 OK"),
        length=3,
    ),
    Response("length: five", "RFC 9112 6.3", response("Content-Length: 5"), length=5),
    Response("length: none", "RFC 9112 6.3", response(), length=UNTIL_CLOSE),
    Response("length: chunks", "RFC 9112 6.3", response("Transfer-Encoding: Chunked"), length=CHUNKED),
    Response("length: HEAD", "RFC 9112 6.3", response("Content-Length: 5"), b"HEAD"),
    Response("length: HEAD with chunks", "RFC 9112 6.3", response("Transfer-Encoding: chunked"), b"HEAD"),
    Response("length: 304", "RFC 9112 6.3", response("Content-Length: 5", line="HTTP/1.1 304 X"), status=304),
    Response("length: 204", "RFC 9112 6.3", response(line="HTTP/1.1 204 X"), status=204),
    Response("length: 204 with zero", "tolerated", response("Content-Length: 0", line="HTTP/1.1 204 X"), status=204),
    Response("length: 100", "RFC 9112 6.3", response(line="HTTP/1.1 100 Continue"), status=100),
    Response(
        "length: 103", "RFC 8297", response("Link: x", line="HTTP/1.1 103 X"), status=103, fields=((b"link", b"x"),)
    ),
    Response("option: close", "RFC 9112 9.6", response("Content-Length: 0", "Connection: close"), keep_alive=False),
    Response(
        "option: close in a list",
        "RFC 9112 9.6",
        response("Content-Length: 0", "Connection: a, Close"),
        keep_alive=False,
    ),
    Response(
        "fields: as they came",
        "RFC 9110 5.3",
        response("Set-Cookie: a", "Content-Length: 0", "set-cookie:b", "Server:\tx "),
        fields=((b"set-cookie", b"a"), (b"set-cookie", b"b"), (b"server", b"x")),
    ),
    Response(
        "fields: hop by hop",
        "RFC 9110 7.6.1",
        response("Keep-Alive: x", "A: b", "Connection: x-hop", "X-Hop: y", "Content-Length: 0", "Content_Length: 9"),
        fields=((b"a", b"b"),),
    ),
)
