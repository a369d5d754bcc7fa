"""gRPC in the benchmark: the server, what is said to it, and how wrong answers show."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from benchmarks import __main__ as command
from benchmarks import driver, greeter, h2load, http2
from benchmarks.greeter.server import varint
from benchmarks.outcome import Outcome, Target
from benchmarks.peers.peer import find
from benchmarks.site import GREETING
from tests.processes import free_port, wait_until

PRINTED = """\
finished in 2.00s, 50.00 req/s, 3.94KB/s
requests: 100 total, 100 started, 100 done, {succeeded} succeeded, 0 failed, 0 errored, 0 timeout
status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 20.00KB (20480) total, 1.00KB (1024) headers (space savings 90.00%), 7.13KB ({data}) data
"""
CALLS = h2load.Load(4, 16, call=True)


@pytest.fixture
def server(start: Callable[..., Any]) -> Target:
    """The substitute."""
    port = free_port()
    start(sys.executable, "-m", "benchmarks.greeter.server", str(port))

    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listening, "the server listens")
    return Target(port, http2=True, behind=port)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 123_456_789])
def test_numbers_are_read_as_they_are_written(number: int) -> None:
    assert greeter.number(b"\x08" + varint(number)) == number


def test_no_field_is_the_number_zero() -> None:
    assert greeter.number(b"") == 0


def test_the_messages_are_those_of_protobuf() -> None:
    assert greeter.REQUEST == b"\0\0\0\0\x15\x0a\x13a caller who greets"
    assert len(greeter.ANSWER) == 5 + 2 + 66


def test_a_call_ends_with_status_0_and_is_counted(server: Target) -> None:
    before = h2load.served(server)
    reply = http2.call(server, greeter.GREET)
    assert (reply.status, reply.body, reply.well) == (0, greeter.ANSWER, True)
    assert h2load.served(server) == before + 1


def test_a_client_of_grpcio_is_greeted(server: Target) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        assert channel.unary_unary(greeter.GREET)(b"", timeout=60) == greeter.ANSWER[5:]


def test_a_failed_call_is_told_before_anything_is_timed(server: Target) -> None:
    driver.greet(server, "envoy")
    assert http2.call(server, "/unknown/Greet").status == grpc.StatusCode.UNIMPLEMENTED.value[0]
    assert not greeter.Reply(None, greeter.ANSWER).well
    assert not greeter.Reply(0, b"").well


@pytest.mark.skipif(find("h2load") is None, reason="h2load is not installed")
def test_calls_are_counted_and_none_failed(server: Target) -> None:
    outcome = h2load.calls(server, 0.2, CALLS)
    assert outcome.count >= 64
    assert outcome.errors == 0


@pytest.mark.skipif(find("h2load") is None, reason="h2load is not installed")
def test_calls_that_the_server_did_not_count_are_errors(server: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h2load, "served", lambda _: 7)
    monkeypatch.setattr(h2load, "run", lambda *_: Outcome(5, 1.0))
    monkeypatch.setattr(greeter, "GREET", "/unknown/Greet")
    assert h2load.calls(server, 0.2, CALLS).errors == 5 + h2load.SAMPLE


@pytest.mark.parametrize(("succeeded", "whole", "errors"), [(100, 100, 0), (100, 97, 3), (90, 90, 10), (90, 80, 20)])
def test_a_call_without_its_message_is_an_error(succeeded: int, whole: int, errors: int) -> None:
    printed = PRINTED.format(succeeded=succeeded, data=whole * len(greeter.ANSWER))
    outcome = CALLS.read(printed)
    assert (outcome.count, outcome.errors) == (whole, errors)


def test_without_go_calls_are_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(greeter, "PROGRAM", tmp_path / "greeter")
    monkeypatch.setattr(greeter, "find", lambda _: None)
    plan = command.chosen(command.parser().parse_args(["--only", "grpc,h2c,reload"]))
    kept, omission = command.without_calls(plan)
    assert [workload.name for workload in kept.workloads] == ["h2c"]
    assert [experiment.name for experiment in kept.experiments] == ["reload"]
    assert "grpc is left out: the gRPC server is a Go program" in omission


def test_what_go_says_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(greeter, "PROGRAM", tmp_path / "build" / "greeter")
    monkeypatch.setattr(greeter, "find", lambda _: "/bin/false")
    with pytest.raises(greeter.UnbuildableError, match="cannot be built"):
        greeter.build()


def test_a_program_newer_than_its_sources_is_not_built_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "greeter"
    program.touch()
    monkeypatch.setattr(greeter, "PROGRAM", program)
    monkeypatch.setattr(greeter, "find", lambda _: None)
    greeter.build()
    assert greeter.launch(9).command == [str(program), "127.0.0.1:9", GREETING.decode()]
