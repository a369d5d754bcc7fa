"""The command's frame: exit codes, one line instead of a traceback, nothing imported that is not needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatewayd import __version__
from gatewayd.cli import COMMANDS, main
from tests.processes import ROOT, Process


def test_version(capsys: pytest.CaptureFixture[str]):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"gatewayd {__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command: str, capsys: pytest.CaptureFixture[str]):
    assert main([command, "--help"]) == 0
    assert f"usage: gatewayd {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["bogus"],
        ["check"],
        ["check", "/no/such/path"],
        ["check", ".", "-o", "xml"],
        ["run", "/no/such/path"],
        ["run", ".", "--workers", "0"],
        ["run", ".", "--workers", "many"],
        ["run", ".", "--port-map", "80"],
        ["run", ".", "--port-map", "80=8080,80=8081"],
        ["run", ".", "--port-map", "80=70000"],
        ["run", ".", "--address-pool", "10.0.0.0/40"],
        ["run", ".", "--admin", "9901"],
        ["run", ".", "--admin", "localhost:x"],
        ["run", ".", "--drain-timeout", "-1"],
        ["status"],
        ["status", ".", "--admin", "127.0.0.1:1"],
        ["explain", ".", "--request", "shop.example.com"],
        ["explain", ".", "--request", "GET http://a:b/"],
        ["explain", ".", "--request", "GET http://a/", "-H", "no colon"],
        ["explain", ".", "--request", "GET http://a/", "-H", "one: 1\r\ntwo: 2"],
        ["echo"],
        ["echo", "--port", "70000"],
        ["echo", "--port", "0", "--tls-cert", "x"],
        ["echo", "--port", "0", "--tls-client-ca", "x"],
        ["echo", "--port", "0", "--tls-cert", "/no/such", "--tls-key", "/no/such"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2_and_says_why(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.strip()
    assert "Traceback" not in said


def test_no_command_at_all_shows_them_all(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    said = capsys.readouterr().err
    assert all(f"\n    {command} " in said for command in COMMANDS)


def test_an_unknown_option_shows_the_usage_of_its_command(capsys: pytest.CaptureFixture[str]):
    assert main(["check", ".", "--bogus"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: gatewayd check ")
    assert said.endswith("gatewayd check: error: unrecognized arguments: --bogus\n")


def test_an_argument_that_is_not_utf8_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    assert main(["check", os.fsdecode(b"a\xff.yaml")]) == 2
    assert capsys.readouterr().err == "gatewayd: the argument 'a\\udcff.yaml' is not UTF-8\n"


@pytest.mark.parametrize("output", ["table", "yaml", "json"])
def test_closed_standard_streams_harm_nothing(output: str):
    words = f"{sys.executable} -m gatewayd status config/quickstart -o {output}"
    assert subprocess.run(["sh", "-c", f"{words} >&- 2>&- <&-"], cwd=ROOT, check=False).returncode == 0


def test_unexpected_error_is_one_line_and_exit_70(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(_: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("gatewayd.cli.check.read", fail)
    monkeypatch.delenv("GATEWAYD_DEBUG", raising=False)
    assert main(["check", str(tmp_path)]) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("gatewayd: unexpected RuntimeError: first line second line")
    monkeypatch.setenv("GATEWAYD_DEBUG", "1")
    with pytest.raises(RuntimeError):
        main(["check", str(tmp_path)])


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["status", "config/quickstart", "-o", "json"], 0),
        (["check", "config/quickstart/routes.yaml", "-o", "json"], 1),
        (["check", "config/quickstart/routes.yaml"], 1),
        (["explain", "config/quickstart", "--request", "GET http://a:99/"], 1),
        (["--help"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_reader_that_goes_away_changes_nothing(arguments: list[str], code: int, unbuffered: str):
    """`gatewayd check ... | head -1` ends quietly, with the code that it would have without."""
    words = [sys.executable, "-W", "error", "-m", "gatewayd", *arguments]
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    try:
        done = subprocess.run(
            words, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, env=environment, check=False, timeout=60
        )
    finally:
        os.close(writing)
    assert (done.returncode, b"rror" in done.stderr) == (code, False), done.stderr


def test_both_streams_may_lose_their_reader():
    words = [sys.executable, "-m", "gatewayd", "check", "config/quickstart/routes.yaml"]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(words, cwd=ROOT, stdout=writing, stderr=writing, check=False, timeout=60)
    finally:
        os.close(writing)
    assert done.returncode == 1


def test_help_loads_no_heavy_module():
    code = "import sys, gatewayd.cli as c; c.main(['--help']); print('MODULES', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    modules = done.stdout.partition("MODULES")[2].split()
    assert "gatewayd.cli" in modules
    assert {"yaml", "cryptography", "uvloop", "h2", "msgspec", "asyncio"}.isdisjoint(modules)


def test_run_with_a_taken_admin_port_is_one_line_and_exit_1(start: Callable[..., Process], port: int):
    with socket.create_server(("127.0.0.1", port)):
        process = start("gatewayd", "run", str(ROOT / "config" / "quickstart"), "--admin", f"127.0.0.1:{port}")
        assert process.wait() == 1
    assert "Traceback" not in process.output
    assert f"127.0.0.1:{port}" in process.output


def test_readiness_line(start: Callable[..., Process], port: int, tmp_path: Path):
    del tmp_path
    process = start(
        "gatewayd",
        "run",
        str(ROOT / "config" / "quickstart"),
        "--admin",
        "off",
        "--workers",
        "2",
        "--port-map",
        f"8080={port}",
    )
    process.line(r"^gatewayd ready: 1 listeners?, 2 routes, 2 workers, generation 1, \d+ ms$")
    assert process.stop() == 0
