"""No message of a client costs more than in proportion to its size.

Each bound is many times what the slowest of these takes; what grows with the square of its size would miss it by far.
Time is the process's own, so a busy machine fails nothing, and the best of three tries counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from gatewayd.wire.body import ChunkedBody
from gatewayd.wire.clienthello import parse_client_hello
from gatewayd.wire.path import normalise
from gatewayd.wire.refused import Refused
from tests.corpora.row import request
from tests.wire.reading import read_request, read_response, single_bytes

SIZE = 65000


def seconds(work: Callable[[], object]) -> float:
    """The least of three tries."""
    tries = []
    for _ in range(3):
        began = time.process_time()
        work()
        tries.append(time.process_time() - began)
    return min(tries)


def _fill(unit: str) -> list[str]:
    """As many lines of `unit` as fit."""
    return [unit] * (SIZE // (len(unit) + 2))


HEADS = {
    "many short lines": request(*_fill("a:")),
    "many lines, no colon in the last": request(*_fill("a:")[:-1], "b"),
    "many lines, a control in the last": request(*_fill("a:")[:-1], "b:\0"),
    "lines of specials": request(*_fill("Te: a")),
    "lines of long specials": request(*_fill("Transfer_Encoding: x")),
    "look-alikes of specials": request(*_fill("X-Forwarded-Fox: a")),
    "repeated connection": request(*["Connection: " + "a," * 300 + "b"] * 90),
    "one long name": request("a" * SIZE + ": b"),
    "one long name without colon": request("a" * SIZE),
    "one long value": request("a: " + "b" * SIZE),
    "spaces in a value": request("a:" + " " * SIZE),
    "spaces in a special value": request("TE:" + " " * SIZE),
    "spaces between letters of a special": request("TE:" + " \tx" * (SIZE // 3)),
    "spaces before a control": request("TE:" + " " * SIZE + "\0"),
    "spaces before a letter": request("Connection:" + " " * SIZE + "x"),
    "connection of commas": request("Connection: " + "," * SIZE),
    "connection of commas and spaces": request("Connection: a" + ", " * (SIZE // 2) + '"'),
    "coding of commas": request("Transfer-Encoding: " + ", " * (SIZE // 2) + "x"),
    "coding of names": request("Transfer-Encoding: " + "a," * (SIZE // 2) + '"'),
    "upgrade of names": request("Connection: upgrade", "Upgrade: " + "a," * (SIZE // 2)),
    "a long host": request(host="Host: " + "a." * (SIZE // 2)),
    "a long host with a port": request(host="Host: a:" + "1" * SIZE),
    "a long IPv6 host": request(host="Host: [" + ":" * SIZE),
    "digits of a length": request("Content-Length: " + "1" * SIZE),
    "a long method": request(line="A" * SIZE + " / HTTP/1.1"),
    "a long version": request(line="GET / HTTP/1.1" + "1" * SIZE),
    "spaces in the request line": request(line="GET" + " " * SIZE + "/ HTTP/1.1"),
    "a path of slashes": request(line="GET " + "/" * 16000 + " HTTP/1.1"),
    "a path of dots": request(line="GET " + "/.." * 5000 + " HTTP/1.1"),
    "a path of up and down": request(line="GET " + "/a/.." * 3000 + " HTTP/1.1"),
    "a path of escapes": request(line="GET /" + "%2e" * 5000 + " HTTP/1.1"),
    "a path of encoded slashes": request(line="GET /" + ".%2F" * 4000 + " HTTP/1.1"),
    "a path of percents": request(line="GET /" + "%" * 16000 + " HTTP/1.1"),
    "a query of questions": request(line="GET /" + "?" * 16000 + " HTTP/1.1"),
    "absolute-form": request(line="GET http://" + "a" * 16000 + " HTTP/1.1"),
    "carriage returns": request("a: " + "\r" * SIZE),
    "line ends": b"GET / HTTP/1.1" + b"\r\n" * (SIZE // 2),
}


@pytest.mark.parametrize("data", HEADS.values(), ids=HEADS)
def test_a_large_head_is_judged_in_no_time(data: bytes):
    assert seconds(lambda: read_request([data])) < 0.05


@pytest.mark.parametrize("data", HEADS.values(), ids=HEADS)
def test_a_large_response_is_judged_in_no_time(data: bytes):
    answer = b"HTTP/1.1 200 OK" + data[data.find(b"\r\n") :]
    assert seconds(lambda: read_response([answer], b"GET")) < 0.05


def test_names_in_connection_cost_little_also_when_they_are_new():
    names = (",".join(f"x{number}" for number in range(start, start + 9000)) for start in (10000, 20000, 30000))
    heads = iter([request("A: b", f"Connection: {listed}") for listed in names])
    assert seconds(lambda: read_request([next(heads)])) < 0.05


@pytest.mark.parametrize(
    "name", ["many short lines", "one long value", "one long name without colon", "spaces before a letter"]
)
def test_a_large_head_byte_by_byte(name: str):
    parts = single_bytes(HEADS[name])
    began = time.process_time()
    read_request(parts)
    assert time.process_time() - began < 2


CHUNKS = {
    "chunks of one byte": b"1\r\na\r\n" * 10000,
    "extensions": (b"1;" + b"a" * 200 + b"\r\na\r\n") * 80,
    "many trailers": b"0\r\n" + b"a:\r\n" * 2000 + b"\r\n",
    "trailers without end": b"0\r\n" + b"a:\r\n" * 2000,
    "a long size": b"0" * SIZE,
    "one trailer": b"0\r\na:" + b" " * 8000 + b"\r\n\r\n",
}


def _decode(parts: list[bytes]) -> None:
    decoder = ChunkedBody()
    try:
        for part in parts:
            decoder.feed(part)
    except Refused:
        pass


@pytest.mark.parametrize("data", CHUNKS.values(), ids=CHUNKS)
def test_chunks_are_decoded_in_no_time(data: bytes):
    assert seconds(lambda: _decode([data])) < 0.3


@pytest.mark.parametrize("data", CHUNKS.values(), ids=CHUNKS)
def test_chunks_byte_by_byte(data: bytes):
    parts = single_bytes(data)
    began = time.process_time()
    _decode(parts)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("unit", [b"/..", b"/.", b"/a/..", b"/%2e", b"/%41", b"//", b"/..%2f", b"%2F."])
def test_a_long_path_is_normalised_in_no_time(unit: bytes):
    path = b"/" + unit * (16000 // len(unit))

    def work() -> None:
        try:
            normalise(path)
        except ValueError:
            pass

    assert seconds(work) < 0.05


def test_a_hello_of_tiny_records():
    hello = b"\x01\x00\x7f\x00" + bytes(0x7F00)
    data = b"".join(b"\x16\x03\x01\x00\x01" + hello[place : place + 1] for place in range(len(hello) - 1))

    def work() -> None:
        with pytest.raises(ValueError, match="too many records"):
            parse_client_hello(data)

    assert seconds(work) < 0.05
