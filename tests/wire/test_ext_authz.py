"""The messages of Envoy's authorization service, against the classes that are generated from its definitions."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, QueryParameter
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, DeniedHttpResponse, OkHttpResponse
from envoy.service.auth.v3.external_auth_pb2 import CheckResponse as Answer
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import BoolValue
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.wire.ext_authz import Call, CheckResponse, check_request, check_response
from gatewayd.wire.mutations import ADD_IF_ABSENT, APPEND, OVERWRITE, OVERWRITE_IF_EXISTS, Mutation
from gatewayd.wire.protobuf import MalformedMessageError

CALL = Call(
    identity=b"id", method=b"POST", path=b"/a?x=1", host=b"a.com", scheme=b"https", protocol=b"HTTP/2",
    headers=[(b"cookie", b"a=b"), (b"x-empty", b"")], size=3, body=b"abc",
    source=("192.0.2.1", 40000), destination=("2001:db8::1", 443), moment=1.5e9 + 0.25,
)  # fmt: skip


def parsed(call: Call) -> Any:
    return CheckRequest.FromString(check_request(call)).attributes


def test_a_question():
    found = parsed(CALL)
    http = found.request.http
    assert (http.id, http.method, http.path, http.host) == ("id", "POST", "/a?x=1", "a.com")
    assert (http.scheme, http.protocol, http.size, http.body) == ("https", "HTTP/2", 3, "abc")
    assert (http.query, http.fragment, http.raw_body) == ("", "", b"")
    assert dict(http.headers) == {"cookie": "a=b", "x-empty": ""}
    source, destination = found.source.address.socket_address, found.destination.address.socket_address
    assert (source.address, source.port_value, source.protocol) == ("192.0.2.1", 40000, 0)
    assert (destination.address, destination.port_value) == ("2001:db8::1", 443)
    assert (found.request.time.seconds, found.request.time.nanos) == (1_500_000_000, 250_000_000)


def test_what_is_not_known():
    found = parsed(CALL._replace(source=None, destination=None, size=-1, body=b""))
    assert not found.HasField("source")
    assert not found.HasField("destination")
    assert (found.request.http.size, found.request.http.body) == (-1, "")


def test_text_must_be_utf8():
    """HttpRequest.headers: what is none becomes an exclamation mark. The body is there as it is, too."""
    http = parsed(CALL._replace(headers=[(b"x", b"a\xff\xc3\xa9")], body=b"\xffPNG\x00", identity=b"\xff")).request.http
    assert dict(http.headers) == {"x": "a!é"}
    assert (http.body, http.raw_body, http.id) == ("!PNG\x00", b"\xffPNG\x00", "!")


@given(st.binary(max_size=50), st.dictionaries(st.from_regex(rb"[a-z-]{1,9}", fullmatch=True), st.binary(max_size=20)))
def test_the_library_reads_every_question(body: bytes, headers: dict[bytes, bytes]):
    http = parsed(CALL._replace(body=body, headers=headers.items())).request.http
    assert http.raw_body in (b"", body)
    assert {name.encode() for name in http.headers} == set(headers)


# -- answers -----------------------------------------------------------------------------------------------------------


def option(name: str, value: str = "v", **more: Any) -> HeaderValueOption:
    return HeaderValueOption(header=HeaderValue(key=name, value=value), **more)


OK = Status(code=0)
NO = Status(code=7, message="no")
PLAIN = DeniedHttpResponse()
ANSWERS: list[tuple[Answer, CheckResponse]] = [
    (Answer(status=OK), CheckResponse(True)),
    (Answer(status=OK, ok_response=OkHttpResponse()), CheckResponse(True)),
    (Answer(ok_response=OkHttpResponse()), CheckResponse(True)),  # OK is the default of the status
    (Answer(status=NO), CheckResponse(False)),
    (Answer(status=Status(code=-1)), CheckResponse(False)),
    (Answer(status=NO, denied_response=PLAIN), CheckResponse(False)),
    # What contradicts itself does not allow.
    (Answer(status=NO, ok_response=OkHttpResponse(headers=[option("x")])), CheckResponse(False)),
    (Answer(status=OK, denied_response=PLAIN), CheckResponse(False)),
    (Answer(denied_response=PLAIN), CheckResponse(False)),
    (
        Answer(
            status=NO,
            denied_response=DeniedHttpResponse(
                status=HttpStatus(code=401), headers=[option("WWW-Authenticate", "Basic")], body="no"
            ),
        ),
        CheckResponse(False, 401, (Mutation(b"www-authenticate", b"Basic"),), body=b"no"),
    ),
    (Answer(denied_response=DeniedHttpResponse(status=HttpStatus(code=200))), CheckResponse(False, 200)),
    (Answer.FromString(b"\x2a\x00"), CheckResponse(False, 503)),  # error_response
    (Answer.FromString(b"\x2a\x05\x0a\x03\x08\xf7\x03"), CheckResponse(False, 503)),
    (Answer.FromString(b"\x2a\x05\x0a\x03\x08\xf6\x03"), CheckResponse(False, 502)),
    (
        Answer(
            status=OK,
            ok_response=OkHttpResponse(
                headers=[option("X-User", " me "), option("x-empty", "")],
                headers_to_remove=["Authorization", ":path", "host"],
                response_headers_to_add=[option("set-cookie", "a=b")],
                query_parameters_to_set=[QueryParameter(key="a b", value="ü")],
                query_parameters_to_remove=["c"],
            ),
        ),
        CheckResponse(
            True,
            headers=(Mutation(b"x-user", b"me"), Mutation(b"x-empty", b"")),
            remove=(b"authorization", b":path", b"host"),
            response_headers=(Mutation(b"set-cookie", b"a=b"),),
            query_set=((b"a b", "ü".encode()),),
            query_remove=(b"c",),
        ),
    ),
]


@pytest.mark.parametrize(("answer", "expected"), ANSWERS)
def test_answers(answer: Answer, expected: CheckResponse):
    assert check_response(answer.SerializeToString()) == expected


ACTIONS: list[tuple[dict[str, Any], int]] = [
    ({}, OVERWRITE),  # OkHttpResponse.headers: append is false by default
    ({"append": BoolValue(value=False)}, OVERWRITE),
    ({"append": BoolValue(value=True)}, APPEND),
    ({"append": BoolValue(value=False), "append_action": 1}, OVERWRITE),  # the older field goes first
    ({"append_action": 1}, ADD_IF_ABSENT),
    ({"append_action": 2}, OVERWRITE),
    ({"append_action": 3}, OVERWRITE_IF_EXISTS),
]


@pytest.mark.parametrize(("more", "action"), ACTIONS)
def test_append_actions(more: dict[str, Any], action: int):
    answer = Answer(status=OK, ok_response=OkHttpResponse(headers=[option("x", **more)]))
    assert check_response(answer.SerializeToString()).headers == (Mutation(b"x", b"v", action),)


def test_raw_values():
    raw = HeaderValueOption(header=HeaderValue(key="x", raw_value=b"\xff"))
    answer = Answer(status=OK, ok_response=OkHttpResponse(headers=[raw]))
    assert check_response(answer.SerializeToString()).headers == (Mutation(b"x", b"\xff"),)


MALFORMED: list[bytes] = [
    b"",  # an answer that says nothing
    b"\x22\x00",  # or nothing of the request
    b"\xff",
    b"\x2a\x00\x1a\x00",  # two of a oneof: the last one would count, but nobody writes so
    b"\x1a\x00\x12\x00",
    b"\x0a\x02\x0a\x00",  # a code that is no number
    b"\x08\x00",  # a status that is no message
    b"\x0a\x00\x1a\x01\xff",
    *(
        Answer(status=OK, ok_response=OkHttpResponse(**fields)).SerializeToString()
        for fields in (
            {"headers": [option("x", "a\r\nx-admin: yes")]},
            {"headers": [option("x", "a\nb")]},
            {"headers": [option("x", "a\x00b")]},
            {"headers": [option("x\r\ny", "a")]},
            {"headers": [option("x y", "a")]},
            {"headers": [option("", "a")]},
            {"headers": [HeaderValueOption()]},
            {"headers": [option("x", append_action=4)]},
            {"headers": [option(f"x-{number}") for number in range(101)]},
            {"headers_to_remove": ["a b"]},
            {"headers_to_remove": ["a\r\nb"]},
            {"response_headers_to_add": [option("x", "a\rb")]},
        )
    ),
    Answer(status=NO, denied_response=DeniedHttpResponse(headers=[option("x", "a\r\n\r\nbody")])).SerializeToString(),
]


@pytest.mark.parametrize("data", MALFORMED)
def test_malformed(data: bytes):
    with pytest.raises(MalformedMessageError):
        check_response(data)


@given(st.binary(max_size=60))
def test_no_bytes_do_harm(data: bytes):
    try:
        found = check_response(data)
    except MalformedMessageError:
        return
    assert all(b"\r" not in write.value and b"\n" not in write.value for write in found.headers)


@given(st.binary(max_size=30))
def test_what_the_library_refuses_is_not_allowed(data: bytes):
    try:
        allowed = check_response(data).allowed
    except MalformedMessageError:
        allowed = False
    if allowed:
        answer = Answer.FromString(data)
        assert answer.status.code == 0
        assert answer.WhichOneof("http_response") in (None, "ok_response")


WIRE = [answer.SerializeToString() for answer, _ in ANSWERS]
PIECE = st.sampled_from([*WIRE, b"\x0a\x02\x08\x07", b"\x0a\x00", b"\x12\x00", b"\x1a\x00", b"\x08\x00", b"\x2a\x00"])


EDIT = st.tuples(st.integers(0, 80), st.integers(0, 2), st.binary(max_size=2))


@given(st.lists(PIECE, min_size=1, max_size=3), st.lists(EDIT, max_size=5))
def test_answers_that_were_tampered_with_allow_no_more_than_the_library_reads(
    pieces: list[bytes], edits: list[tuple[int, int, bytes]]
):
    """Messages joined, cut, and with octets put in or in place of others."""
    wire = b"".join(pieces)
    for place, size, octets in edits:
        wire = wire[:place] + octets + wire[place + size :]
    try:
        found = check_response(wire)
    except MalformedMessageError:
        return
    if not found.allowed:
        return
    try:
        answer = Answer.FromString(wire)
    except DecodeError:  # for what we do not look into: whether text is UTF-8, and the details of a status
        return
    assert answer.status.code == 0
    assert answer.WhichOneof("http_response") in (None, "ok_response")
    allowed = answer.ok_response
    named = [(option.header.key.lower(), option.header.value or option.header.raw_value) for option in allowed.headers]
    assert [write.name.decode() for write in found.headers] == [name for name, _ in named]
    assert [name.decode() for name in found.remove] == [name.lower() for name in allowed.headers_to_remove]
    assert [(name.decode(), value.decode()) for name, value in found.query_set] == [
        (parameter.key, parameter.value) for parameter in allowed.query_parameters_to_set
    ]
