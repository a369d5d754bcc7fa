from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from gatewayd.observe.log import LINE_BYTES, WAITING_LINES, Log, describe, encode, fault, open_nonblocking


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reader, writer = os.pipe()
    own = open_nonblocking(writer)
    os.close(writer)
    yield reader, own
    os.close(own)
    try:
        os.close(reader)
    except OSError:
        return


def test_a_line_is_json_with_time_level_message_and_fields(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    Log(writer, worker=3).warning("odd", file="a.yaml", line=7)
    data = os.read(reader, 65536)
    assert data.endswith(b"\n")
    line = orjson.loads(data)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    assert line == {"level": "warning", "message": "odd", "worker": 3, "file": "a.yaml", "line": 7}


def test_lines_below_the_level_are_not_written(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = Log(writer, "warning")
    log.info("no")
    log.error("yes")
    assert os.read(reader, 65536).count(b"\n") == 1


def test_nothing_in_a_line_can_begin_another_line(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    Log(writer).info('a\n{"level":"error"}', text="b\r\nc\x00\u2028")
    data = os.read(reader, 65536)
    assert data.count(b"\n") == 1
    assert orjson.loads(data)["text"] == "b\r\nc\x00\u2028"


def test_a_long_line_is_cut_and_stays_json() -> None:
    data = encode({"message": "m" * 10_000, "hint": '"\n' * 10_000, "line": 7, "items": ["x" * 9000], "none": None})
    assert len(data) <= LINE_BYTES
    line = orjson.loads(data)
    assert line["line"] == 7
    assert line["message"].startswith("mmm")


def test_a_reader_that_stopped_costs_lines_and_no_time(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    log = Log(writer)
    for number in range(2000):
        log.info("x" * 500, number=number)
    assert log.dropped > 0
    assert log.dropped + WAITING_LINES < 2000
    numbers = []
    while True:
        log.flush()
        os.set_blocking(reader, False)
        try:
            data = os.read(reader, 1 << 20)
        except BlockingIOError:
            break
        numbers += [orjson.loads(line)["number"] for line in data.splitlines()]
    assert numbers == sorted(numbers)
    assert len(numbers) == 2000 - log.dropped
    assert numbers[-1] == 1999


def test_a_reader_that_is_gone_costs_lines_only(pipe: tuple[int, int]) -> None:
    reader, writer = pipe
    os.close(reader)
    log = Log(writer)
    log.info("nobody")
    log.info("nobody")
    assert log.dropped == 2


def test_a_full_disk_costs_lines_only() -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    log = Log(descriptor)
    log.info("no room")
    os.close(descriptor)
    assert log.dropped == 1


def test_a_socket_is_not_waited_for_either() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        own = open_nonblocking(ours.fileno())
        log = Log(own)
        for _ in range(5000):
            log.info("x" * 1000)
        assert log.dropped > 0
        assert theirs.recv(10).startswith(b'{"time":')
        assert ours.getblocking()
        os.close(own)


def test_the_descriptor_that_was_given_keeps_its_blocking_mode(tmp_path: Path) -> None:
    file = tmp_path / "log"
    given = os.open(file, os.O_WRONLY | os.O_CREAT)
    own = open_nonblocking(given)
    assert os.get_blocking(given)
    assert not os.get_blocking(own)
    file.write_text("before\n")
    Log(own).info("appended")
    assert file.read_text().startswith("before\n{")
    os.close(own)
    os.close(given)
    nowhere = open_nonblocking(given)
    Log(nowhere).info("a closed descriptor is /dev/null")
    os.close(nowhere)


def test_what_else_is_written_to_the_same_file_overwrites_no_line(tmp_path: Path) -> None:
    file = tmp_path / "both"
    given = os.open(file, os.O_WRONLY | os.O_CREAT)  # as a shell opens it for `> both 2>&1`
    own = open_nonblocking(given)
    Log(own).info("a line of the log")
    os.write(given, b"gatewayd ready\n")
    Log(own).info("another")
    os.close(own)
    os.close(given)
    first, ready, second = file.read_text().splitlines()
    assert orjson.loads(first)["message"] == "a line of the log"
    assert ready == "gatewayd ready"
    assert orjson.loads(second)["message"] == "another"


def test_an_exception_is_one_line_with_its_place() -> None:
    try:
        int("x")
    except ValueError as error:
        text = describe(error)
    assert re.fullmatch(r"ValueError: invalid literal .* \(test_log\.py:\d+\)", text)
    assert describe(KeyError("k")) == "KeyError: 'k'"
    assert fault({"message": "m"}) == ""
    assert fault({"message": "m", "exception": OSError("e")}) == "OSError: e"
