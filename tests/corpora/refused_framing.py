"""Requests that two readers could cut differently: lengths, codings, chunks, trailers, and connection options."""

from __future__ import annotations

from tests.corpora.row import Refusal, chunked, request

_POST = "POST / HTTP/1.1"
_SMUGGLED = "0\r\n\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"


def _length(name: str, value: str, reason: str = "bad_content_length") -> Refusal:
    return Refusal(
        f"length: {name}",
        "RFC 9112 6.3",
        400,
        reason,
        request(f"Content-Length: {value}", line=_POST, body="hello"),
    )


def _coding(name: str, value: str, reason: str = "bad_coding", status: int = 400) -> Refusal:
    return Refusal(
        f"coding: {name}",
        "RFC 9112 6.1, TE.TE",
        status,
        reason,
        request(f"Transfer-Encoding: {value}", line=_POST, body=_SMUGGLED),
    )


def _both(name: str, *fields: str, reason: str = "length_and_coding", line: str = _POST) -> Refusal:
    return Refusal(f"both: {name}", "RFC 9112 6.3, 11.2", 400, reason, request(*fields, line=line, body=_SMUGGLED))


def _chunk(name: str, body: str, status: int = 400, reason: str = "bad_chunk") -> Refusal:
    return Refusal(f"chunk: {name}", "RFC 9112 7.1", status, reason, chunked(body))


def _trailer(name: str, lines: str, status: int = 400, reason: str = "bad_trailers") -> Refusal:
    return Refusal(f"trailer: {name}", "RFC 9112 7.1.2", status, reason, chunked("1\r\na\r\n0\r\n" + lines))


LENGTHS = (
    _length("plus", "+5"),
    _length("minus", "-5"),
    _length("minus zero", "-0"),
    _length("hexadecimal", "0x5"),
    _length("letters", "five"),
    _length("underscore", "0_5"),
    _length("exponent", "5e0"),
    _length("fraction", "5.0"),
    _length("list of equals", "5, 5"),
    _length("list without space", "5,5"),
    _length("list of others", "5, 6"),
    _length("trailing comma", "5,"),
    _length("two numbers", "5 5"),
    _length("inner tab", "5\t5"),
    _length("parameter", "5;x"),
    _length("quotes", '"5"'),
    _length("empty", ""),
    _length("white space", " \t "),
    _length("nineteen digits", "0000000000000000005"),
    _length("two to the 63rd", "9223372036854775808"),
    _length("two to the 64th", "18446744073709551616"),
    _length("two to the 64th and five", "18446744073709551621"),
    _length("hundreds of digits", "9" * 600),
    _length("Arabic digit", "\xd9\xa5"),
    _length("superscript", "\xb2"),
    _length("no-break space first", "\xa05"),
    _length("0x85 last", "5\x85"),
    _length("vertical tab first", "\x0b5", "bad_head"),
    _length("form feed last", "5\x0c", "bad_head"),
    _length("NUL last", "5\0", "bad_head"),
    _length("folded", "\r\n 5", "bad_field"),
    _length("twice the same", "5\r\nContent-Length: 5", "repeated_content_length"),
    _length("two of them", "5\r\nContent-Length: 6", "repeated_content_length"),
    _length("two in other letters", "5\r\nX: y\r\ncontent-length: 0", "repeated_content_length"),
    _length("one of them empty", "5\r\nContent-Length:", "repeated_content_length"),
)

