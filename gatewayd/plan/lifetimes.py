"""Certificates that are not valid now. They are served all the same: a client's warning beats a refused connection."""

from __future__ import annotations

from gatewayd.api.problem import Problem
from gatewayd.plan.certificates import Found
from gatewayd.plan.problems import warn


def expired(found: Found, now: float) -> list[Problem]:
    """A warning when the certificate of a Secret is out of date or not valid yet at `now` (POSIX seconds)."""
    if found.secret is None or found.begins <= now <= found.expires:
        return []
    message = "the certificate has expired" if now > found.expires else "the certificate is not valid yet"
    return [warn(found.secret, ("data", "tls.crt"), message, "renew it")]
