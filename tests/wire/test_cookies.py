"""One cookie among all that a client sends: what counts as it, and what it costs to look (RFC 6265)."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire.cookies import MOST, Cookie

SID = Cookie(b"sid", rb"[a-z0-9]{4}")

# (Cookie lines, the values found). Sections are of RFC 6265.
READ = [
    (["sid=ab12"], ["ab12"]),
    (["a=b; sid=ab12; c=d"], ["ab12"]),  # 4.2.1
    (["a=b;sid=ab12;c=d"], ["ab12"]),  # no client must write so, but some do
    (["a=b;\t sid=ab12 \t; c=d"], ["ab12"]),
    (['sid="ab12"'], ["ab12"]),  # 4.1.1: a value may stand in quotes
    (["sid=aaaa; sid=bbbb"], ["aaaa", "bbbb"]),  # 4.2.2: of more than one path; the order says nothing
    (["sid=aaaa", "sid=bbbb"], ["aaaa", "bbbb"]),  # several lines, as HTTP/2 makes them (RFC 9113 section 8.2.3)
    (["a=b", "c=d"], []),
    (["SID=ab12"], []),  # 5.3: names are compared as they are
    (["xsid=ab12"], []),
    (["x-sid=ab12"], []),
    (["sid2=ab12; a=sid=ab12"], []),
    (["a=b sid=ab12"], []),  # a part of the value of a
    (["sid =ab12; sid= ab12"], []),
    (["sid=ab12x", "sid=ab1", "sid=", "sid", 'sid="ab12', 'sid=ab12"', "sid=AB12"], []),
    (["sid=ab12,"], []),
    (["sid=no; sid=ab12"], ["ab12"]),
    (["; ;;sid=ab12;;"], ["ab12"]),
    ([""], []),
    ([], []),
]


@pytest.mark.parametrize(("lines", "values"), READ)
@pytest.mark.parametrize("name", ["Cookie", "cookie", "COOKIE"])
def test_reading(lines: list[str], values: list[str], name: str) -> None:
    block = "\r\nsid: zzzz" + "".join(f"\r\n{name}: {line}" for line in lines) + "\r\nx-cookie: sid=zzzz"
    assert [value.decode() for value in SID.values(block.encode())] == values


def test_a_name_is_no_expression() -> None:
    found = list(Cookie(b"a.b+c|d", rb"[0-9]").values(b"\r\ncookie: axb+c|d=1; a.b+c|d=2"))
    assert found == [b"2"]


@pytest.mark.parametrize("name", [b"", b"a b", b"a=b", b"a;b", b"a\r\nb"])
def test_what_can_be_no_name(name: bytes) -> None:
    with pytest.raises(ValueError, match="not a name of a cookie"):
        Cookie(name, rb"[0-9]")


def test_only_so_many_of_one_name_are_looked_at() -> None:
    block = b"\r\ncookie: " + b"; ".join([b"sid=aaaa"] * (MOST + 5))
    assert len(list(SID.values(block))) == MOST
    assert len(list(SID.values(block * 100))) == MOST
    assert len(list(SID.values(b"\r\ncookie: sid=aaaa" * 100))) == MOST


HOSTILE = [
    b"sid=aaaa ",
    b"xsid=aaaa;",
    b"sid=",
    b";",
    b" ",
    b"; ",
    b"sid=aaa;",
    b'sid="aaaa;',
    b"sid=aaaa  x;",
    b"\t;\t",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_the_time_is_linear(piece: bytes) -> None:
    def cost(size: int) -> float:
        block = b"\r\ncookie: " + piece * (size // len(piece))
        times = []
        for _ in range(5):
            began = process_time()
            for _ in range(20):
                list(SID.values(block))
            times.append(process_time() - began)
        return min(times)

    assert cost(64_000) < 40 * cost(8_000) + 0.01  # 8 when linear, 64 when quadratic


@given(st.text('sid=ab12;" \t,x', max_size=40))
def test_it_reads_what_splitting_reads(text: str) -> None:
    """The grammar as RFC 6265 section 5.4 writes it: split at semicolons, then at the first equals sign."""
    pairs = [part.strip(" \t").partition("=") for part in text.split(";")]
    values = [
        value.removeprefix('"').removesuffix('"') if value.count('"') == 2 else value
        for n, _, value in pairs
        if n == "sid"
    ]
    expected = [v for v in values if len(v) == 4 and v.isascii() and v.isalnum()]
    assert [found.decode() for found in SID.values(b"\r\ncookie: " + text.encode())] == expected[:MOST]