CODINGS = (
    _coding("empty", ""),
    _coding("twice in a list", "chunked, chunked"),
    _coding("identity first", "identity, chunked"),
    _coding("identity last", "chunked, identity"),
    _coding("gzip first", "gzip, chunked"),
    _coding("gzip last", "chunked, gzip"),
    _coding("empty member first", ", chunked"),
    _coding("empty member last", "chunked,"),
    _coding("parameter", "chunked;q=1"),
    _coding("parameter after a space", "chunked ; a=b"),
    _coding("double quotes", '"chunked"'),
    _coding("single quotes", "'chunked'"),
    _coding("letters before", "xchunked"),
    _coding("letters after", "chunkedx"),
    _coding("inner space", "chun ked"),
    _coding("two words", "chunked foo"),
    _coding("no-break space first", "\xa0chunked"),
    _coding("no-break space last", "chunked\xa0"),
    _coding("0x85 last", "chunked\x85"),
    _coding("0x85 first", "\x85chunked"),
    _coding("Kelvin sign", "chun\xe2\x84\xaaed"),
    _coding("vertical tab first", "\x0bchunked", "bad_head"),
    _coding("vertical tab last", "chunked\x0b", "bad_head"),
    _coding("form feed first", "\x0cchunked", "bad_head"),
    _coding("NUL last", "chunked\0", "bad_head"),
    _coding("CR last", "chunked\r", "bad_head"),
    _coding("LF first", "\nchunked", "bad_head"),
    _coding("folded", "\r\n chunked", "bad_field"),
    _coding("folded in the middle", "chunked,\r\n identity", "bad_field"),
    _coding("identity", "identity", "unknown_coding", 501),
    _coding("gzip", "gzip", "unknown_coding", 501),
    _coding("unknown", "cow", "unknown_coding", 501),
    _coding("list of unknown", "gzip, deflate", "unknown_coding", 501),
    _coding("twice", "chunked\r\nTransfer-Encoding: chunked", "repeated_transfer_encoding"),
    _coding("twice, the second unknown", "chunked\r\nTransfer-Encoding: cow", "repeated_transfer_encoding"),
    _coding("twice, the first unknown", "cow\r\ntransfer-encoding: chunked", "repeated_transfer_encoding"),
    _coding("twice, one empty", "chunked\r\nTransfer-Encoding:", "repeated_transfer_encoding"),
    _both("space before the colon", "Transfer-Encoding : chunked", reason="bad_field"),
    _both("folded name", "Transfer-Encoding\r\n : chunked", reason="bad_field"),
    _both("behind a bare LF", "X: y\nTransfer-Encoding: chunked", reason="bad_head"),
    _both("behind a bare CR", "X: y\rTransfer-Encoding: chunked", reason="bad_head"),
    _both("CL.TE", "Content-Length: 6", "Transfer-Encoding: chunked"),
    _both("TE.CL", "Transfer-Encoding: chunked", "Content-Length: 4"),
    _both("with CL 0", "Content-Length: 0", "Transfer-Encoding: chunked"),
    _both("with an unknown coding", "Content-Length: 6", "Transfer-Encoding: cow"),
    _both("with an empty coding", "Content-Length: 6", "Transfer-Encoding:"),
    _both("with an empty length", "Content-Length:", "Transfer-Encoding: chunked"),
    _both("in capitals", "CONTENT-LENGTH: 6", "TRANSFER-ENCODING: CHUNKED"),
    _both("in HTTP/1.0", "Content-Length: 6", "Transfer-Encoding: chunked", line="POST / HTTP/1.0"),
    _both("TE in HTTP/1.0", "Transfer-Encoding: chunked", line="POST / HTTP/1.0", reason="coding_in_http10"),
    _both(
        "TE in HTTP/1.0, kept alive",
        "Transfer-Encoding: chunked",
        "Connection: keep-alive",
        line="POST / HTTP/1.0",
        reason="coding_in_http10",
    ),
)

