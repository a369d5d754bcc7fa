from __future__ import annotations

import pytest

from gatewayd.observe.counters import BUCKETS, RuleCounters


@pytest.mark.parametrize(
    ("status", "place"), [(0, 0), (101, 1), (200, 2), (302, 3), (404, 4), (503, 5), (600, 5), (999, 5)]
)
def test_classes(status: int, place: int):
    counters = RuleCounters()
    counters.add(status, 0.0, 0, 0)
    assert counters.classes == [int(index == place) for index in range(6)]
    assert counters.buckets == [1] + [0] * len(BUCKETS)


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.001, 0), (0.0011, 1), (0.9, 9), (60.0, 14), (60.1, len(BUCKETS))]
)
def test_buckets(seconds: float, place: int):
    counters = RuleCounters()
    counters.add(200, seconds, 0, 0)
    assert counters.buckets == [int(index == place) for index in range(len(BUCKETS) + 1)]


def test_sums():
    counters = RuleCounters()
    for status, seconds in ((200, 0.5), (200, 0.5), (503, 0.5), (200, 70.0)):
        counters.add(status, seconds, 3, 10)
    assert counters.classes == [0, 0, 3, 0, 0, 1]
    assert (sum(counters.buckets), counters.buckets[8], counters.buckets[-1]) == (4, 3, 1)
    assert (counters.seconds, counters.bytes_in, counters.bytes_out) == (71.5, 12, 40)
