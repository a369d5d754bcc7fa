from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import pytest

from benchmarks import measure, report, wrk
from benchmarks.driver import row
from benchmarks.measure import Reading
from benchmarks.outcome import Outcome
from benchmarks.workloads import WORKLOADS

LINE = (
    'RESULT {"requests":1000,"microseconds":2000000,"p50":900,"p99":4100,'
    '"status":3,"connect":1,"read":0,"write":0,"timeout":2}'
)


def test_wrk_prints_its_figures_on_one_line() -> None:
    outcome = wrk.parse(f"Running 2s test\n  1 threads and 64 connections\n{LINE}\n")
    assert outcome == Outcome(count=1000, seconds=2.0, errors=6, p50=900, p99=4100)


def test_a_wrk_that_says_nothing_is_no_result() -> None:
    with pytest.raises(ValueError, match="no result"):
        wrk.parse("unable to connect\n")


def reading(cpu: float, resident: int, *processes: int, supervisor: float = 0.0, peak: int = 0) -> Reading:
    return Reading(
        workers=cpu, supervisor=supervisor, supervisor_resident=9, resident=resident, peak=peak, processes=processes
    )


def test_a_row_divides_cpu_time_by_what_was_done() -> None:
    before, after = reading(1.0, 50, 7, supervisor=0.5), reading(1.5, 60, 7, supervisor=0.75, peak=70)
    figures = row("gatewayd", WORKLOADS["head"], Outcome(count=1000, seconds=2.0), before, after)
    assert figures["cost"] == pytest.approx(500.0)  # microseconds
    assert figures["supervisor_seconds"] == pytest.approx(0.25)
    assert figures["rate"] == 500
    assert figures["busy"] == 0.25
    assert (figures["idle_bytes"], figures["resident_bytes"], figures["growth_bytes"]) == (50, 60, 20)
    assert figures["errors"] == 0


def test_a_worker_that_was_replaced_is_an_error() -> None:
    figures = row("gatewayd", WORKLOADS["head"], Outcome(1, 1.0), reading(0, 1, 7), reading(0, 1, 8))
    assert figures["errors"] == 1


def test_nothing_done_costs_nothing() -> None:
    outcome = Outcome(count=0, seconds=1.0, errors=4)
    figures = row("gatewayd", WORKLOADS["stream"], outcome, reading(0, 1, 7), reading(1, 1, 7))
    assert (figures["cost"], figures["errors"]) == (0, 4)


def document(*costs: tuple[str, str, float], started: str = "2026-01-01T00:00:00+00:00") -> dict[str, Any]:
    still = reading(0.0, 1 << 20, 7)
    rows = [
        row(peer, WORKLOADS[name], Outcome(1000, 1.0, p50=1500, p99=2500), still, reading(cost / 1000, 1 << 20, 7))
        for name, peer, cost in costs
    ]
    options = {"rounds": 3, "seconds": 1.0, "access_log": False}
    return {"started": started, "machine": {"kernel": "6.1"}, "versions": {}, "options": options, "rows": rows}


MEASURED = document(
    ("head", "gatewayd", 20), ("head", "nginx", 10), ("head", "gatewayd", 99), ("head", "nginx", 11),
    ("head", "gatewayd", 21), ("head", "nginx", 9),
)  # fmt: skip


def test_the_median_of_the_rounds_counts() -> None:
    summary = report.summaries(MEASURED["rows"])["head"]
    assert summary["gatewayd"]["cost"] == pytest.approx(21)
    assert summary["nginx"]["cost"] == pytest.approx(10)


def test_the_table_has_the_ratio_to_each_peer() -> None:
    lines = report.text(MEASURED).splitlines()
    assert lines[1] == WORKLOADS["head"].title
    assert lines[3].split() == ["gatewayd", "21.0", "1,000", "1.50", "2.50", "2", "1.0", "0.0", "0"]
    assert lines[4].split()[-1] == "2.33"  # of 20/10, 99/11 and 21/9


def test_markdown_tells_the_machine_and_every_workload() -> None:
    text = report.markdown(MEASURED)
    assert "| kernel | 6.1 |" in text
    assert "median of 3\nrounds" in text
    assert "| nginx | 10.0 |" in text


def test_a_later_run_replaces_the_workloads_that_it_has() -> None:
    later = document(("head", "gatewayd", 5), started="2026-01-02T00:00:00+00:00")
    both = report.merged([document(("head", "gatewayd", 1), ("tls", "gatewayd", 2)), later])
    summary = report.summaries(both["rows"])
    assert summary["head"]["gatewayd"]["cost"] == pytest.approx(5)
    assert summary["tls"]["gatewayd"]["cost"] == pytest.approx(2)


def test_lookups_are_compared_with_each_other() -> None:
    text = report.text(document(("lookup-5", "gatewayd", 20), ("lookup-5000", "gatewayd", 21)))
    assert "with 5,000 routes costs 1.050 of" in text


def test_cpu_time_of_another_process_is_what_it_says_itself() -> None:
    busy = "while time.process_time() < 0.3: pass"
    program = f"import sys, time\n{busy}\nprint(time.process_time(), flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=-1, stdout=-1) as child:
        assert child.stdout is not None
        said = float(child.stdout.readline())
        assert measure.cpu_seconds(child.pid) == pytest.approx(said, abs=0.1)
        assert child.pid in measure.children(os.getpid())
        assert child.stdin is not None
        child.stdin.close()


def test_a_peak_is_remembered_until_it_is_forgotten() -> None:
    mine = os.getpid()
    block = bytearray(64 << 20)
    block[::4096] = b"x" * len(block[::4096])
    del block
    peak = measure.memory(mine, "VmHWM")
    measure.forget_peak(mine)
    assert measure.memory(mine, "VmHWM") <= peak - (32 << 20)
    assert time.process_time() <= measure.cpu_seconds(mine)
