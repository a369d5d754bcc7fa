"""Attempts: how long a rule lets an exchange take, and how often it may ask a backend (GEP-1742, GEP-1731).

Only an exchange whose rule has timeouts or a retry, or that is a gRPC call with a deadline, owns one of these, with at
most two timers: one for the whole exchange, one for the present attempt or for the wait before the next. Nothing is
tried again once the client has been sent anything, when the request is not at hand any more, or when the backend's
budget of retries is used up.
"""

from __future__ import annotations

from random import random
from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.blame import blame
from gatewayd.routing.snapshot import Timeouts
from gatewayd.wire import grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatewayd.proxy.exchange import Exchange
    from gatewayd.routing.snapshot import Retry, RulePlan
    from gatewayd.wire.response_head import ResponseHead

# RFC 9110 section 9.2.2: sending these again has the effect of sending them once.
IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE", b"TRACE"})
UNPROCESSED = b"upstream_unprocessed"  # the backend said that it did nothing with the request
KEPT_BODY = 65536  # bytes of a request's body that are kept to be sent again
GROWTH_LIMIT = 10.0  # the wait doubles with each attempt, up to so many times the first
_TIMEOUTS = frozenset({b"backend_timeout", b"upstream_timeout"})
_BAD_RESPONSE = b"bad_response_"
_AT_ONCE = 1e-6


