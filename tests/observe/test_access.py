"""The access log: what a reader that stopped costs, and what client bytes become."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from gatewayd.observe.access import KEEP_AT_MOST, AccessLog, quoted

LINE = b"x" * 999 + b"\n"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def read_all(fd: int) -> bytes:
    os.set_blocking(fd, False)
    data = b""
    while True:
        try:
            data += os.read(fd, 1 << 20)
        except BlockingIOError:
            return data


def test_a_reader_that_stopped_costs_lines_and_nothing_else(pipe: tuple[int, int]):
    log = AccessLog(pipe[1])
    for _ in range(5000):
        log.write(LINE)
    log.flush()
    assert log.dropped > 0
    assert log._size <= KEEP_AT_MOST
    read = b""
    while more := read_all(pipe[0]):
        read += more
        log.flush()
    assert read.count(b"\n") + log.dropped == 5000
    assert set(read.split(b"\n")) == {LINE[:-1], b""}, "no line is cut"


@pytest.mark.parametrize(
    "text",
    [b"/plain?x=1", b'"', b"\\", b"\x00\r\n\t", b"\x7f\x80\xff", b"/\xe2\x80\xa8", b'","status":200,"x":"'],
)
def test_client_bytes_stay_inside_their_string(text: bytes):
    line = b'{"path":"%b"}' % quoted(text)
    assert line.isascii()
    assert b"\n" not in line
    assert json.loads(line) == {"path": text.decode("latin-1")}


def test_long_texts_are_cut():
    assert len(quoted(b"a" * 100000)) < 2100
