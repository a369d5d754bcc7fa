"""CORS: which origins match, and the fields that say so (GEP-1767, Fetch standard section 3.2)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.routing.cors import CrossOrigin
from gatewayd.routing.snapshot import Cors
from gatewayd.wire.fields import split_block
from gatewayd.wire.head import HeadLimits, RequestHead, parse_request

ORIGINS = [
    # (allowed, the request's, whether they match)
    (b"*", b"https://a.com", True),
    (b"*", b"null", True),
    (b"*", b"capacitor://localhost", True),
    (b"*", b"https://a.com, https://b.com", False),  # two fields are no origin
    (b"https://a.com", b"https://a.com", True),
    (b"https://a.com", b"https://A.com", True),
    (b"https://A.com", b"https://a.com", True),
    (b"https://a.com", b"http://a.com", False),
    (b"https://a.com", b"https://a.com:443", True),  # the port of the scheme is implied
    (b"https://a.com:443", b"https://a.com", True),
    (b"http://a.com:80", b"http://a.com", True),
    (b"http://a.com:443", b"http://a.com", False),
    (b"https://a.com", b"https://a.com:8443", False),
    (b"https://a.com:8443", b"https://a.com:8443", True),
    (b"https://a.com", b"https://a.com.evil.org", False),
    (b"https://a.com", b"https://evil-a.com", False),
    (b"https://a.com", b"https://a.com/", False),
    (b"https://a.com", b"https://axcom", False),
    (b"https://a.com", b"null", False),
    (b"https://*.a.com", b"https://x.a.com", True),
    (b"https://*.a.com", b"https://x.y.a.com", True),  # greedy: any number of labels
    (b"https://*.a.com", b"https://a.com", False),
    (b"https://*.a.com", b"https://.a.com", False),
    (b"https://*.a.com", b"https://evila.com", False),
    (b"https://*.a.com", b"http://x.a.com", False),
    (b"https://*.a.com", b"https://x.a.com:8443", False),
    (b"https://*.a.com:8443", b"https://x.a.com:8443", True),
    (b"https://*.a.com", b"https://x.a.com@evil.org", False),
    (b"https://*", b"https://anything.org", True),
    (b"https://*", b"http://anything.org", False),
    (b"https://*", b"https://anything.org:444", False),
    (b"http://*:3000", b"http://localhost:3000", True),
    (b"http://*", b"http://[::1]", True),
    (b"http://*", b"http://[::1]:80", True),
    (b"http://*", b"http://[::1]:81", False),
]


@pytest.mark.parametrize(("allowed", "origin", "expected"), ORIGINS)
def test_origins(allowed: bytes, origin: bytes, expected: bool) -> None:
    assert CrossOrigin(Cors(origins=(b"http://other.org", allowed) if allowed != b"*" else (b"*",))).allows(origin) == (
        expected
    )


LABELS = st.lists(st.sampled_from(["a", "b", "com", "x-1"]), min_size=1, max_size=4).map(".".join)
PORTS = st.sampled_from(["", ":80", ":443", ":8080"])
SCHEMES = st.sampled_from(["http", "https"])


@given(SCHEMES, st.sampled_from(["", "*.", "*"]), LABELS, PORTS, SCHEMES, LABELS, PORTS)
def test_matching_is_that_of_an_expression(
    scheme: str, star: str, labels: str, port: str, asked_scheme: str, asked_labels: str, asked_port: str
) -> None:
    """Ports written out, `*` is any characters of hosts, all else is itself."""
    default = {"http": ":80", "https": ":443"}
    host = star if star == "*" else star + labels
    pattern = re.escape(f"{scheme}://{host}{port or default[scheme]}").replace(r"\*", "[a-z0-9.-]+")
    origin = f"{asked_scheme}://{asked_labels}{asked_port}"
    full = f"{asked_scheme}://{asked_labels}{asked_port or default[asked_scheme]}"
    cors = CrossOrigin(Cors(origins=(f"{scheme}://{host}{port}".encode(),)))
    assert cors.allows(origin.encode()) == (re.fullmatch(pattern, full) is not None)


def head(method: str, **fields: str) -> RequestHead:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    found = parse_request(f"{method} / HTTP/1.1\r\nHost: a\r\n{lines}\r\n".encode(), HeadLimits())
    assert found is not None
    return found


A = "https://a.com"
ALLOW = "access-control-allow-"
OPEN = Cors((b"*",), methods=(b"*",), headers=(b"*",), expose=(b"*",))
CLOSED = Cors((b"*",), True, methods=(b"*",), headers=(b"*",), expose=(b"*",))
LISTED = Cors((b"https://a.com",), False, (b"GET", b"PUT"), (b"X-A", b"X-B"), (b"X-C",), 60)
ASKED = {"access_control_request_method": "PUT"}
NAMES = {"access_control_request_headers": "x-one, x-two"}
AGE = {"access-control-max-age": "5"}

PREFLIGHTS: list[tuple[Cors, dict[str, str], dict[str, str]]] = [
    (
        LISTED,
        {"origin": A, **ASKED, **NAMES},
        {
            ALLOW + "origin": A,
            ALLOW + "methods": "GET, PUT",
            ALLOW + "headers": "X-A, X-B",
            "access-control-expose-headers": "X-C",
            "access-control-max-age": "60",
            "vary": "origin",
        },
    ),
    (LISTED, {"origin": "https://b.com", **ASKED, **NAMES}, {"vary": "origin"}),
    (  # headers only if the request asked for some
        LISTED,
        {"origin": A, **ASKED},
        {
            ALLOW + "origin": A,
            ALLOW + "methods": "GET, PUT",
            "access-control-expose-headers": "X-C",
            "access-control-max-age": "60",
            "vary": "origin",
        },
    ),
    (
        OPEN,
        {"origin": A, **ASKED, **NAMES},
        {
            ALLOW + "origin": "*",
            ALLOW + "methods": "*",
            ALLOW + "headers": "*",
            "access-control-expose-headers": "*",
            **AGE,
        },
    ),
    (  # browsers let `*` stand for all names but this one
        OPEN,
        {"origin": A, **ASKED, "access_control_request_headers": "Authorization, x-one"},
        {
            ALLOW + "origin": "*",
            ALLOW + "methods": "*",
            ALLOW + "headers": "Authorization, x-one",
            "access-control-expose-headers": "*",
            **AGE,
        },
    ),
    (  # with credentials no `*` anywhere
        CLOSED,
        {"origin": A, **ASKED, **NAMES},
        {
            ALLOW + "origin": A,
            ALLOW + "credentials": "true",
            ALLOW + "methods": "PUT",
            ALLOW + "headers": "x-one, x-two",
            "vary": "origin",
            **AGE,
        },
    ),
    (
        CLOSED,
        {"origin": A, **ASKED},
        {ALLOW + "origin": A, ALLOW + "credentials": "true", ALLOW + "methods": "PUT", "vary": "origin", **AGE},
    ),
    (Cors((b"*",)), {"origin": A, **ASKED, **NAMES}, {ALLOW + "origin": "*", **AGE}),
    (Cors(), {"origin": A, **ASKED}, {"vary": "origin"}),
    (  # what is no list of names is not said back
        CLOSED,
        {"origin": A, "access_control_request_method": "a b", "access_control_request_headers": "x(y)"},
        {ALLOW + "origin": A, ALLOW + "credentials": "true", "vary": "origin", **AGE},
    ),
]


@pytest.mark.parametrize(("plan", "fields", "expected"), PREFLIGHTS)
def test_preflight(plan: Cors, fields: dict[str, str], expected: dict[str, str]) -> None:
    block = CrossOrigin(plan).preflight(head("OPTIONS", **fields))
    assert block is not None
    assert {name.decode(): value.decode() for name, value in split_block(block)} == expected


NONE = [head("GET", origin=A, **ASKED), head("OPTIONS", origin=A), head("OPTIONS", **ASKED)]


@pytest.mark.parametrize("request_head", NONE)
def test_what_is_no_preflight(request_head: RequestHead) -> None:
    assert CrossOrigin(OPEN).preflight(request_head) is None


BACKENDS = b"\r\ncontent-type: a/b\r\nAccess-Control-Allow-Origin: *\r\naccess-control-max-age: 9\r\nX-Id: 1"
PLAIN = {"content-type": "a/b", "x-id": "1"}
RESPONSES: list[tuple[Cors, dict[str, str], dict[str, str]]] = [
    (LISTED, {"origin": A}, {ALLOW + "origin": A, "access-control-expose-headers": "X-C", "vary": "origin"}),
    (LISTED, {"origin": "https://b.com"}, {"vary": "origin"}),
    (LISTED, {}, {"vary": "origin"}),
    (OPEN, {"origin": A}, {ALLOW + "origin": "*", "access-control-expose-headers": "*"}),
    (OPEN, {}, {}),
    (
        CLOSED,
        {"origin": A},
        {
            ALLOW + "origin": A,
            ALLOW + "credentials": "true",
            "access-control-expose-headers": "content-type, x-id",
            "vary": "origin",
        },
    ),
    (  # of all lists this one may hold `*` beside other names
        Cors((A.encode(),), True, expose=(b"x-q", b"*")),
        {"origin": A},
        {
            ALLOW + "origin": A,
            ALLOW + "credentials": "true",
            "access-control-expose-headers": "x-q, content-type, x-id",
            "vary": "origin",
        },
    ),
]


@pytest.mark.parametrize(("plan", "fields", "expected"), RESPONSES)
def test_a_response_has_the_gateways_fields_only(plan: Cors, fields: dict[str, str], expected: dict[str, str]) -> None:
    block = CrossOrigin(plan).edit(head("GET", **fields)).apply(BACKENDS)
    assert {name.decode(): value.decode() for name, value in split_block(block)} == PLAIN | expected
