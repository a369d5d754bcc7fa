"""Changes of field sections, and of queries, that an authorization service asks for."""

from __future__ import annotations

import pytest

from gatewayd.wire import grpc
from gatewayd.wire.fields import join_block
from gatewayd.wire.mutations import ADD_IF_ABSENT, APPEND, OVERWRITE, OVERWRITE_IF_EXISTS, Mutation, Mutations, only
from gatewayd.wire.target import edit_query

BLOCK = b"\r\nX-User: evil\r\nx_user:evil\r\nx-other: 1\r\nX-OTHER: 2"
ROWS = [
    ([], [], BLOCK),
    ([], [b"x-user"], b"\r\nx-other: 1\r\nX-OTHER: 2"),  # look-alikes go along
    ([], [b"x_user"], b"\r\nx-other: 1\r\nX-OTHER: 2"),
    ([], [b"user"], BLOCK),
    ([(b"x-user", b"me", OVERWRITE)], [], b"\r\nx-other: 1\r\nX-OTHER: 2\r\nx-user: me"),
    ([(b"x-user", b"me", OVERWRITE), (b"x-user", b"you", OVERWRITE)], [],
     b"\r\nx-other: 1\r\nX-OTHER: 2\r\nx-user: you"),
    ([(b"x-user", b"me", APPEND)], [], BLOCK + b"\r\nx-user: me"),
    ([(b"x-user", b"me", ADD_IF_ABSENT)], [], BLOCK),
    ([(b"x-new", b"1", ADD_IF_ABSENT)], [], BLOCK + b"\r\nx-new: 1"),
    ([(b"x-new", b"1", OVERWRITE_IF_EXISTS)], [], BLOCK),
    ([(b"x-other", b"3", OVERWRITE_IF_EXISTS)], [], b"\r\nX-User: evil\r\nx_user:evil\r\nx-other: 3"),
    ([(b"x-user", b"me", ADD_IF_ABSENT)], [b"x-user"], b"\r\nx-other: 1\r\nX-OTHER: 2\r\nx-user: me"),
]  # fmt: skip


@pytest.mark.parametrize(("writes", "remove", "expected"), ROWS)
def test_mutations(writes: list[tuple[bytes, bytes, int]], remove: list[bytes], expected: bytes):
    found = Mutations([Mutation(*write) for write in writes], remove)
    assert found.apply(BLOCK) == expected
    assert bool(found) == bool(writes or remove)


FRAMING = [
    b":path", b":authority", b"host", b"content-length", b"content_length", b"transfer-encoding", b"connection", b"te",
    b"upgrade", b"expect", b"keep-alive", b"trailer", b"http2-settings",
]  # fmt: skip


@pytest.mark.parametrize("name", FRAMING)
def test_framing_is_not_touched(name: bytes):
    found = Mutations([Mutation(name, b"1")], [name])
    assert not found
    assert found.apply(b"\r\n%b: 0" % name) == b"\r\n%b: 0" % name


def test_an_empty_block():
    assert Mutations([Mutation(b"a", b"1")]).apply(b"") == b"\r\na: 1"
    assert Mutations((), [b"a"]).apply(b"\r\na: 1") == b""


def test_only():
    assert only(BLOCK, frozenset({b"x-other"})) == b"\r\nx-other: 1\r\nX-OTHER: 2"
    assert only(b"", frozenset({b"a"})) == only(BLOCK, frozenset()) == b""
    assert only(join_block([(b"a", b"b: c")]), frozenset({b"a"})) == b"\r\na: b: c"


QUERIES = [
    (b"", [], [], b""),
    (b"?a=1&b=2", [], [b"a"], b"?b=2"),
    (b"?a=1", [], [b"a"], b""),
    (b"?%61=1&A=2&a&b", [], [b"a"], b"?A=2&b"),  # names are compared decoded
    (b"?x+y=1", [], [b"x y"], b""),
    (b"?a=1&b=2", [(b"a", b"3")], [], b"?b=2&a=3"),
    (b"", [(b"a b", b"1&c=2 #\r\n")], [], b"?a%20b=1%26c%3D2%20%23%0D%0A"),
    (b"?a=%2f", [], [b"b"], b"?a=%2f"),  # what stays, stays byte for byte
]


@pytest.mark.parametrize(("query", "set_", "remove", "expected"), QUERIES)
def test_queries(query: bytes, set_: list[tuple[bytes, bytes]], remove: list[bytes], expected: bytes):
    assert edit_query(query, set_, remove) == expected


def test_messages_of_calls():
    assert grpc.only_message(grpc.frame(b"abc")) == b"abc"
    assert grpc.only_message(grpc.frame(b"")) == b""
    for body in (b"", b"\0\0\0\0", b"\1\0\0\0\0", b"\0\0\0\0\2a", grpc.frame(b"a") * 2, grpc.frame(b"a") + b"b"):
        assert grpc.only_message(body) is None
