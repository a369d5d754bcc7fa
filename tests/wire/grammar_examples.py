"""Heads near the grammar: most are valid, and most of the rest are wrong in one place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

METHODS = st.sampled_from(
    [b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"get", b"M-SEARCH", b"CONNECT", b"!"]
)
_PATH_PARTS = st.sampled_from(
    [
        b"a",
        b"b",
        b"/",
        b"//",
        b".",
        b"..",
        b"/../",
        b"/./",
        b"%41",
        b"%2e",
        b"%2E",
        b"%2f",
        b"%2F",
        b"%25",
        b"%c3",
        b"%C3",
        b";",
        b"..;",
        b"~",
        b"-",
        b":",
        b"@",
        b"%00",
        b"%5c",
        b"\\",
        b"%",
        b"%g1",
        b"%7e",
        b"'",
        b"[",
        b"{",
        b"^",
    ]
)
PATHS = st.lists(_PATH_PARTS, max_size=8).map(lambda parts: b"/" + b"".join(parts))
QUERIES = st.sampled_from([b"", b"", b"?", b"?a=b", b"?a=%zz&b", b"?/../", b'?"<>\\`'])
HOSTS = st.sampled_from(
    [
        b"a",
        b"a.example",
        b"A.Example:80",
        b"a.",
        b"[::1]:8080",
        b"127.0.0.1",
        b"a:",
        b"a_b",
        b"a b",
        b"a@b",
        b"a,b",
        b"a:x",
        b"",
    ]
)
TARGETS = st.one_of(
    st.tuples(PATHS, QUERIES).map(b"".join),
    st.tuples(PATHS, QUERIES).map(b"".join),
    st.tuples(st.sampled_from([b"http://", b"HTTPS://", b"ftp://", b"http:/"]), HOSTS, PATHS, QUERIES).map(b"".join),
    st.sampled_from([b"*", b"a:443", b"/a#b", b"http://a?b", b"http://a"]),
)
VERSIONS = st.sampled_from([b"HTTP/1.1"] * 9 + [b"HTTP/1.0"] * 3 + [b"HTTP/2.0", b"HTTP/1.2", b"http/1.1"])
_BEFORE = st.sampled_from([b""] * 12 + [b"\r\n"] * 2 + [b"\r\n\r\n"])
_NAMES = st.one_of(
    st.sampled_from(
        [
            b"Accept",
            b"Cookie",
            b"X-A",
            b"x-forwarded-for",
            b"X_Forwarded_For",
            b"Content_Length",
            b"Keep-Alive",
            b"Trailer",
        ]
    ),
    st.text("abcXYZ09-_!~", min_size=1, max_size=12).map(str.encode),
)
_VALUES = st.one_of(
    st.sampled_from([b"", b"x", b"a, b", b"a:b", b"\xe4\xff", b"a\tb  c"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.encode),
)
_SPACE = st.sampled_from([b" ", b"", b"\t ", b"  "])
_FRAMING = st.sampled_from(
    [
        b"Content-Length: 5",
        b"Content-Length:0",
        b"content-length: 05",
        b"Content-Length: +5",
        b"Content-Length: 5, 5",
        b"Transfer-Encoding: chunked",
        b"transfer-encoding:\tCHUNKED ",
        b"Transfer-Encoding: gzip",
        b"Transfer-Encoding: gzip, chunked",
        b"Connection: close",
        b"Connection: keep-alive",
        b"Connection: x-a, cookie",
        b"Connection: host",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Expect: 100-continue",
        b"Expect: x",
        b"TE: trailers",
    ]
)
_PLAIN = st.tuples(_NAMES, st.just(b":"), _SPACE, _VALUES, _SPACE).map(b"".join)
_HOST_LINES = HOSTS.map(lambda host: b"Host: " + host)
_ODD = st.sampled_from(
    [b"Foo : x", b" folded", b"\tfolded", b"Foo", b": x", b"F\x00: x", b"Foo: a\rb", b"Foo: a\nb", b"Foo: \x0b"]
)
_LINES = st.one_of(_PLAIN, _PLAIN, _PLAIN, _FRAMING, _FRAMING, _HOST_LINES, _ODD)
_HOST_FIRST: st.SearchStrategy[list[bytes]] = st.one_of(
    _HOST_LINES.map(lambda line: [line]), st.just([b"Host: a"]), st.just([b"Host: a"]), st.just([])
)


@st.composite
def request_heads(draw: st.DrawFn) -> bytes:
    """A request head, seldom wrong."""
    line = draw(_BEFORE) + b" ".join([draw(METHODS), draw(TARGETS), draw(VERSIONS)])
    fields = draw(_HOST_FIRST) + draw(
        st.lists(_LINES if draw(st.booleans()) else st.one_of(_PLAIN, _FRAMING), max_size=5)
    )
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n"


@st.composite
def response_heads(draw: st.DrawFn) -> bytes:
    """A response head, seldom wrong."""
    line = draw(st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.2 ", b"HTTP/1.1  "]))
    line += draw(
        st.sampled_from(
            [b"200 OK", b"200 ", b"200", b"204 X", b"304 Not Modified", b"100 Continue", b"599 \xe4", b"20 x"]
        )
    )
    fields = draw(
        st.lists(st.one_of(_PLAIN, _FRAMING, _ODD) if draw(st.booleans()) else st.one_of(_PLAIN, _FRAMING), max_size=5)
    )
    return b"\r\n".join([line, *fields]) + b"\r\n\r\n"


_BYTES = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b" ", b"\t", b"\x00", b":", b"\x0b", b"\x85", b"\xa0", b"%", b"/", b".", b"5", b""]
)


@st.composite
def mutated(draw: st.DrawFn, messages: st.SearchStrategy[bytes]) -> bytes:
    """A message in which up to two bytes were replaced, dropped or preceded by another."""
    data = draw(messages)
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(data)))
        data = data[:place] + draw(_BYTES) + data[place + draw(st.integers(0, 1)) :]
    return data


_CHUNK_PARTS = st.sampled_from(
    [
        b"5\r\nhello\r\n",
        b"1\r\na\r\n",
        b"A\r\n0123456789\r\n",
        b"2;a=b\r\n\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\n\r\n",
        b"0;x\r\nA: b\r\n\r\n",
        b"0\r\nA:b\r\nC: d\r\n\r\n",
        b"000\r\n\r\n",
        b"00000003\r\nabc\r\n",
    ]
)


def chunked_bodies() -> st.SearchStrategy[bytes]:
    """Chunks, an end, and often something behind it."""
    return st.lists(_CHUNK_PARTS, max_size=6).map(b"".join)


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """`data` in parts, none of them empty."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=6)))
    ends = [0, *[place for place in places if place < len(data)], len(data)]
    return [data[start:end] for start, end in pairwise(ends) if end > start]
