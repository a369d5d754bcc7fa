from __future__ import annotations

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire import fields2
from gatewayd.wire.fields import join_block, split_block
from gatewayd.wire.fields2 import request_head, response_head, trailer_block, trailer_lines
from gatewayd.wire.frames import PREFACE, headers, settings
from gatewayd.wire.framing import CHUNKED, UNTIL_END
from gatewayd.wire.head import HeadLimits, RequestHead, parse_request
from gatewayd.wire.hpack import Decoder
from gatewayd.wire.hpack_encode import Encoder
from gatewayd.wire.hpack_table import Field
from gatewayd.wire.refused import Refused
from gatewayd.wire.response_head import ResponseHead, parse_response
from gatewayd.wire.sorter2 import REQUESTS, Malformed

METHOD, SCHEME, AUTHORITY, PATH = (
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"a.b"),
    (b":path", b"/"),
)
GET = (METHOD, SCHEME, AUTHORITY, PATH)
CONNECT = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), SCHEME, AUTHORITY, (b":path", b"/chat"))


def request_fields(head: RequestHead, path: bytes, authority: bytes, block: bytes) -> list[Field]:
    """All fields of a request to a backend, as `send_fields` is given them."""
    lines = fields2.request_block(head, block)
    return [*fields2.request_start(head, path, authority, b"http"), *split_block(lines)]


def response_fields(head: ResponseHead) -> list[Field]:
    """All fields of a response to a client, as `send_fields` is given them."""
    return [*fields2.response_start(head), *split_block(head.block)]


def _get(**pseudo: bytes) -> tuple[Field, ...]:
    return tuple((name, pseudo.get(name[1:].decode(), value)) for name, value in GET)


