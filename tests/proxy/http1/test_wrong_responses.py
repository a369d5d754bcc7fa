"""Responses that no backend should send: what is left over, what is outside of the grammar."""

from __future__ import annotations

import pytest

from tests.proxy.conversation import CHUNKED, GET, OK, Conversation, message


@pytest.mark.parametrize("spare", [OK, b"x"])
@pytest.mark.parametrize("response", [OK, message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"0\r\n\r\n")])
def test_spare_bytes_after_a_response_end_the_connection(talk: Conversation, response: bytes, spare: bytes):
    """Response queue poisoning: they could be taken for the answer to the next request."""
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(response + spare)
    assert client.takes().endswith((b"\r\n\r\nok", b"chunked\r\n\r\n0\r\n\r\n"))
    assert (client.state, backend.state) == ("open", "aborted")
    assert talk.runtime.counts.upstream_spare_bytes == 1


def test_a_body_after_head_ends_the_connection(talk: Conversation):
    client = talk.client()
    client.sends(message("HEAD / HTTP/1.1", "Host: a"))
    backend = talk.backend()
    backend.sends(OK)
    assert client.takes() == OK[:-2]
    assert (client.state, backend.state) == ("open", "aborted")


@pytest.mark.parametrize(
    ("response", "word"),
    [
        (message("HTTP/1.1 200 OK", "Content-Length: 2", CHUNKED, body=b"0\r\n\r\n"), "length_and_coding"),
        (message("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 3", body=b"ok"), "repeated_content_length"),
        (message("HTTP/1.1 200 OK", "Content-Length: 2, 2", body=b"ok"), "bad_content_length"),
        (message("HTTP/1.1 200 OK", "Content-Length: +2", body=b"ok"), "bad_content_length"),
        (message("HTTP/1.1 200 OK", "Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"), "bad_coding"),
        (message("HTTP/1.0 200 OK", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), "bad_coding"),
        (message("HTTP/1.1 204 No Content", "Content-Length: 2", body=b"ok"), "body_not_allowed"),
        (message("HTTP/1.1 204 No Content", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"), "body_not_allowed"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "head"),
        (b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "head"),
        (b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n", "head"),
        (b"HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "head"),
        (b"HTTP/1.1 2000 OK\r\n\r\n", "head"),
        (b"HTTP/2 200 OK\r\n\r\n", "head"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "head"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n", "head_too_large"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000, "head_too_large"),
    ],
)  # fmt: skip
def test_a_response_outside_the_grammar_is_a_bad_gateway(talk: Conversation, response: bytes, word: str):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(response)
    answer = client.takes()
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert answer.count(b"HTTP/1.1") == 1
    assert (client.state, backend.state) == ("open", "aborted")
    assert (talk.line["status"], talk.line["reason"]) == (502, f"bad_response_{word}")


@pytest.mark.parametrize("rest", [b"x\r\nok\r\n", b"2\r\nokx0\r\n\r\n", b"2\nok\r\n", b"-1\r\n", b"0\r\nX : y\r\n\r\n"])
def test_a_broken_chunk_cuts_the_response(talk: Conversation, rest: bytes):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", body=b"1\r\na\r\n"))
    backend.sends(rest)
    assert not client.takes().endswith(b"0\r\n\r\n")
    assert (client.state, backend.state) == ("aborted", "aborted")
    assert talk.line["reason"].startswith("bad_response_")


def test_spare_bytes_after_a_streamed_response_end_the_connection(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(OK[:-1])
    backend.sends(OK[-1:] + OK)
    assert (client.takes(), client.state, backend.state) == (OK, "open", "aborted")
    assert talk.runtime.counts.upstream_spare_bytes == 1


def test_a_broken_chunk_within_an_early_response_cuts_it(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", CHUNKED, body=b"1\r\na\r\n"))
    backend = talk.backend()
    backend.sends(OK[:-1])
    client.sends(b"x\r\n")
    assert (client.state, backend.state) == ("aborted", "aborted")
