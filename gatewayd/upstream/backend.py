"""Backends: which endpoint takes the next exchange, and what is remembered of endpoints that failed: that they could
not be connected to, or that they took requests and did not answer.
"""

from __future__ import annotations

from collections import deque
from random import random
from typing import TYPE_CHECKING, Any

from gatewayd.upstream.budget import RetryBudget
from gatewayd.upstream.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatewayd.upstream.reserved import Reserved

# Seconds by the number of failures in a row; the last for all further ones.
_EJECTIONS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
# Requests in a row that an endpoint took and did not answer, after which it is left out too.
UNANSWERED = 5


class Backend:
    """One port of a service. `endpoints` are all that take new requests, `live` those of them that did not just fail,
    `leaving` those that take the requests of sessions only, as far as there are any; `waiting` holds exchanges that
    wait for a connection because the limit is reached. `version` counts the changes of the addresses, `requests` what
    was sent here, retries left out, and `refused` the retries for which there was no budget.
    """

    __slots__ = (
        "_counted",
        "_draining",
        "_reserved",
        "budget",
        "endpoints",
        "key",
        "leaving",
        "live",
        "open",
        "refused",
        "requests",
        "shares_connections",
        "version",
        "waiting",
    )

    def __init__(self, key: str, reserved: Reserved | None = None) -> None:
        """What is `reserved` is no endpoint, whoever says so."""
        self.key = key
        self._reserved = reserved
        self.endpoints: tuple[Endpoint, ...] = ()
        self.live: tuple[Endpoint, ...] = ()
        self.leaving: tuple[Endpoint, ...] = ()
        self._draining: tuple[tuple[str, int], ...] = ()
        self.version = 0
        self.open = 0
        self.requests = 0
        self.shares_connections = False
        self.waiting: deque[Any] = deque()
        self.budget = RetryBudget()
        self._counted = 0
        self.refused = 0

    def __repr__(self) -> str:
        return f"<Backend {self.key} {list(self.endpoints)}>"

    def update(self, addresses: Iterable[tuple[str, int]], draining: Iterable[tuple[str, int]] = ()) -> None:
        """Serve these addresses from now on. Known endpoints keep their connections; the others lose the idle ones,
        and what is in flight to them finishes. Those that are `draining` are among the others, until a session asks.
        """
        if self._reserved is not None:
            addresses = self._reserved.without(addresses, self.key)
            draining = self._reserved.without(draining, self.key)
        known = {endpoint.address: endpoint for endpoint in (*self.endpoints, *self.leaving)}
        kept = tuple(
            known.pop(address) if address in known else Endpoint(*address) for address in dict.fromkeys(addresses)
        )
        serving = {endpoint.address for endpoint in kept}
        self._draining = tuple(address for address in draining if address not in serving)
        self.leaving = tuple(known.pop(one.address) for one in self.leaving if one.address in self._draining)
        for endpoint in known.values():
            endpoint.gone = True
            endpoint.kept = False
            endpoint.close_idle()
        for endpoint in kept:
            endpoint.kept = True
        self.endpoints = kept
        self.version += 1
        self._choose_live()

    def retire(self) -> None:
        """No rule leads here any more. What began before may still be sent here (it waits to be authorized, or to be
        tried again), and no connection is kept.
        """
        for endpoint in (*self.endpoints, *self.leaving):
            endpoint.kept = False
            endpoint.close_idle()

    def bindable(self) -> tuple[Endpoint, ...]:
        """The endpoints that a session may be bound to: all that take new requests, and those that are draining. Those
        keep no connections, for a server may wait for the end of all before it ends itself.
        """
        known = {endpoint.address: endpoint for endpoint in self.leaving}
        self.leaving = tuple(known.get(address) or Endpoint(*address) for address in self._draining)
        for endpoint in self.leaving:
            endpoint.kept = False
        return self.endpoints + self.leaving

    def has_other(self, endpoint: Endpoint | None) -> bool:
        """Whether there is an endpoint for new requests besides this one."""
        return any(one is not endpoint for one in self.endpoints)

    def make_room(self, endpoint: Endpoint) -> None:
        """Close an idle connection to another endpoint, so that one to this endpoint can take its place."""
        for other in self.endpoints:
            if other.idle and other is not endpoint:
                connection = next(iter(other.idle))
                del other.idle[connection]
                connection.close()
                return

    def share_connections(self, shares: bool) -> None:
        """Whether one connection carries many exchanges (HTTP/2). What is pooled speaks one protocol only."""
        if shares != self.shares_connections:
            self.shares_connections = shares
            for endpoint in self.endpoints:
                endpoint.close_idle()

    def pick(self, tried: Endpoint | None = None) -> Endpoint | None:
        """The less busy of two endpoints drawn by chance (power of two choices), not `tried`; None without any."""
        among = self.live or self.endpoints
        if tried is not None:
            among = tuple(endpoint for endpoint in among if endpoint is not tried) or tuple(
                endpoint for endpoint in self.endpoints if endpoint is not tried
            )
        count = len(among)
        if count <= 1:
            return among[0] if count else None
        first = int(random() * count)
        second = int(random() * (count - 1))
        if second >= first:
            second += 1
        one, other = among[first], among[second]
        return one if one.active <= other.active else other

    def failed(self, endpoint: Endpoint, now: float) -> None:
        """A connection could not be made: leave the endpoint out for a while, longer each time."""
        endpoint.ejected_until = now + _EJECTIONS[min(endpoint.failures, len(_EJECTIONS) - 1)]
        endpoint.failures += 1
        self._choose_live()

    def worked(self, endpoint: Endpoint) -> None:
        """A connection was made: forget that earlier ones could not."""
        if endpoint.failures:
            endpoint.failures = 0
            if endpoint.unanswered < UNANSWERED:
                self._bring_back(endpoint)

    def unanswered(self, endpoint: Endpoint, sent: float, now: float) -> bool:
        """A request that was sent at `sent` got no answer: after some in a row the endpoint is left out for a while,
        longer each time, unless it is the last. True when it is. What was sent before that tells nothing new.
        """
        if sent < endpoint.doubted_at:
            return False
        endpoint.unanswered += 1
        times = endpoint.unanswered - UNANSWERED
        return times >= 0 and self._doubt(endpoint, now, _EJECTIONS[min(times, len(_EJECTIONS) - 1)])

    def probe(self, endpoint: Endpoint, now: float) -> None:
        """A request goes to an endpoint that did not answer. If it was left out, one request shows what it is worth:
        until that is answered it gets no other.
        """
        if endpoint.unanswered >= UNANSWERED:
            self._doubt(endpoint, now, _EJECTIONS[-1])

    def answered(self, endpoint: Endpoint) -> None:
        """It answers again."""
        if endpoint.unanswered >= UNANSWERED and not endpoint.failures:
            self._bring_back(endpoint)
        endpoint.unanswered = 0

    def _doubt(self, endpoint: Endpoint, now: float, seconds: float) -> bool:
        if self.live == (endpoint,):
            return False
        endpoint.doubted_at = now
        endpoint.ejected_until = now + seconds
        self._choose_live()
        return True

    def _bring_back(self, endpoint: Endpoint) -> None:
        endpoint.ejected_until = 0.0
        self._choose_live()

    def may_retry(self, now: float) -> bool:
        """Take one retry from the budget; False when it is used up."""
        self._count()
        granted = self.budget.take(now)
        self.refused += not granted
        return granted

    def tick(self, now: float) -> None:
        """Count for the budget, and bring back endpoints whose time is over; called with the sweep."""
        self._count()
        self.budget.watch(now)
        if len(self.live) != len(self.endpoints):
            for endpoint in self.endpoints:
                if endpoint.ejected_until and endpoint.ejected_until <= now:
                    endpoint.ejected_until = 0.0
            self._choose_live()

    def _count(self) -> None:
        """Tell the budget, which may be that of other ports too, of the requests since the last time."""
        self.budget.requests += self.requests - self._counted
        self._counted = self.requests

    def _choose_live(self) -> None:
        self.live = tuple(endpoint for endpoint in self.endpoints if not endpoint.ejected_until)
