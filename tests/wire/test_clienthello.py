from __future__ import annotations

import itertools
import ssl
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewayd.wire.clienthello import MAX_HELLO, ClientHello, least_missing, parse_client_hello

NAMES = [
    None,
    "a.example",
    "A.Example",
    "very.long." + "label." * 30 + "example",
    "xn--bcher-kva.example",
    "a_b.example",
]
PROTOCOLS: list[tuple[str, ...]] = [(), ("http/1.1",), ("h2", "http/1.1"), ("h2", "http/1.1", "x" * 200)]


def hello(name: str | None, protocols: tuple[str, ...], newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = newest
    if protocols:
        context.set_alpn_protocols(list(protocols))
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=name).do_handshake()
    return sent.read()


REAL = hello("a.example", ("h2", "http/1.1"))


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("protocols", PROTOCOLS)
@pytest.mark.parametrize("name", NAMES)
def test_hellos_of_openssl(name: str | None, protocols: tuple[str, ...], newest: ssl.TLSVersion):
    data = hello(name, protocols, newest)
    expected = ClientHello((name or "").lower().encode(), tuple(protocol.encode() for protocol in protocols))
    assert parse_client_hello(data) == expected
    assert parse_client_hello(data + b"\x17\x03\x03\x00\x01x") == expected
    for size in range(len(data)):
        assert parse_client_hello(data[:size]) is None, size


def _records(message: bytes, sizes: Iterator[int]) -> bytes:
    data = b""
    while message:
        size = next(sizes)
        data += b"\x16\x03\x01" + struct.pack(">H", len(message[:size])) + message[:size]
        message = message[size:]
    return data


@given(st.integers(1, 400))
def test_how_much_is_missing_is_never_overrated_and_tells_the_end_in_few_looks(size: int):
    """Whoever looks again when that much has come looks a few times, however many the records and the pieces are."""
    data = _records(REAL[5:], iter([size] * 1000))
    at = looks = 0
    while parse_client_hello(data[:at]) is None:
        missing = least_missing(data[:at])
        assert 1 <= missing <= len(data) - at
        at += missing
        looks += 1
    assert (at <= len(data), least_missing(data)) == (True, 0)
    assert looks < 60


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5))
@settings(max_examples=60)
def test_a_hello_in_many_records_means_the_same(sizes: list[int]):
    cycle = (size for _ in range(10**6) for size in sizes)
    data = _records(REAL[5:], cycle)
    assert parse_client_hello(data) == parse_client_hello(REAL)
    assert parse_client_hello(data[:-1]) is None


@pytest.mark.parametrize(("size", "read"), [(512, True), (513, False), (20000, False)])
def test_how_many_records_a_hello_may_take(size: int, read: bool):
    """Each look at part of it costs as much as there are records, and a client decides how many looks it takes."""
    message = b"\x01" + (size - 4).to_bytes(3, "big") + bytes(size - 4)
    data = _records(message, itertools.repeat(1))
    assert least_missing(data[: 6 * 512 - 1]) > 0
    if read:
        assert least_missing(data) == 0
    else:
        with pytest.raises(ValueError, match="too many records"):
            least_missing(data[: 6 * 512 + 1])


def _outcome(data: bytes) -> str:
    """Whatever it is, it is one of these three."""
    try:
        found = parse_client_hello(data)
    except ValueError:
        return "refused"
    return "incomplete" if found is None else "accepted"


@given(
    st.binary(max_size=80),
    st.sampled_from(
        [b"", b"\x16", b"\x16\x03\x01", b"\x16\x03\x01\x00\x40", b"\x16\x03\x01\x00\x20\x01\x00\x00\x1c\x03\x03"]
    ),
)
@settings(max_examples=800)
def test_random_bytes_raise_nothing_but_value_error(rest: bytes, start: bytes):
    data = start + rest
    whole = _outcome(data)
    for size in range(len(data)):
        part = _outcome(data[:size])
        assert part in {"incomplete", whole}  # what was refused or accepted stays so


@given(st.integers(0, len(REAL) - 1), st.binary(min_size=1, max_size=3))
@settings(max_examples=800)
def test_a_damaged_hello_raises_nothing_but_value_error(place: int, damage: bytes):
    assert _outcome(REAL[:place] + damage + REAL[place + len(damage) :]) in {"accepted", "incomplete", "refused"}


def _extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">HH", kind, len(body)) + body


def _server_name(*names: bytes, kind: int = 0) -> bytes:
    listed = b"".join(struct.pack(">BH", kind, len(name)) + name for name in names)
    return _extension(0, struct.pack(">H", len(listed)) + listed)


def _message(extensions: bytes | None, compression: bytes = b"\x01\x00") -> bytes:
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + compression
    if extensions is not None:
        body += struct.pack(">H", len(extensions)) + extensions
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack(">H", len(handshake)) + handshake


ACCEPTED = [
    ("no extensions at all", _message(None), ClientHello(b"", ())),
    ("an empty list of extensions", _message(b""), ClientHello(b"", ())),
    ("a name", _message(_server_name(b"a.b")), ClientHello(b"a.b", ())),
    ("a name with a trailing dot", _message(_server_name(b"a.b.")), ClientHello(b"a.b", ())),
    ("a name of another kind", _message(_server_name(b"a.b", kind=1)), ClientHello(b"", ())),
    ("unknown extensions", _message(_extension(0x0A0A, b"x") + _server_name(b"a")), ClientHello(b"a", ())),
]
REFUSED = [
    ("HTTP", b"GET / HTTP/1.1\r\n"),
    ("another record type", b"\x17" + REAL[1:]),
    ("SSL 2", b"\x80\x2e\x01\x03\x01"),
    ("another major version", b"\x16\x02" + REAL[2:]),
    ("an empty record", b"\x16\x03\x01\x00\x00"),
    ("a record too large", b"\x16\x03\x01\x40\x01"),
    ("a ServerHello", b"\x16\x03\x03\x00\x04\x02\x00\x00\x00"),
    ("too large", b"\x16\x03\x01\x00\x04\x01" + (MAX_HELLO + 1).to_bytes(3, "big")),
    ("nothing in it", b"\x16\x03\x01\x00\x04\x01\x00\x00\x00"),
    ("cut extensions", _message(b"\x00\x00\x00\x10")),
    ("an extension of one byte", _message(b"\x00")),
    ("an empty server name list", _message(_extension(0, b""))),
    ("an empty name", _message(_server_name(b""))),
    ("a name of a dot", _message(_server_name(b"."))),
    ("a name with a space", _message(_server_name(b"a b"))),
    ("a name with NUL", _message(_server_name(b"a\0b"))),
    ("a name with a line end", _message(_server_name(b"a\n"))),
    ("a name with a colon", _message(_server_name(b"a:443"))),
    ("a name above ASCII", _message(_server_name(b"\xc3\xa4"))),
    ("a name too long", _message(_server_name(b"a" * 256))),
    ("two names", _message(_server_name(b"a", b"b"))),
    ("two extensions of names", _message(_server_name(b"a") + _server_name(b"b"))),
    ("ALPN cut short", _message(_extension(16, b"\x00\x05\x02h2"))),
]


@pytest.mark.parametrize(("data", "expected"), [row[1:] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_accepted(data: bytes, expected: ClientHello):
    assert parse_client_hello(data) == expected


@pytest.mark.parametrize("data", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused(data: bytes):
    with pytest.raises(ValueError):
        parse_client_hello(data)
