"""Requests that must pass, with what they mean: the grammar's edges that clients really use."""

from __future__ import annotations

from tests.corpora.row import Request, chunked, request, text

_POST = "POST / HTTP/1.1"
_NEXT = b"GET /next HTTP/1.1\r\nHost: b\r\n\r\n"


def _path(name: str, sent: str, path: str, query: str = "") -> Request:
    data = request(line=f"GET {sent} HTTP/1.1")
    return Request(f"path: {name}", "RFC 3986 6.2.2", data, path=path.encode(), query=query.encode())


def _host(name: str, value: str, host: str) -> Request:
    return Request(f"host: {name}", "RFC 9110 7.2", request(host=f"Host: {value}"), host=host.encode())


def _dropped(name: str, *fields: str) -> Request:
    data = request("A: b", *fields, "C: d")
    return Request(f"dropped: {name}", "never forwarded", data, fields=((b"a", b"b"), (b"c", b"d")))


def _chunks(name: str, wire: str, body: bytes = b"hello", **rest: object) -> Request:
    return Request(f"chunks: {name}", "RFC 9112 7.1", chunked(wire), b"POST", body=body, **rest)  # type: ignore[arg-type]


LINES = (
    Request("line: plain", "RFC 9112 3", request()),
    Request("line: lower-case method", "RFC 9110 9.1", request(line="get / HTTP/1.1"), b"get"),
    Request("line: any token", "RFC 9110 9.1", request(line="!#$%&'*+-.^_`|~9 / HTTP/1.1"), b"!#$%&'*+-.^_`|~9"),
    Request("line: HTTP/1.0", "RFC 9112 C.2", request(line="GET / HTTP/1.0"), keep_alive=False),
    Request(
        "line: HTTP/1.0 kept alive",
        "RFC 9112 C.2.2",
        request("Connection: Keep-Alive", line="GET / HTTP/1.0"),
    ),
    Request("line: an empty one first", "RFC 9112 2.2", b"\r\n" + request()),
    Request("line: absolute-form after an empty one", "RFC 9112 2.2", b"\r\n" + request(line="GET http://a/ HTTP/1.1")),
    Request("line: an empty one first, a body", "RFC 9112 2.2", b"\r\n" + chunked("0\r\n\r\nx"), b"POST", rest=b"x"),
    Request("line: HTTP/1.0 without host", "RFC 9112 3.2", text("GET / HTTP/1.0"), host=b"", keep_alive=False),
    Request("line: HTTP/1.0 in absolute-form", "RFC 9112 3.2.2", text("GET http://a/ HTTP/1.0"), keep_alive=False),
    Request("line: asterisk", "RFC 9112 3.2.4", request(line="OPTIONS * HTTP/1.1"), b"OPTIONS", b"*"),
    Request(
        "line: as long as can be", "limits", request(line=f"GET /{'a' * 16369} HTTP/1.1"), path=b"/" + b"a" * 16369
    ),
    Request(
        "line: absolute-form wins",
        "RFC 9112 3.2.2",
        request(line="GET http://b/c?d HTTP/1.1"),
        b"GET",
        b"/c",
        b"?d",
        b"b",
    ),
    Request("line: absolute-form without path", "RFC 9112 3.2.2", request(line="GET http://b HTTP/1.1"), host=b"b"),
    Request(
        "line: absolute-form with query",
        "RFC 9112 3.2.2",
        request(line="GET http://b?c HTTP/1.1"),
        query=b"?c",
        host=b"b",
    ),
    Request("line: absolute-form in capitals", "RFC 3986 3.1", request(line="GET HTTPS://B:443/ HTTP/1.1"), host=b"b"),
    Request(
        "line: absolute-form with IPv6", "RFC 3986 3.2.2", request(line="GET http://[::1]:80/ HTTP/1.1"), host=b"[::1]"
    ),
    Request(
        "line: a query of anything",
        "passes byte for byte",
        request(line='GET /?a=%00&<"\\%?/../ HTTP/1.1'),
        query=b'?a=%00&<"\\%?/../',
    ),
    Request("line: another follows", "pipelining", request() + _NEXT, rest=_NEXT),
)

