"""The committed report: whatever fails in it is known, and the reason is written down."""

from __future__ import annotations

import json

from tests.h2spec.__main__ import KNOWN, REPORT


def test_only_known_cases_fail() -> None:
    runs = json.loads(REPORT.read_text())["runs"]
    assert {name: set(run["failed"]) for name, run in runs.items()} == KNOWN
    assert all(run["cases"] == 146 for run in runs.values())
