from __future__ import annotations

import dataclasses

from prometheus_client.parser import text_string_to_metric_families

from gatewayd.observe.counters import BUCKETS, WORKER_COUNTS, Report, RuleReport
from gatewayd.observe.exposition import HELP, render
from gatewayd.observe.facts import Facts
from gatewayd.observe.totals import Totals

FACTS = Facts(
    version="1.2.3",
    python="3.11.0",
    generation=7,
    listeners=2,
    routes=3,
    workers=2,
    workers_running=1,
    worker_restarts=4,
    reloads=9,
    reload_failures=1,
    reload_seconds=0.25,
    unbound_ports=1,
    log_lines_dropped=0,
    problems={"error": 2, "warning": 0},
    worker_generations={0: 7, 1: 6},
    lags={0: 0.001, 1: 0.5},
)


def rule(route: str, *, good: int, bad: int = 0, name: str = "0") -> RuleReport:
    buckets = [0] * (len(BUCKETS) + 1)
    buckets[2], buckets[-1] = good, bad
    return RuleReport("shop/web/http", route, name, [0, 0, good, 0, 0, bad], buckets, 0.5 * good, 10 * good, 20 * good)


def report(worker: int, *rules: RuleReport, connections: int = 0) -> Report:
    return Report(worker, [worker + 1] * len(WORKER_COUNTS), connections, 2, 3, list(rules))


def samples(facts: Facts, totals: Totals) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(render(facts, totals).decode())
        for sample in family.samples
    }


def labels(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


RULE = {"listener": "shop/web/http", "route": "HTTPRoute/shop/cart", "rule": "0"}


def test_workers_living_and_gone_are_summed() -> None:
    totals = Totals()
    totals.add(report(0, rule("HTTPRoute/shop/cart", good=5), connections=99))
    whole = totals.with_living(
        [
            report(0, rule("HTTPRoute/shop/cart", good=1), connections=10),
            report(1, rule("HTTPRoute/shop/cart", good=2, bad=1), connections=20),
        ]
    )
    found = samples(FACTS, whole)
    assert found["gatewayd_requests_total", labels(**RULE, code="2xx")] == 8
    assert found["gatewayd_requests_total", labels(**RULE, code="5xx")] == 1
    assert found["gatewayd_request_duration_seconds_bucket", labels(**RULE, le="0.0025")] == 0
    assert found["gatewayd_request_duration_seconds_bucket", labels(**RULE, le="0.005")] == 8
    assert found["gatewayd_request_duration_seconds_bucket", labels(**RULE, le="60")] == 8
    assert found["gatewayd_request_duration_seconds_bucket", labels(**RULE, le="+Inf")] == 9
    assert found["gatewayd_request_duration_seconds_count", labels(**RULE)] == 9
    assert found["gatewayd_request_duration_seconds_sum", labels(**RULE)] == 4.0
    assert found["gatewayd_request_bytes_total", labels(**RULE)] == 80
    assert found["gatewayd_response_bytes_total", labels(**RULE)] == 160
    assert found["gatewayd_connections_accepted_total", ()] == 1 + 1 + 2
    assert found["gatewayd_connections", ()] == 30
    assert found["gatewayd_requests_in_flight", ()] == 4
    assert found["gatewayd_idle_upstream_connections", ()] == 6
    assert (
        totals.with_living([]).rules[RULE["listener"], RULE["route"], RULE["rule"]].classes[2] == 5
    )  # a scrape adds nothing for good


def test_the_supervisor_tells_of_itself() -> None:
    found = samples(FACTS, Totals())
    assert found["gatewayd_build_info", labels(version="1.2.3", python="3.11.0")] == 1
    assert found["gatewayd_generation", ()] == 7
    assert found["gatewayd_worker_generation", labels(worker="1")] == 6
    assert found["gatewayd_worker_loop_lag_seconds", labels(worker="1")] == 0.5
    assert found["gatewayd_reloads_total", ()] == 9
    assert found["gatewayd_reload_failures_total", ()] == 1
    assert found["gatewayd_worker_restarts_total", ()] == 4
    assert found["gatewayd_configuration_problems", labels(severity="error")] == 2


def test_a_rule_without_requests_is_one_series() -> None:
    whole = Totals().with_living([report(0, rule("HTTPRoute/shop/cart", good=0))])
    found = {key: value for key, value in samples(FACTS, whole).items() if dict(key[1]).get("route")}
    assert found == {("gatewayd_requests_total", labels(**RULE, code="2xx")): 0}


def test_routes_that_are_gone_are_forgotten_and_what_no_route_took_is_kept() -> None:
    totals = Totals()
    totals.add(report(0, rule("HTTPRoute/shop/cart", good=1), rule("HTTPRoute/shop/old", good=1), rule("", good=1)))
    totals.prune({"HTTPRoute/shop/cart"})
    assert sorted(route for _, route, _ in totals.rules) == ["", "HTTPRoute/shop/cart"]


def test_labels_are_escaped() -> None:
    whole = Totals().with_living([report(0, rule('a"b\\c\nd', good=1))])
    assert ("gatewayd_requests_total", labels(**{**RULE, "route": 'a"b\\c\nd'}, code="2xx")) in samples(FACTS, whole)


def test_every_count_is_explained() -> None:
    assert set(HELP) == set(WORKER_COUNTS)
    text = render(FACTS, Totals()).decode()
    for field in dataclasses.fields(Facts):
        if field.type == "int":
            assert f"gatewayd_{field.name}" in text