PATHS = (
    _path("dots removed", "/a/./b/../c", "/a/c"),
    _path("dots at the end", "/a/b/..", "/a/"),
    _path("dot at the end", "/a/.", "/a/"),
    _path("dots above the root", "/../../a", "/a"),
    _path("dots alone", "/..", "/"),
    _path("encoded dots removed", "/a/%2e%2E/b", "/b"),
    _path("one encoded dot of two", "/a/.%2e/b", "/b"),
    _path("unreserved decoded", "/%41%7e%2D", "/A~-"),
    _path("escapes in capitals", "/%c3%a4", "/%C3%A4"),
    _path("encoded slash kept", "/a%2Fb", "/a%2Fb"),
    _path("encoded percent kept", "/a%2541", "/a%2541"),
    _path("twice encoded dots stay", "/%252e%252e/a", "/%252e%252e/a"),
    _path("empty segments kept", "//a//b", "//a//b"),
    _path("empty segment before dots", "/a//../b", "/a/b"),
    _path("three dots are a name", "/.../a", "/.../a"),
    _path("a name with a dot after an encoded slash", "/a%2F.gitignore", "/a%2F.gitignore"),
    _path("parameters", "/a;x=1/b", "/a;x=1/b"),
    _path("sub-delimiters", "/!$&'()*+,;=:@", "/!$&'()*+,;=:@"),
    _path("brackets, as browsers send them", "/[a]{b}|^`", "/[a]{b}|^`"),
    _path("encoded line end stays encoded", "/%0d%0aX", "/%0D%0AX"),
    _path("query with a question mark", "/a?b?c", "/a", "?b?c"),
    _path("empty query", "/a?", "/a", "?"),
    _path("escapes of a query stay", "/?%7e%2e", "/", "?%7e%2e"),
)

HOSTS = (
    _host("port", "a:8080", "a"),
    _host("empty port", "a:", "a"),
    _host("port zero", "a:0", "a"),
    _host("highest port", "a:65535", "a"),
    _host("capitals", "A.Example", "a.example"),
    _host("trailing dot", "a.example.", "a.example"),
    _host("trailing dot and port", "a.example.:80", "a.example"),
    _host("IPv4", "127.0.0.1:80", "127.0.0.1"),
    _host("IPv6", "[2001:DB8::1]:80", "[2001:db8::1]"),
    _host("underscore", "a_b.example", "a_b.example"),
    _host("white space around", " \ta \t", "a"),
    _host("as long as can be", "a" * 255, "a" * 255),
    Request("host: no space after the colon", "RFC 9112 5.1", request(host="host:a")),
    Request("host: not first", "RFC 9110 5.3", request("Host: b", host="A: b"), host=b"b", fields=((b"a", b"b"),)),
)

