"""The budget of retries (GEP-3388): how many a backend gets, out of which traffic, and of several workers together."""

from __future__ import annotations

import random
from collections import deque

import pytest

from gatewayd.upstream.backend import Backend
from gatewayd.upstream.budget import RetryBudget


def budget(**limits: float) -> RetryBudget:
    made = RetryBudget()
    made.limit(**limits)  # type: ignore[arg-type]
    return made


def spend(of: RetryBudget, now: float) -> int:
    """All retries that it has at that moment."""
    count = 0
    while of.take(now):
        count += 1
        assert count < 100_000
    return count


def ask(of: RetryBudget, requests: int, begin: float, end: float) -> None:
    """So many requests, evenly, with a look at the budget each second as the sweep has it."""
    seconds = max(1, round(end - begin))
    for second in range(seconds):
        of.requests += requests // seconds
        of.watch(begin + second + 1)


SHARES = [
    # (percent, requests in the interval, retries: so many that they are at most that part of all)
    (20, 800, 200),  # the example of the specification: 200 of 1000
    (20, 1000, 250),
    (50, 1000, 1000),
    (5, 1000, 52),
    (1, 1000, 10),
    (0, 1000, 1),
]


@pytest.mark.parametrize(("percent", "requests", "retries"), SHARES)
def test_retries_are_at_most_a_part_of_all_that_is_sent(percent: int, requests: int, retries: int):
    """But for the one that the bucket holds when hardly anything flows into it."""
    made = budget(percent=percent, interval=10.0, count=1, every=3600.0)
    ask(made, requests, 0.0, 10.0)
    assert spend(made, 10.0) == retries


def test_all_may_be_retries():
    made = budget(percent=100, count=1, every=3600.0)
    made.requests += 1
    assert all(made.take(1.0) for _ in range(1000))


def test_without_requests_there_is_the_least_rate():
    made = budget(percent=20, count=10, every=1.0)
    assert spend(made, 100.0) == 10
    assert spend(made, 100.05) == 0
    for moment in range(1, 30):
        assert spend(made, 100.0 + moment) == 10


def test_the_least_rate_is_no_addition_to_the_share():
    made = budget(percent=20, interval=10.0, count=50, every=10.0)
    ask(made, 800, 0.0, 10.0)
    assert spend(made, 10.0) == 200
    assert spend(made, 15.0) == 25, "what flowed into the bucket since"


def test_fractions_add_up():
    made = budget(percent=0, count=10, every=1.0)
    spend(made, 0.0)
    assert sum(spend(made, step * 0.03125) for step in range(1, 65)) == 20


def test_requests_count_as_long_as_the_interval_lasts():
    made = budget(percent=50, interval=4.0, count=1, every=3600.0)
    made.take(-1000.0)
    ask(made, 400, 0.0, 4.0)
    assert spend(made, 4.0) == 400
    for now in range(6, 8):  # each second another hundred of them is out of date, and no retry is
        made.watch(float(now))
        assert spend(made, float(now)) == 0
    made.watch(9.0)
    assert spend(made, 9.0) == 0, "nothing came meanwhile"


def test_a_retry_is_forgotten_when_the_interval_is_over():
    made = budget(percent=50, interval=4.0, count=1, every=3600.0)
    made.take(-1000.0)
    made.requests += 10
    assert spend(made, 0.0) == 10
    ask(made, 80, 0.0, 4.0)
    assert spend(made, 4.25) == 82, "of the first requests a part is out of date too"


def test_calm_backends_remember_nearly_nothing():
    made = budget(percent=20, interval=10.0)
    made.requests += 5
    for second in range(500):
        made.watch(float(second))
        assert len(made._marks) <= 12
    assert len(made._marks) == 2
    made.requests += 1000
    made.watch(500.0)
    assert spend(made, 500.0) >= 200, "the new ones are not spread over the calm"


def test_a_budget_that_is_used_remembers_a_bounded_number_of_moments():
    made = budget(percent=100, interval=3600.0)
    for step in range(20_000):
        made.requests += 1
        made.take(step * 0.7)
    assert len(made._marks) <= 23
    assert len(made._retries) <= 23


@pytest.mark.parametrize("seed", range(8))
def test_no_interval_has_more(seed: int):
    """Whatever the traffic: at each retry, those of the last interval are within the share of what was sent in it, or
    within the least rate.
    """
    chance = random.Random(seed)
    percent, interval, count = chance.choice([1, 5, 20, 60]), chance.choice([1.0, 4.0, 30.0]), chance.choice([1, 7])
    made = budget(percent=percent, interval=interval, count=count, every=2.0)
    sent, retried, rare = deque[float](), deque[float](), deque[float]()
    now, swept = 0.0, 0.0
    for _ in range(20_000):
        now += chance.expovariate(chance.choice([5.0, 50.0, 500.0]))
        while swept + 1.0 <= now:
            swept += 1.0
            made.watch(swept)
        made.requests += 1
        sent.append(now)
        if chance.random() < 0.7 and made.take(now):
            retried.append(now)
            for each in (sent, retried):
                while each[0] <= now - interval:
                    each.popleft()
            # A second, for a request counts as of the next look at the clock.
            if len(retried) * 100 > percent * (len(sent) + len(retried)) * (1 + 1.0 / interval) + 100:
                rare.append(now)
                while rare[0] <= now - interval:
                    rare.popleft()
                assert len(rare) <= count + count * interval / 2.0 + 1


@pytest.mark.parametrize(("count", "workers"), [(10, 2), (3, 2), (1, 4), (1000, 8)])
def test_workers_share_the_least_rate(count: int, workers: int):
    budgets = [RetryBudget() for _ in range(workers)]
    for one in budgets:
        one.limit(0, 10.0, count, 1.0, parts=workers)
    first = sum(spend(one, 0.0) for one in budgets)
    assert first <= max(count, workers), "each may try again once in any case"
    later = sum(spend(one, step * 0.125) for step in range(1, 8 * 60 + 1) for one in budgets)
    assert later == pytest.approx(60 * count, abs=workers)


def test_defaults():
    """Those of XBackendTrafficPolicy: 20 % in 10 s, ten a second in any case, of which a hundred may wait."""
    made = RetryBudget()
    assert (spend(made, 0.0), spend(made, 1.0), spend(made, 4.0), made.strict) == (100, 10, 30, False)


def test_other_limits_hold_from_now_on_and_forgive_nothing():
    made = budget(percent=50, count=1, every=3600.0)
    ask(made, 100, 0.0, 10.0)
    assert spend(made, 10.0) == 100
    made.limit(60, 10.0, 1, 3600.0)
    assert spend(made, 10.0) == 50
    made.limit(10, 10.0, 1000, 3600.0)
    assert spend(made, 10.0) == 0
    assert spend(made, 28.0) == 5, "what flowed into the greater bucket"


def test_ports_of_one_service_share_a_budget():
    one, other = Backend("shop/cart:80"), Backend("shop/cart:81")
    one.budget = other.budget = budget(percent=20, count=1, every=3600.0)
    one.requests += 40
    other.requests += 40
    other.tick(1.0)
    assert sum(one.may_retry(1.0) for _ in range(50)) == 20
    assert not other.may_retry(1.0)
    one.tick(2.0)
    assert one.budget.requests == 80, "requests are told once"
