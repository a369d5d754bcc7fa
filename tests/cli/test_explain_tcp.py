"""`gatewayd explain` for connections to listeners of protocol TCP."""

from __future__ import annotations

import pytest

from gatewayd.cli import main
from tests.cli.test_explain import CONFIG, explain, one

PORT = CONFIG / "tcp"


@pytest.mark.parametrize(
    ("request_", "route", "reason", "backends"),
    [
        ("tcp://db.example.com:5432", "TCPRoute/default/postgres", "streamed", ["127.0.0.1:9001", "127.0.0.1:9002"]),
        ("tcp://127.0.0.1:5433", "TCPRoute/default/closed", "closed", ["127.0.0.1:9001"]),
    ],
)
def test_answers(capsys: pytest.CaptureFixture[str], request_: str, route: str, reason: str, backends: list[str]):
    found = one(explain(capsys, PORT, request_))
    assert (found["rule"]["route"], found["answer"]["reason"]) == (route, reason)
    assert [each for backend in found["backends"] for each in backend["endpoints"]] == backends


def test_text(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", str(PORT), "--request", "tcp://db.example.com:5432"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("request   tcp://db.example.com:5432\nport      *:5432, tcp\n")
    assert "matches every connection" in said
    assert "answer    the backend's: it gets the bytes of the client as they come\n" in said


def test_without_a_port_all_of_them_are_told(capsys: pytest.CaptureFixture[str]):
    ports = [each["port"]["port"] for each in explain(capsys, PORT, "tcp://db.example.com")["explanations"]]
    assert ports == [5432, 5433]


@pytest.mark.parametrize("request_", ["tcp://db.example.com:9", "tls://db.example.com:5432", "http://localhost:5432/"])
def test_what_no_port_takes(capsys: pytest.CaptureFixture[str], request_: str):
    assert main(["explain", str(PORT), "--request", request_]) == 1
    assert "served are: tcp 5432 (default/databases)" in capsys.readouterr().out
