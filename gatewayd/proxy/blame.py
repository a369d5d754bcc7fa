"""What the end of an attempt says about the endpoint that was asked."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.proxy.subrequest import Subrequest

# The endpoint took the request and gave no answer.
_UNANSWERED = frozenset({b"upstream_timeout", b"backend_timeout", b"upstream_reset", b"upstream_cut_head"})


def blame(exchange: Exchange | Subrequest, reason: bytes) -> None:
    """Hold the end of an attempt for `reason` against the endpoint, if it had all the time and gave no answer. A kept
    connection that was closed says nothing of it, and a response that was cut is not looked at.
    """
    backend, endpoint = exchange.backend, exchange.endpoint
    closed = reason == b"upstream_closed" and not exchange.reused
    if exchange.status or endpoint is None or backend is None or not (closed or reason in _UNANSWERED):
        return
    if backend.unanswered(endpoint, exchange.sent, monotonic()):
        exchange.port.runtime.counts.upstream_ejections += 1
