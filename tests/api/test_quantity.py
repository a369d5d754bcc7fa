from __future__ import annotations

import pytest

from gatewayd.api.quantity import milliseconds, seconds, whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0s", 0), ("10s", 10_000), ("500ms", 500), ("1h30m", 5_400_000), ("1m1m", 120_000), ("1h2m3s4ms", 3_723_004)],
)
def test_durations(text: str, expected: int):
    assert milliseconds(text) == expected
    assert seconds(text) == expected / 1000


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", 0), ("64Ki", 65536), ("1k", 1000), ("1.5k", 1500), ("1.5Ki", 1536), ("2Gi", 2**31), ("0.5Mi", 524288)],
)
def test_quantities(text: str, expected: int):
    assert whole(text) == expected


@pytest.mark.parametrize("text", ["", "64KB", "-1", "1.5", "0.0001k", "1_0", "Ki", "1 Ki", "٣", "1e3", "+1", "9" * 40])
def test_no_quantities(text: str):
    with pytest.raises(ValueError, match=r"quantity|whole"):
        whole(text)
