"""Exchanges whose rule keeps sessions: from the token of a request to the endpoint, and from there to the response."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from gatewayd.routing.sessions import Place

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.routing.rule import Rule, Share
    from gatewayd.routing.sessions import Sessions
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint
    from gatewayd.wire.response_head import ResponseHead


def resume(exchange: Exchange, rule: Rule, sessions: Sessions) -> Share | None:
    """The share of the session that the request shows, which beats all weights; else one by weight."""
    place = sessions.find(exchange.head.block, exchange.settings.session_key, time())
    if place is None:
        share = rule.pick()
    else:
        share, exchange.bound = place
    exchange.share = share
    return share


def renew(exchange: Exchange) -> None:
    """The endpoint of the session went away before the request could be sent: it may still be there for sessions."""
    sessions = exchange.rule.sessions  # type: ignore[union-attr]
    assert sessions is not None
    place = sessions.find(exchange.head.block, exchange.settings.session_key, time())
    exchange.bound = place.endpoint if place is not None and place.share is exchange.share else None


def tell(exchange: Exchange, sessions: Sessions, head: ResponseHead) -> ResponseHead:
    """The head that carries the token of the endpoint that answered, unless the request showed it."""
    share, endpoint = exchange.share, exchange.endpoint
    if endpoint is not exchange.bound and share is not None:
        key = exchange.settings.session_key
        head = head.copy()
        head.block = sessions.tell(head.block, Place(share, endpoint), key, time(), _secure(exchange))
    return head


def _secure(exchange: Exchange) -> bool:
    """Whether the client came by TLS: to this port, or as a proxy in front says that is trusted."""
    if exchange.port.scheme == b"https":
        return True
    said = exchange.head.value(b"x-forwarded-proto") or b""
    return said.partition(b",")[0].strip(b" \t").lower() == b"https"


def stays(exchange: Exchange, tried: Endpoint | None) -> Endpoint | None:
    """The endpoint that is asked again: where only a kept-alive connection died, a session stays at its endpoint."""
    kept = exchange.reused and exchange.retried and tried is exchange.bound
    return tried if kept and tried is not None and not tried.gone else None


def may_move(exchange: Exchange, backend: Backend) -> bool:
    """Whether a request that could not be sent may be sent elsewhere without a rule for it: once. That the endpoint of
    its session was asked again does not count.
    """
    endpoint = exchange.endpoint
    return (not exchange.retried or endpoint is exchange.bound) and backend.has_other(endpoint)
