"""Exchanges whose rule keeps sessions: from the token of a request to the endpoint, and from there to the response."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from gatewayd.routing.sessions import Place

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.routing.rule import Rule, Share
    from gatewayd.routing.sessions import Sessions
    from gatewayd.wire.head import ResponseHead


def resume(exchange: Exchange, rule: Rule, sessions: Sessions) -> Share | None:
    """The share of the session that the request shows, which beats all weights; else one by weight."""
    place = sessions.find(exchange.head.block, exchange.settings.session_key, time())
    if place is None:
        share = rule.pick()
    else:
        share, exchange.bound = place
    exchange.share = share
    return share


def tell(exchange: Exchange, sessions: Sessions, head: ResponseHead) -> None:
    """Let the response carry the token of the endpoint that answered, unless the request showed it."""
    share, endpoint = exchange.share, exchange.endpoint
    if endpoint is not exchange.bound and share is not None:
        secure = exchange.port.scheme == b"https"
        key = exchange.settings.session_key
        head.block = sessions.tell(head.block, Place(share, endpoint), key, time(), secure)
