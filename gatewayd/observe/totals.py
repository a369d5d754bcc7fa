"""Sums over the reports of workers, so that a counter never goes backwards when a worker is replaced."""

from __future__ import annotations

from collections.abc import Container, Iterable

from gatewayd.observe.counters import BUCKETS, CLASSES, WORKER_COUNTS, Report, RuleReport

Place = tuple[str, str, str]


class Totals:
    """What workers counted in all: those that are gone, and with `with_living` those that live."""

    def __init__(self) -> None:
        self.counts = [0] * len(WORKER_COUNTS)
        self.rules: dict[Place, RuleReport] = {}
        self.connections = 0
        self.requests_in_flight = 0
        self.idle_upstreams = 0

    def add(self, report: Report) -> None:
        """Add the last report of a worker that is gone: its counters, not its gauges."""
        for index, value in enumerate(report.counts):
            self.counts[index] += value
        for rule in report.rules:
            self._add_rule(rule)

    def with_living(self, reports: Iterable[Report]) -> Totals:
        """A new sum of this one and of the reports of living workers, gauges included."""
        whole = Totals()
        whole.counts = list(self.counts)
        for rule in self.rules.values():
            whole._add_rule(rule)
        for report in reports:
            whole.add(report)
            whole.connections += report.connections
            whole.requests_in_flight += report.requests_in_flight
            whole.idle_upstreams += report.idle_upstreams
        return whole

    def prune(self, routes: Container[str]) -> None:
        """Forget routes that are configured no more, so that the series do not grow with the life of the process."""
        self.rules = {place: rule for place, rule in self.rules.items() if not rule.route or rule.route in routes}

    def _add_rule(self, rule: RuleReport) -> None:
        place = (rule.listener, rule.route, rule.rule)
        known = self.rules.get(place)
        if known is None:
            known = self.rules[place] = RuleReport(*place, [0] * CLASSES, [0] * (len(BUCKETS) + 1), 0.0, 0, 0)
        for index, value in enumerate(rule.classes):
            known.classes[index] += value
        for index, value in enumerate(rule.buckets):
            known.buckets[index] += value
        known.seconds += rule.seconds
        known.bytes_in += rule.bytes_in
        known.bytes_out += rule.bytes_out