class Attempts:
    """The attempts of one exchange. `retry` is None where only time is limited."""

    __slots__ = ("_exchange", "_growth", "_left", "_limit", "_one", "_tried", "_whole", "retry")

    def __init__(self, exchange: Exchange, plan: RulePlan) -> None:
        timeouts = plan.timeouts or Timeouts()
        self._exchange = exchange
        self.retry: Retry | None = plan.retry
        self._left = 0 if plan.retry is None else plan.retry.attempts
        self._growth = 1.0
        self._limit = timeouts.backend_request
        self._tried: Any = None
        self._whole = self._timer(_whole(exchange, timeouts.request), self._expire)
        self._one = self._timer(self._limit, self._expire_one)

    def close(self) -> None:
        """The exchange is over."""
        for timer in (self._whole, self._one):
            if timer is not None:
                timer.cancel()
        self._whole = self._one = None
        self._exchange.attempts = None

    def hold(self) -> None:
        """No attempt is made yet: somebody else has to allow it first."""
        if self._one is not None:
            self._one.cancel()

    def proceed(self) -> None:
        """The first attempt begins now."""
        self._one = self._timer(self._limit, self._expire_one)

    # -- time --------------------------------------------------------------------------------------------------------

    def _timer(self, seconds: float, callback: Callable[[], None]) -> Any:
        """A timer of the loop, exact to milliseconds; None when there is no limit."""
        return self._exchange.port.runtime.loop.call_later(seconds, self._guard, callback) if seconds else None

    def _guard(self, callback: Callable[[], None]) -> None:
        exchange = self._exchange
        try:
            callback()
        except Exception as error:
            exchange.port.runtime.failed(error)
            if exchange.down is not None:
                exchange.down.abort()

    def _expire(self) -> None:
        """The whole exchange took too long."""
        self._cut(b"request_timeout")

    def _expire_one(self) -> None:
        """This attempt took too long."""
        exchange = self._exchange
        if exchange.up is not None and exchange.ended:
            blame(exchange, b"backend_timeout")
        if exchange.status or not self.again(b"backend_timeout"):
            self._cut(b"backend_timeout")

    def _cut(self, reason: bytes) -> None:
        """504 while the client was sent nothing; else the response must not look complete, or as if it was well if it
        is one of gRPC. Tunnels have no end.
        """
        exchange = self._exchange
        if not exchange.status:
            exchange.reply(504, reason)
        elif exchange.status != 101:
            exchange.reason = reason
            exchange.abort_upstream()
            exchange.down.cut(504, reason)
            exchange.finish(monotonic())

    # -- trying again --------------------------------------------------------------------------------------------------

    def keep(self, data: bytes, trailers: bytes) -> bytes:
        """The body to keep after `data` came; b"" when it became too long to be sent again."""
        exchange = self._exchange
        known = exchange.body
        if self.retry is None or exchange.bytes_in - len(data) != len(known) or exchange.bytes_in > KEPT_BODY:
            return b""
        exchange.trailers = trailers
        return known + data

    def declines(self, head: ResponseHead, ended: bool, now: float) -> bool:
        """Whether the response is thrown away because its status is one to try again for."""
        retry = self.retry
        exchange = self._exchange
        if retry is None or head.status not in retry.codes or not self._may_go_on():
            return False
        granted = exchange.backend.may_retry(now)  # type: ignore[union-attr]
        if not granted and not exchange.backend.budget.strict:  # type: ignore[union-attr]
            return False
        if ended:
            up, exchange.up = exchange.up, None
            up.release(now)
        if granted:
            self._wait()
        else:
            exchange.over_budget()
        return True

    def again(self, reason: bytes, *, sent: bool = True) -> bool:
        """Try again in a while, after an attempt that failed without a response, or answer that the budget is used up;
        False when neither may be. `sent`: the backend may have acted on the request, so it must be one that may be
        sent twice.
        """
        retry = self.retry
        if retry is None or (sent and self._exchange.head.method not in IDEMPOTENT):
            return False
        if reason.startswith(_BAD_RESPONSE) and 502 not in retry.codes:
            return False
        if not self._may_go_on():
            return False
        if not self._exchange.backend.may_retry(monotonic()):  # type: ignore[union-attr]
            return self._exchange.over_budget()
        # What is pooled may be as dead as a connection that was lost; a timeout says nothing of it.
        self._exchange.retried = reason not in _TIMEOUTS
        self._wait()
        return True

    def last_status(self, status: int, reason: bytes) -> int:
        """The answer when no attempt is left: a connection that was lost is 503 (GEP-1731)."""
        lost = status == 502 and not reason.startswith(_BAD_RESPONSE)
        return 503 if lost and self.retry is not None else status

    def _may_go_on(self) -> bool:
        exchange = self._exchange
        whole = exchange.bytes_in == len(exchange.body) <= KEPT_BODY
        return self._left > 0 and whole

    def _wait(self) -> None:
        """Let go of what is left of this attempt, and begin the next after at least the configured time."""
        exchange, retry = self._exchange, self.retry
        assert retry is not None
        self._left -= 1
        if self._one is not None:
            self._one.cancel()
        self._tried = exchange.let_go()
        if not exchange.ended:
            exchange.down.pause()
        seconds = retry.backoff * self._growth * (1 + random() / 4)  # noqa: S311  it keeps no secret
        self._growth = min(GROWTH_LIMIT, self._growth * 2)
        self._one = exchange.port.runtime.loop.call_later(seconds, self._guard, self._begin)

    def _begin(self) -> None:
        self._one = self._timer(self._limit, self._expire_one)
        self._exchange.send_again(self._tried)


def _whole(exchange: Exchange, limit: float) -> float:
    """Seconds for the whole exchange, 0 for no limit: the rule's own, or what is left to a gRPC call, whichever is
    less. A call whose time is over already ends in the loop's next turn.
    """
    head = exchange.head
    asked = grpc.timeout(head.value(b"grpc-timeout")) if head.call else None
    if asked is None:
        return limit
    return min(limit or asked, asked) or _AT_ONCE


def may_send_again(exchange: Exchange, reason: bytes) -> bool:
    """Whether an exchange without a retry of its own, whose connection was lost, may be sent once more: nothing of the
    answer came, all of the request is at hand, and twice is as once, which the method says, or the backend (RFC 9113
    section 8.7). An endpoint that closed a new connection gets it no second time, so there must be another one then.
    """
    unprocessed = reason == UNPROCESSED
    return (
        (exchange.reused or unprocessed or exchange.backend.has_other(exchange.endpoint))  # type: ignore[union-attr]
        and not exchange.retried
        and (unprocessed or (reason == b"upstream_closed" and exchange.head.method in IDEMPOTENT))
        and exchange.ended
        and exchange.bytes_in == len(exchange.body)
        and not exchange.interims
    )