FIELDS = (
    Request("field: empty value", "RFC 9110 5.5", request("A:"), fields=((b"a", b""),)),
    Request("field: white space only", "RFC 9110 5.5", request("A: \t "), fields=((b"a", b""),)),
    Request("field: white space around", "RFC 9110 5.5", request("A: \t b c\t "), fields=((b"a", b"b c"),)),
    Request("field: obs-text", "RFC 9110 5.5", request("A: \x80\xff\xa0"), fields=((b"a", b"\x80\xff\xa0"),)),
    Request("field: colons in the value", "RFC 9112 5", request("A: b: c"), fields=((b"a", b"b: c"),)),
    Request("field: any token", "RFC 9110 5.1", request("!#$%&'*+-.^_`|~9: b"), fields=((b"!#$%&'*+-.^_`|~9", b"b"),)),
    Request("field: repeated", "RFC 9110 5.3", request("A: b", "a: c"), fields=((b"a", b"b"), (b"a", b"c"))),
    Request("field: as many as can be", "limits", request(*["A: b"] * 99), fields=((b"a", b"b"),) * 99),
    _dropped("hop by hop", "Keep-Alive: x", "Proxy-Connection: x", "TE: gzip", "Trailer: x"),
    _dropped("h2c upgrade", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x"),
    _dropped("look-alikes", "Content_Length: 5", "Transfer_Encoding: chunked", "X_Forwarded-For: x", "X-Request_Id: x"),
    _dropped(
        "what a client says of itself", "X-Forwarded-For: x", "X-Real-IP: x", "Forwarded: x", "X-Forwarded-Host: x"
    ),
    _dropped("credentials of the hop", "Proxy-Authorization: x"),
    _dropped("what Connection names", "Connection: x-foo, X-BAR", "X-Foo: 1", "x-bar: 2"),
    Request(
        "option: end-to-end fields stay",
        "RFC 9110 7.6.1",
        request("Connection: authorization, cookie, cache-control", "Authorization: x", "Cookie: y"),
        fields=((b"authorization", b"x"), (b"cookie", b"y")),
    ),
    Request("option: close", "RFC 9112 9.6", request("Connection: close"), keep_alive=False),
    Request("option: close in a list", "RFC 9112 9.6", request("Connection: foo ,, CLOSE ,"), keep_alive=False),
    Request(
        "option: close in a second line",
        "RFC 9110 5.3",
        request("Connection: foo", "Connection: close"),
        keep_alive=False,
    ),
    Request("option: close wins", "RFC 9112 9.3", request("Connection: keep-alive, close"), keep_alive=False),
    Request("option: empty", "RFC 9110 7.6.1", request("Connection:")),
)

BODIES = (
    Request("length: zero", "RFC 9112 6.2", request("Content-Length: 0", line=_POST, body="x"), b"POST", rest=b"x"),
    Request(
        "length: five", "RFC 9112 6.2", request("Content-Length: 5", line=_POST, body="hello"), b"POST", body=b"hello"
    ),
    Request(
        "length: zeros first",
        "RFC 9112 6.2",
        request("Content-Length: 005", line=_POST, body="hello"),
        b"POST",
        body=b"hello",
    ),
    Request(
        "length: white space around",
        "RFC 9110 5.5",
        request("Content-Length: \t5 ", line=_POST, body="hello"),
        b"POST",
        body=b"hello",
    ),
    Request(
        "length: another follows",
        "pipelining",
        request("Content-Length: 5", line=_POST, body="hello") + _NEXT,
        b"POST",
        body=b"hello",
        rest=_NEXT,
    ),
    Request("length: a GET has one", "RFC 9110 9.3.1", request("Content-Length: 2", body="hi"), body=b"hi"),
    Request(
        "length: HTTP/1.0",
        "RFC 9112 6.2",
        request("Content-Length: 2", line="POST / HTTP/1.0", body="hi"),
        b"POST",
        body=b"hi",
        keep_alive=False,
    ),
    _chunks("one", "5\r\nhello\r\n0\r\n\r\n"),
    _chunks("two", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
    _chunks("none", "0\r\n\r\n", b""),
    _chunks("zeros first", "0000000000000005\r\nhello\r\n000\r\n\r\n"),
    _chunks("capital digits", "A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    _chunks("small digits", "a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    _chunks("extensions", '5;a=b;c="d\t"\r\nhello\r\n0;x\r\n\r\n'),
    _chunks("the longest extension", f"5;{'a' * 252}\r\nhello\r\n0\r\n\r\n"),
    _chunks("line ends inside", "6\r\n\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n\r\n"),
    _chunks("trailers", "5\r\nhello\r\n0\r\nFoo: x\r\nBar:y \r\n\r\n", trailers=((b"foo", b"x"), (b"bar", b"y"))),
    _chunks("another follows", "5\r\nhello\r\n0\r\n\r\n" + _NEXT.decode(), rest=_NEXT),
    _chunks(
        "another follows trailers",
        "5\r\nhello\r\n0\r\nA: b\r\n\r\n" + _NEXT.decode(),
        trailers=((b"a", b"b"),),
        rest=_NEXT,
    ),
    Request(
        "chunks: coding in capitals",
        "RFC 9112 7",
        request("TRANSFER-ENCODING: \tCHUNKED ", line=_POST, body="1\r\na\r\n0\r\n\r\n"),
        b"POST",
        body=b"a",
    ),
)

ACCEPTED_REQUESTS = (*LINES, *PATHS, *HOSTS, *FIELDS, *BODIES)