# What RFC 9113 sections 8.2 and 8.3 call malformed, by our reason.
MALFORMED = [
    ("no_path", (METHOD, SCHEME, AUTHORITY)),
    ("no_path", _get(path=b"")),
    ("no_scheme", (METHOD, AUTHORITY, PATH)),
    ("bad_method", (SCHEME, AUTHORITY, PATH)),
    ("bad_method", _get(method=b"")),
    ("bad_method", _get(method=b"GET /x HTTP/1.1\r\nhost: a")),
    ("bad_method", _get(method=b"GE T")),
    *[("bad_pseudo_field", (field, *GET)) for field in GET],
    ("bad_pseudo_field", (*GET, (b":status", b"200"))),
    ("bad_pseudo_field", (*GET, (b":x", b"1"))),
    ("bad_pseudo_field", (*GET, (b":Path", b"/"))),
    ("bad_pseudo_field", (*GET, (b":protocol", b"websocket"))),
    ("pseudo_field_late", (*GET, (b"a", b"b"), (b":path", b"/"))),
    ("pseudo_field_late", (METHOD, SCHEME, AUTHORITY, (b"a", b"b"), PATH)),
    *[
        ("bad_name", (*GET, (name, b"x")))
        for name in (b"", b"Upper", b"a b", b"a:b", b"a\r\nb", b"a\0", b"\xe4", b" a")
    ],
    *[
        ("bad_value", (*GET, (b"x-name", value)))
        for value in (b"a\r\nb: c", b"a\nb", b"a\rb", b"a\0b", b" a", b"a ", b"\ta", b"a\t", b" ", b"a\x7f", b"\x01")
    ],
    ("bad_value", (*GET, (b"cookie", b"a\nb"))),
    ("bad_value", (*GET, (b"cookie", b"a=1"), (b"cookie", b""))),
    ("bad_value", (*GET, (b"cookie", b""), (b"cookie", b"a=1"))),
    ("bad_value", (*GET, (b"host", b"a.b\r\n"))),
    *[
        ("connection_field", (*GET, (name, b"close")))
        for name in (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
    ],
    ("bad_te", (*GET, (b"te", b"gzip"))),
    ("bad_te", (*GET, (b"te", b"trailers, gzip"))),
    ("bad_te", (*GET, (b"te", b""))),
    *[
        ("bad_content_length", (*GET, (b"content-length", value)))
        for value in (b"", b"+1", b"1_0", b"1, 1", b"0x1", b"-1")
    ],
    ("bad_content_length", (*GET, (b"content-length", b"1" * 19))),
    ("repeated_content_length", (*GET, (b"content-length", b"0"), (b"content-length", b"0"))),
    ("body_cut", (*GET, (b"content-length", b"1"))),
    ("repeated_host", (*GET, (b"host", b"a.b"), (b"host", b"a.b"))),
    ("upgrade_with_body", CONNECT),
]


@pytest.mark.parametrize(("reason", "fields"), MALFORMED)
def test_malformed(reason: str, fields: tuple[Field, ...]):
    for _ in range(2):  # what is remembered of the first must not let the second in
        with pytest.raises(Malformed) as refused:
            request_head(fields, ended=True)
        assert refused.value.reason == reason


# What is well-formed and refused with a status all the same.
REFUSED = [
    (400, "bad_scheme", _get(scheme=b"ftp")),
    (400, "bad_target", _get(path=b"x")),
    (400, "bad_target", _get(path=b"*")),
    (400, "bad_target", _get(path=b"http://a.b/")),
    (400, "bad_target", _get(path=b"/a#b")),
    (400, "bad_target", _get(path=b"/a b")),
    (400, "bad_target", _get(path=b"/ HTTP/1.1\r\nx: y")),
    (400, "bad_target", _get(path=b"/\xc3\xa4")),
    (400, "bad_path", _get(path=b"/a\\b")),
    (400, "bad_path", _get(path=b"/%00")),
    (400, "bad_path", _get(path=b"/%zz")),
    (414, "line_too_long", _get(path=b"/" * 16385)),
    (400, "bad_host", _get(authority=b"")),
    (400, "bad_host", _get(authority=b"user@a.b")),
    (400, "bad_host", _get(authority=b"a.b:99999")),
    (400, "bad_host", _get(authority=b"a b")),
    (400, "no_host", (METHOD, SCHEME, PATH)),
    (400, "host_differs", (*GET, (b"host", b"c.d"))),
    (400, "host_differs", (*GET, (b"host", b"a.b:443"))),
    (417, "bad_expect", (*GET, (b"expect", b"cake"))),
    (501, "connect", ((b":method", b"CONNECT"), AUTHORITY)),
    (501, "unknown_protocol", ((b":method", b"CONNECT"), (b":protocol", b"h9"), SCHEME, AUTHORITY, PATH)),
]


@pytest.mark.parametrize(("status", "reason", "fields"), REFUSED)
def test_refused(status: int, reason: str, fields: tuple[Field, ...]):
    with pytest.raises(Refused) as refused:
        request_head(fields, ended=True)
    assert (refused.value.status, refused.value.reason) == (status, reason)
    assert not isinstance(refused.value, Malformed)


def test_every_slot_is_as_in_http1():
    fields = (
        (b":method", b"POST"),
        (b":path", b"/a/../%7Eb?x=1&y=2"),
        (b":authority", b"Shop.Example.:8443"),
        SCHEME,
        (b"accept", b"*/*"),
        (b"cookie", b"a=1"),
        (b"x-forwarded-for", b"1.2.3.4"),
        (b"x_forwarded_for", b"6.6.6.6"),
        (b"transfer_encoding", b"chunked"),
        (b"cookie", b"b=2"),
        (b"content-length", b"5"),
        (b"te", b"trailers"),
        (b"expect", b"100-continue"),
        (b"x-empty", b""),
    )
    head = request_head(fields, ended=False)
    old = parse_request(
        b"POST /a/../%7Eb?x=1&y=2 HTTP/1.1\r\nHost: Shop.Example.:8443\r\naccept: */*\r\nx-forwarded-for: 1.2.3.4\r\n"
        b"content-length: 5\r\nte: trailers\r\nexpect: 100-continue\r\nx_forwarded_for: 6.6.6.6\r\n"
        b"transfer_encoding: chunked\r\nx-empty: \r\ncookie: a=1; b=2\r\n\r\n",
        HeadLimits(),
    )
    assert old is not None
    for slot in set(old.__slots__) - {"end", "_pairs"}:
        assert getattr(head, slot) == getattr(old, slot), slot
    assert head.path == b"/~b"
    assert head.parameters == {b"x": b"1", b"y": b"2"}
    assert head.value(b"cookie") == b"a=1; b=2"


@pytest.mark.parametrize(
    ("more", "ended", "length"),
    [
        ((), True, 0),
        ((), False, UNTIL_END),
        (((b"content-length", b"7"),), False, 7),
        (((b"content-length", b"0"),), True, 0),
    ],
)
def test_length(more: tuple[Field, ...], ended: bool, length: int):
    head = request_head((*GET, *more), ended)
    assert head.length == length
    assert not head.trailers
    assert not head.expect
    assert len({UNTIL_END, CHUNKED, length}) >= 2


def test_host_stands_in_for_authority():
    assert request_head((METHOD, SCHEME, PATH, (b"host", b"A.b")), ended=True).host == b"a.b"
    head = request_head((*GET, (b"host", b"A.B")), ended=True)
    assert (head.authority, head.block, head.specials) == (b"a.b", b"", {})


def test_an_asterisk_is_for_options():
    assert request_head(_get(method=b"OPTIONS", path=b"*"), ended=True).path == b"*"
    with pytest.raises(Refused):  # also when it was seen before
        request_head(_get(path=b"*"), ended=True)


def test_a_websocket_is_asked_for_with_connect():
    head = request_head((*CONNECT, (b"sec-websocket-version", b"13")), ended=False)
    assert (head.method, head.upgrade, head.path, head.length, head.expect) == (
        b"GET",
        b"websocket",
        b"/chat",
        0,
        False,
    )
    block = head.block + b"\r\nSec-WebSocket-Key: x"
    fields = request_fields(head, head.path, b"backend", block)
    assert dict(fields[:5]) == {
        b":method": b"CONNECT",
        b":protocol": b"websocket",
        b":scheme": b"http",
        b":authority": b"backend",
        b":path": b"/chat",
    }
    assert fields[5:] == [(b"sec-websocket-version", b"13")]


def test_a_request_of_http1_is_sent_to_http2():
    head = parse_request(
        b"POST /x?y=1 HTTP/1.1\r\nHost: a.b\r\nAccept: */*\r\nConnection: x-hop, te\r\nX-Hop: 1\r\nTE: trailers\r\n"
        b"Keep-Alive: 5\r\nContent-Length: 3\r\nExpect: 100-continue\r\nTrailer: x-sum\r\n\r\n",
        HeadLimits(),
    )
    assert head is not None
    fields = request_fields(head, b"/new", b"backend:80", head.block)
    assert fields == [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":authority", b"backend:80"),
        (b":path", b"/new?y=1"),
        (b"content-length", b"3"),
        (b"te", b"trailers"),
        (b"trailer", b"x-sum"),
        (b"expect", b"100-continue"),
        (b"accept", b"*/*"),
    ]
    again = request_head(tuple(fields), ended=False)
    assert (again.method, again.path, again.query, again.length) == (b"POST", b"/new", b"?y=1", 3)


