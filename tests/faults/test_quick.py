"""The fault experiments work: the quickest of them in their shortest form, as `make faults` runs them.

The others take seconds to minutes and measure time; they are run by hand.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys

import pytest

from tests.faults.__main__ import HERE, OUT, experiments, main
from tests.faults.stage.figures import Figure, at_least, at_most, exactly, quantile, table, told
from tests.processes import ROOT


@pytest.mark.parametrize("name", ["F04", "F10"])
def test_an_experiment_without_bounds_of_time_passes(name: str):
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", name, "--quick"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 of 1 experiments within bounds" in done.stdout
    written = json.loads((OUT / f"{name}.json").read_text())
    assert written["passed"] is True
    assert written["quick"] is True
    assert all(figure["passed"] for figure in written["figures"])


def test_every_promised_experiment_is_there():
    promised = {1, 2, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15, 16, 19, 20}
    assert set(experiments()) == {f"F{number:02}" for number in promised}
    for module in experiments().values():
        text = (HERE / f"{module}.py").read_text()
        assert "\nTITLE = " in text
        assert "\nasync def run(stage: Stage) -> list[Figure]:" in text


def test_an_unknown_experiment_is_wrong_usage(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stopped:
        main(["F99"])
    assert stopped.value.code == 2
    assert "there is no experiment F99" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("figure", "passed"),
    [
        (told("n", 7), True),
        (exactly("n", 0, 0), True),
        (exactly("n", 1, 0), False),
        (at_most("n", 1.0, 1.0), True),
        (at_most("n", 1.1, 1.0), False),
        (at_most("nothing measured", math.nan, 1.0), False),
        (at_least("n", 1, 1), True),
        (at_least("n", 0, 1), False),
        (at_least("nothing measured", math.nan, 1), False),
    ],
)
def test_bounds(figure: Figure, passed: bool):
    assert figure.passed is passed


def test_the_table_shows_what_failed():
    lines = table("F00 title", [told("asked", 7), exactly("lost", 1, 0), at_most("p99", 0.12345, 1.0, "s")])
    assert [line.split() for line in lines] == [
        ["F00", "title"],
        ["asked", "7"],
        ["lost", "1", "=", "0", "FAIL"],
        ["p99", "0.1235", "s", "<=", "1", "pass"],
    ]


@pytest.mark.parametrize(("share", "value"), [(0.0, 1.0), (0.5, 2.0), (0.99, 4.0), (1.0, 4.0)])
def test_quantiles(share: float, value: float):
    assert quantile([4.0, 1.0, 3.0, 2.0], share) == value


def test_the_quantile_of_nothing_is_no_number():
    assert math.isnan(quantile([], 0.99))
