"""Hostnames of listeners and routes: which names both of them cover (GEP-1426, HTTPRoute.spec.hostnames).

A hostname here is lower-case text: "" is any host, "*.x" is one or more labels before x, else one exact name.
"""

from __future__ import annotations

from collections.abc import Iterable


def normal(hostname: str | None) -> str:
    """Host names compare without case; an absent one covers everything."""
    return (hostname or "").lower()


def covers(wide: str, narrow: str) -> bool:
    """True when every name that `narrow` stands for is one of `wide`'s. `*.x` never covers `x` itself."""
    if not wide or wide == narrow:
        return True
    return wide.startswith("*.") and narrow.endswith(wide[1:]) and len(narrow) > len(wide) - 1


def overlap(first: str, second: str) -> str | None:
    """The names that both cover, as one hostname; None when there are none."""
    if covers(first, second):
        return second
    return first if covers(second, first) else None


def intersection(listener: str, route: Iterable[str]) -> tuple[str, ...]:
    """The effective hostnames of a route on a listener, without repeats; empty when the two do not meet."""
    names = tuple(route)
    if not names:
        return (listener,)
    met = (overlap(listener, normal(name)) for name in names)
    return tuple(dict.fromkeys(name for name in met if name is not None))