STATUS = (b":status", b"200")


@pytest.mark.parametrize(
    ("fields", "ended", "method", "length"),
    [
        ((STATUS,), False, b"GET", UNTIL_END),
        ((STATUS,), True, b"GET", 0),
        ((STATUS, (b"content-length", b"5")), False, b"GET", 5),
        ((STATUS, (b"content-length", b"5")), True, b"HEAD", 0),
        (((b":status", b"304"), (b"content-length", b"5")), True, b"GET", 0),
        (((b":status", b"204"),), True, b"GET", 0),
        (((b":status", b"103"), (b"link", b"</a>")), False, b"GET", 0),
    ],
)
def test_responses(fields: tuple[Field, ...], ended: bool, method: bytes, length: int):
    head = response_head(fields, ended, method)
    assert (head.status, head.length, head.keep_alive) == (int(fields[0][1]), length, True)
    assert response_fields(head) == [*fields]


@pytest.mark.parametrize(
    ("fields", "ended"),
    [
        ((), True),
        (((b":status", b"20"),), True),
        (((b":status", b"2000"),), True),
        (((b":status", b"0200"),), True),
        (((b":status", b"099"),), True),
        (((b":status", b"101"),), False),
        (((b":status", b"100"),), True),
        ((STATUS, STATUS), True),
        ((STATUS, PATH), True),
        (((b"a", b"b"), STATUS), True),
        ((STATUS, (b"A", b"b")), True),
        ((STATUS, (b"a", b"b\r\nset-cookie: c")), True),
        ((STATUS, (b"connection", b"close")), True),
        ((STATUS, (b"transfer-encoding", b"chunked")), False),
        ((STATUS, (b"content-length", b"5")), True),
        ((STATUS, (b"content-length", b"five")), False),
        ((STATUS, (b"content-length", b"5"), (b"content-length", b"5")), False),
        (((b":status", b"204"), (b"content-length", b"5")), True),
        (((b":status", b"103"), (b"content-length", b"0")), False),
    ],
)
def test_refused_responses(fields: tuple[Field, ...], ended: bool):
    with pytest.raises(Refused) as refused:
        response_head(fields, ended, b"GET")
    assert refused.value.status == 502


