"""`gatewayd demo`: the quickstart with its backends; the curl lines of the README."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

import pytest

from tests.processes import ROOT, Process, wait_until
from tests.talk import curl

PORTS = (8080, 9001, 9002)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def demo(start: Callable[..., Process], port: int) -> Process:
    if not all(map(_free, PORTS)):
        pytest.skip(f"the demo's ports {PORTS} are taken on this machine")
    process = start("gatewayd", "demo", "--admin", f"127.0.0.1:{port}", "--workers", "1")
    process.line("gatewayd ready:")
    return process


def test_the_lines_that_it_prints_work(demo: Process):
    lines = [line for line in demo.lines if line.startswith("  curl ")]
    assert len(lines) == 4
    for line in lines:
        words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", line.split("#")[0])]
        answer = curl(*words[1:])
        assert "echo-" in answer or "location: http://shop.example.com:8080/new/page" in answer.lower()
    assert '"path": "/items?id=7"' in curl("-H", "Host: shop.example.com", "localhost:8080/api/v1/items?id=7")


def test_nothing_is_left_when_it_ends(demo: Process):
    assert demo.stop() == 0
    for port in PORTS:
        wait_until(lambda: _free(port), f"port {port} is free again")  # noqa: B023
    assert "Traceback" not in demo.output


def test_nothing_is_left_when_it_is_killed(demo: Process):
    demo.signal(9)
    demo.wait()
    for port in PORTS:
        wait_until(lambda: _free(port), f"port {port} is free again")  # noqa: B023


def test_a_taken_port_is_said_and_nothing_is_left(demo: Process, start: Callable[..., Process]):
    second = start("gatewayd", "demo", "--admin", "off")
    assert second.wait() == 1
    assert "the demo needs port 9001 for its backend echo-a" in second.output
    assert "Traceback" not in second.output
    assert demo.running


def test_quickstart_is_what_the_wheel_carries():
    text = (ROOT / "pyproject.toml").read_text()
    assert '"config/quickstart" = "gatewayd/cli/quickstart"' in text
