"""The two ends of a benchmark, our client and our backend, against each other."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import client, driver
from benchmarks.outcome import GIB, MIB, Target
from benchmarks.site import GREETING
from tests.processes import free_port, wait_until

BODY = 3 * MIB + 7


def listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def target(start: Callable[..., Any]) -> Target:
    port = free_port()
    start(sys.executable, "-m", "benchmarks.backend", str(port), str(BODY))
    wait_until(lambda: listening(port), "the backend listens")
    return Target(port)


def test_a_greeting(target: Target) -> None:
    assert client.get(target, "/api/") == (200, len(GREETING)) == (200, 66)


def test_downloads_are_counted_in_gib(target: Target) -> None:
    outcome = client.download(target, BODY, connections=2, bodies=3)
    assert outcome.count * GIB == pytest.approx(6 * BODY)
    assert outcome.errors == 0


def test_a_body_of_another_length_is_an_error(target: Target) -> None:
    outcome = client.download(target, BODY - 1, connections=2, bodies=1)
    assert (outcome.count, outcome.errors) == (0, 2)


def test_uploads_are_counted_in_gib(target: Target) -> None:
    outcome = client.upload(target, BODY, connections=2, bodies=2)
    assert outcome.count * GIB == pytest.approx(4 * BODY)
    assert outcome.errors == 0


def test_requests_are_counted_and_timed(target: Target) -> None:
    outcome = client.requests(target, 0.2)
    assert outcome.count > 0
    assert outcome.errors == 0
    assert 0 < outcome.p50 <= outcome.p99


def test_a_backend_that_is_away_is_an_error_for_each_connection() -> None:
    outcome = client.requests(Target(free_port()), 0.2)
    assert (outcome.count, outcome.errors) == (0, 8)


def test_a_wrong_answer_is_told_before_anything_is_timed(target: Target) -> None:
    with pytest.raises(driver.WrongError, match="envoy: localhost/unknown was answered with status 200 and 66 bytes"):
        driver.expect(target, "/unknown", "envoy", status=404)
    with pytest.raises(driver.WrongError, match=f"status 200 and {BODY} bytes"):
        driver.expect(target, "/files/body", "envoy")