def test_a_response_of_http1_is_sent_to_http2():
    head = parse_response(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
        b"Content-Length: 5\r\nTrailer: x-sum\r\n\r\n",
        HeadLimits(),
        b"HEAD",
    )
    assert head is not None
    fields = (
        STATUS,
        (b"content-length", b"5"),
        (b"trailer", b"x-sum"),
        (b"content-type", b"text/html"),
        (b"set-cookie", b"a"),
        (b"set-cookie", b"b"),
    )
    assert response_fields(head) == [*fields]
    assert Decoder().decode(Encoder().encode(fields2.response_start(head), head.block)) == fields


def test_trailers():
    fields = ((b"grpc-status", b"0"), (b"content-length", b"5"), (b"transfer_encoding", b"x"), (b"host", b"a"))
    assert trailer_block(fields) == b"\r\ngrpc-status: 0"
    assert trailer_block(()) == b""
    for _ in range(2):
        assert trailer_lines(b"\r\nGrpc-Status: 0\r\nTransfer-Encoding: chunked") == b"\r\ngrpc-status: 0"
    for number in range(1000):
        assert trailer_lines(b"\r\nx-sum: %d" % number) == b"\r\nx-sum: %d" % number
    assert len(fields2._trailers) <= 256
    for field in ((b":status", b"200"), (b"connection", b"x"), (b"A", b"b"), (b"a", b"b\n"), (b"a b", b"")):
        with pytest.raises(Malformed):
            trailer_block((field,))


TEXT = st.one_of(
    st.sampled_from([b"", b"x", b"a b", b" a", b"a\r\nb: c", b"5", b"trailers", b"a.b", b"/", b"\xff", b"\0"]),
    st.binary(max_size=6),
)
NAME = st.one_of(
    st.sampled_from(
        b"a b-c cookie host te content-length connection upgrade transfer-encoding :path :status X x:y x-y".split()
    ),
    st.binary(max_size=4),
)
MESSAGES = st.tuples(st.permutations(GET), st.lists(st.tuples(NAME, TEXT), max_size=4)).map(
    lambda both: (*both[0], *both[1])
)


@given(MESSAGES, st.booleans())
def test_what_h2_refuses_we_refuse_and_what_passes_is_http1(fields: tuple[Field, ...], ended: bool):
    try:
        head = request_head(fields, ended)
    except Refused:
        return
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    server.initiate_connection()
    events = server.receive_data(PREFACE + settings({}) + headers(1, Encoder().encode(fields), ended))
    assert any(isinstance(event, h2.events.RequestReceived) for event in events)

    length = b"" if b"content-length" not in head.specials else b"\r\ncontent-length: %d" % head.length
    line = b"%b %b%b HTTP/1.1\r\nhost: %b" % (head.method, head.path, head.query, head.authority)
    again = parse_request(line + length + head.block + b"\r\n\r\n", HeadLimits())
    assert again is not None
    assert (again.method, again.path, again.query, again.host) == (head.method, head.path, head.query, head.host)
    assert again.fields == head.fields
    crumbs = [value for name, value in fields if name == b"cookie"]
    assert head.value(b"cookie") == (b"; ".join(crumbs) if crumbs else None)


def test_what_is_remembered_is_bounded():
    for number in range(3000):
        request_head((*GET, (b"x-%d" % number, b"%d" % number)), ended=True)
    assert len(REQUESTS.lines) <= 1024
    assert len(REQUESTS._kinds) <= 1024
    request_head((*GET, (b"authorization", b"secret")), ended=True)
    assert (b"authorization", b"secret") not in REQUESTS.lines
    assert join_block([(b"x-2999", b"2999")]) in REQUESTS.lines.values()