CHUNKS = (
    _chunk("no size", "\r\n"),
    _chunk("hexadecimal prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
    _chunk("plus", "+5\r\nhello\r\n0\r\n\r\n"),
    _chunk("minus", "-5\r\nhello\r\n0\r\n\r\n"),
    _chunk("underscore", "0_5\r\nhello\r\n0\r\n\r\n"),
    _chunk("letter outside", "g\r\nhello\r\n0\r\n\r\n"),
    _chunk("comma", "5,5\r\nhello\r\n0\r\n\r\n"),
    _chunk("space first", " 5\r\nhello\r\n0\r\n\r\n"),
    _chunk("space last", "5 \r\nhello\r\n0\r\n\r\n"),
    _chunk("tab last", "5\t\r\nhello\r\n0\r\n\r\n"),
    _chunk("space before an extension", "5 ;a\r\nhello\r\n0\r\n\r\n"),
    _chunk("extension alone", ";a\r\nhello\r\n0\r\n\r\n"),
    _chunk("seventeen digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
    _chunk("two to the 64th", "10000000000000000\r\nhello"),
    _chunk("no-break space", "5\xa0\r\nhello\r\n0\r\n\r\n"),
    _chunk("superscript", "\xb2\r\nhi\r\n0\r\n\r\n"),
    _chunk("NUL", "5\0\r\nhello\r\n0\r\n\r\n"),
    _chunk("size ends in LF", "5\nhello\r\n0\r\n\r\n"),
    _chunk("size ends in CR", "5\rhello\r\n0\r\n\r\n"),
    _chunk("size ends in CR CR LF", "5\r\r\nhello\r\n0\r\n\r\n"),
    _chunk("LF in an extension (TERM.EXT)", "5;a\nhello\r\n0\r\n\r\n"),
    _chunk("CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    _chunk("NUL in an extension", "5;a\0\r\nhello\r\n0\r\n\r\n"),
    _chunk("byte above 127 in an extension", "5;\xe4\r\nhello\r\n0\r\n\r\n"),
    _chunk("nothing after the data", "5\r\nhello0\r\n\r\n"),
    _chunk("two wrong bytes after the data (SPILL)", "5\r\nhelloXX0\r\n\r\n"),
    _chunk("LF after the data", "5\r\nhello\n0\r\n\r\n"),
    _chunk("CR after the data", "5\r\nhello\r0\r\n\r\n"),
    _chunk("CR CR LF after the data", "5\r\nhello\r\r\n0\r\n\r\n"),
    _chunk("data too long", "5\r\nhello!\r\n0\r\n\r\n"),
    _chunk("data too short", "6\r\nhello\r\n0\r\n\r\n"),
    _chunk("an empty line between chunks", "5\r\nhello\r\n\r\n0\r\n\r\n"),
    _chunk("last size ends in LF", "0\n\r\n"),
    _chunk("extension of a line too long", f"5;{'a' * 253}\r\nhello", 413, "chunk_extension_too_long"),
    _chunk("extension without end", f"5;{'a' * 300}", 413, "chunk_extension_too_long"),
    _chunk("extension too long, wrong in the end", f"5;{'a' * 300}\0\r\n", 413, "chunk_extension_too_long"),
    _chunk("extension too long, but wrong before", f"5;\0{'a' * 300}\r\n"),
    _chunk("extensions too many", f"1;{'a' * 200}\r\nb\r\n" * 82, 413, "chunk_extension_too_long"),
)

TRAILERS = (
    _trailer("ends in LF", "\n"),
    _trailer("ends in CR and more", "\rGET"),
    _trailer("no colon", "Foo\r\n\r\n"),
    _trailer("no name", ": x\r\n\r\n"),
    _trailer("space before the colon", "Foo : x\r\n\r\n"),
    _trailer("folded", "Foo: x\r\n y\r\n\r\n"),
    _trailer("starts with a space", " Foo: x\r\n\r\n"),
    _trailer("LF in a value", "Foo: x\ny\r\n\r\n"),
    _trailer("CR in a value", "Foo: x\ry\r\n\r\n"),
    _trailer("NUL in a value", "Foo: \0\r\n\r\n"),
    _trailer("ends in LF LF", "Foo: x\n\n"),
    _trailer("a request where the end should be", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    _trailer("too large", f"Foo: {'x' * 8200}\r\n\r\n", 431, "trailers_too_large"),
    _trailer("too many", "Foo: x\r\n" * 1100 + "\r\n", 431, "trailers_too_large"),
    _trailer("without end", f"Foo: {'x' * 8200}", 431, "trailers_too_large"),
    _trailer("too large, but wrong before", f"Foo: \0{'x' * 8200}\r\n\r\n"),
    _trailer("wrong, and much behind it", f"Foo\r\n\r\n{'x' * 9000}"),
)


def _option(name: str, value: str, reason: str = "bad_connection_option") -> Refusal:
    return Refusal(f"option: {name}", "RFC 9110 7.6.1", 400, reason, request(f"Connection: {value}"))


OPTIONS = (
    _option("host", "host"),
    _option("content-length", "close, Content-Length"),
    _option("transfer-encoding", "Transfer-Encoding"),
    _option("commas alone", ", ,"),
    _option("two words", "close keep-alive"),
    _option("quotes", '"close"'),
    _option("parameter", "close;x=1"),
    _option("byte above 127", "close\xa0"),
    Refusal("option: expect something", "RFC 9110 10.1.1", 417, "bad_expect", request("Expect: 200-ok")),
    Refusal("option: expect and more", "RFC 9110 10.1.1", 417, "bad_expect", request("Expect: 100-continue, x")),
    Refusal(
        "option: expect twice",
        "one meaning",
        400,
        "repeated_expect",
        request("Expect: 100-continue", "Expect: 100-continue"),
    ),
    Refusal(
        "option: upgrade with a body",
        "upgrade smuggling",
        400,
        "upgrade_with_body",
        request("Connection: upgrade", "Upgrade: websocket", "Content-Length: 5", body="hello"),
    ),
    Refusal(
        "option: upgrade with chunks",
        "upgrade smuggling",
        400,
        "upgrade_with_body",
        request("Connection: upgrade", "Upgrade: websocket", "Transfer-Encoding: chunked", body=_SMUGGLED),
    ),
    Refusal(
        "option: upgrade twice",
        "one meaning",
        400,
        "repeated_upgrade",
        request("Connection: upgrade", "Upgrade: websocket", "Upgrade: h2c"),
    ),
)

REFUSED_FRAMING = (*LENGTHS, *CODINGS, *CHUNKS, *TRAILERS, *OPTIONS)
