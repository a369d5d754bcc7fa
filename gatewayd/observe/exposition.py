"""Metrics as Prometheus text. Counting is ours (`counters`); prometheus_client writes the format."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from gatewayd.observe.counters import BUCKETS, WORKER_COUNTS
from gatewayd.observe.facts import Facts
from gatewayd.observe.totals import Totals

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LABELS = ("listener", "route", "rule")
BOUNDS = (*(f"{bound:g}" for bound in BUCKETS), "+Inf")
HELP = {
    "connections_accepted": "Connections accepted.",
    "connections_closed": "Connections closed.",
    "accept_pauses": "Times that no further connection was taken for want of descriptors or memory: clients wait then.",
    "tls_handshake_failures": "TLS handshakes that failed or timed out.",
    "requests_refused": "Requests that the gateway refused as malformed or too large.",
    "upstream_connects": "Connections opened to endpoints.",
    "upstream_connect_failures": "Connections to endpoints that could not be opened.",
    "upstream_ejections": "Times that an endpoint was left out because it did not answer several requests in a row.",
    "upstream_retries": "Requests that were sent again, to another endpoint or over another connection.",
    "upstream_retries_refused": "Requests that were not sent again because the budget of retries was used up.",
    "upstream_resets": "Connections that an endpoint cut in the middle of a response.",
    "upstream_spare_bytes": "Connections closed because an endpoint sent bytes that nobody asked for.",
    "mirrors_sent": "Copies of requests sent to mirrors.",
    "mirrors_dropped": "Copies not sent: the body was too long, or too many copies were in flight.",
    "authorizations_asked": "Questions to authorization services.",
    "authorizations_denied": "Requests that an authorization service did not allow.",
    "authorizations_failed": "Requests refused because an authorization service gave no answer that counts.",
    "access_lines_dropped": "Lines of the access log that were lost because nobody took them.",
    "exceptions": "Defects of the gateway itself: exceptions that ended a connection.",
}


GAUGES = {
    "generation": "The newest generation of the configuration.",
    "listeners": "Listeners that are served.",
    "routes": "Routes that are served.",
    "workers": "Workers that should run.",
    "workers_running": "Workers that run.",
    "reload_seconds": "What it took to read and plan the newest configuration.",
    "unbound_ports": "Ports of Gateways that cannot be listened on.",
}
COUNTERS = {
    "worker_restarts": "Workers that ended and were replaced.",
    "reloads": "Configurations read, the first one included.",
    "reload_failures": "Configurations that were refused by the plan or by a worker as a whole.",
    "log_lines_dropped": "Lines of the supervisor's log that were lost because nobody took them.",
}


def render(facts: Facts, totals: Totals) -> bytes:
    """All metrics. Costs some microseconds for each series, so for thousands of routes it belongs into a thread."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Once(itertools.chain(_facts(facts), _workers(totals), _rules(totals))))
    return generate_latest(registry)


class _Once(Collector):
    """Gives its metrics to the one collection that a rendering is."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _facts(facts: Facts) -> Iterator[Metric]:
    yield InfoMetricFamily("gatewayd_build", "The program.", value={"version": facts.version, "python": facts.python})
    for name, text in GAUGES.items():
        yield GaugeMetricFamily(f"gatewayd_{name}", text, value=getattr(facts, name))
    for name, text in COUNTERS.items():
        yield CounterMetricFamily(f"gatewayd_{name}", text, value=getattr(facts, name))
    problems = GaugeMetricFamily(
        "gatewayd_configuration_problems", "Problems of the configuration in force.", labels=["severity"]
    )
    for severity, count in facts.problems.items():
        problems.add_metric([severity], count)
    yield problems
    generations = GaugeMetricFamily("gatewayd_worker_generation", "The generation a worker serves.", labels=["worker"])
    for worker, generation in facts.worker_generations.items():
        generations.add_metric([str(worker)], generation)
    yield generations
    lags = GaugeMetricFamily(
        "gatewayd_worker_loop_lag_seconds",
        "Worst delay of a worker's event loop in its last second.",
        labels=["worker"],
    )
    for worker, lag in facts.lags.items():
        lags.add_metric([str(worker)], lag)
    yield lags


def _workers(totals: Totals) -> Iterator[Metric]:
    for name, value in zip(WORKER_COUNTS, totals.counts, strict=True):
        yield CounterMetricFamily(f"gatewayd_{name}", HELP.get(name, name.replace("_", " ")), value=value)
    yield GaugeMetricFamily("gatewayd_connections", "Connections that are open.", value=totals.connections)
    yield GaugeMetricFamily(
        "gatewayd_requests_in_flight", "Requests and streams in flight.", value=totals.requests_in_flight
    )
    yield GaugeMetricFamily(
        "gatewayd_idle_upstream_connections", "Connections to endpoints that wait for use.", value=totals.idle_upstreams
    )


def _rules(totals: Totals) -> Iterator[Metric]:
    requests = CounterMetricFamily("gatewayd_requests", "Requests answered.", labels=[*LABELS, "code"])
    seconds = HistogramMetricFamily(
        "gatewayd_request_duration_seconds", "Time from a request's head to the response's end.", labels=LABELS
    )
    received = CounterMetricFamily("gatewayd_request_bytes", "Bytes of request bodies.", labels=LABELS)
    sent = CounterMetricFamily("gatewayd_response_bytes", "Bytes of response bodies.", labels=LABELS)
    for place, rule in sorted(totals.rules.items()):
        if not any(rule.classes):
            requests.add_metric([*place, "2xx"], 0)  # it exists; 20 series of zeros would say no more
            continue
        for hundreds, count in enumerate(rule.classes):
            if count:
                requests.add_metric([*place, f"{hundreds}xx" if hundreds else "none"], count)
        cumulative = itertools.accumulate(rule.buckets)
        seconds.add_metric(place, list(zip(BOUNDS, map(float, cumulative), strict=True)), rule.seconds)
        received.add_metric(place, rule.bytes_in)
        sent.add_metric(place, rule.bytes_out)
    yield from (requests, seconds, received, sent)
