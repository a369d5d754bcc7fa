"""What the filters of a rule, or of one of its backends, do to an exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.proxy.authorization.guard import Guard
from gatewayd.proxy.edits import edit_path, location
from gatewayd.proxy.mirror import Copy

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.routing.rule import Share
    from gatewayd.routing.step import Step


def apply(exchange: Exchange, step: Step, share: Share | None = None) -> bool:
    """Apply the filters; True when they answered the request, or keep it for now. `share` is set where they are those
    of a backend.
    """
    return (step.guarded and _guard(exchange, step, share)) or edit(exchange, step)


def _guard(exchange: Exchange, step: Step, share: Share | None) -> bool:
    """The filters that come before all others. A preflight asks for nothing that would have to be authorized."""
    if step.cors is not None:
        preflight = step.cors.preflight(exchange.head)
        if preflight is not None:
            exchange.reply(204, b"cors_preflight", preflight)
            return True
        exchange.reply_edits = (*exchange.reply_edits, step.cors.edit(exchange.head))
    if step.authorizer is None:
        return False
    Guard(exchange, step, share).begin()
    return True


def edit(exchange: Exchange, step: Step) -> bool:
    """The filters that need nobody's leave; True when one of them answered the request."""
    if step.request is not None:
        exchange.block = step.request.apply(exchange.block)
    if step.response is not None:
        exchange.reply_edits = (*exchange.reply_edits, step.response)
    if step.redirect is not None:
        port, head = exchange.port, exchange.head
        where = location(step.redirect, port.scheme, head.host, port.plan.number, exchange.path, head.query)
        exchange.reply(step.redirect.status, b"redirect", b"\r\nlocation: " + where)
        return True
    if step.hostname is not None:
        exchange.authority = step.hostname
    if step.path is not None:
        exchange.path = edit_path(step.path, exchange.path)
    if step.mirrors:
        exchange.copy = exchange.copy or Copy()
        exchange.copy.add_targets(step.mirrors)
    return False
