"""Timeouts and retries of a rule (GEP-1742, GEP-1731)."""

from __future__ import annotations

from typing import Any

from gatewayd.api.quantity import seconds
from gatewayd.routing.snapshot import Retry, Timeouts


def timeouts_of(rule: Any) -> Timeouts | None:
    """rules[].timeouts; None where nothing is limited (`0s` is no limit)."""
    spec = getattr(rule, "timeouts", None)
    if spec is None:
        return None
    timeouts = Timeouts(request=seconds(spec.request or "0s"), backend_request=seconds(spec.backend_request or "0s"))
    return timeouts if timeouts != Timeouts() else None


def retry_of(rule: Any) -> Retry | None:
    """rules[].retry, with our defaults for what it leaves out."""
    spec = getattr(rule, "retry", None)
    if spec is None:
        return None
    default = Retry()
    return Retry(
        attempts=spec.attempts or default.attempts,
        codes=tuple(dict.fromkeys(spec.codes)),
        backoff=default.backoff if spec.backoff is None else seconds(spec.backoff),
    )
