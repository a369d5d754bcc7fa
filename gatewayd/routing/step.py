"""The filters of a rule or of a backendRef, compiled for the traffic path."""

from __future__ import annotations

from random import random
from typing import TYPE_CHECKING

from gatewayd.routing.authorization import authorizer
from gatewayd.routing.cors import CrossOrigin
from gatewayd.wire.fields import BlockEdit

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import Edit, Filters, MirrorPlan, PathEdit, Redirect

GOLDEN = 0.6180339887498949  # steps of the golden ratio visit every part of a line evenly


class Step:
    """All filters of one list. A rule without any has None in place of it. `guarded`: some of them may
    answer the request before the others see it.
    """

    __slots__ = ("authorizer", "cors", "guarded", "hostname", "mirrors", "path", "redirect", "request", "response")

    redirect: Redirect | None
    hostname: bytes | None
    path: PathEdit | None

    def __init__(self, filters: Filters) -> None:
        self.request = _edit(filters.request)
        self.response = _edit(filters.response)
        self.redirect = filters.redirect
        self.hostname = filters.hostname or _host(filters.request)
        self.path = filters.path
        self.mirrors = tuple(Mirror(mirror) for mirror in filters.mirrors)
        self.cors = None if filters.cors is None else CrossOrigin(filters.cors)
        self.authorizer = None if filters.auth is None else authorizer(filters.auth)
        self.guarded = self.cors is not None or self.authorizer is not None


# Framing and connection fields are the gateway's own; Host is the authority, set as a whole.
_NOT_EDITED = frozenset(
    b"host connection content-length keep-alive te trailer transfer-encoding upgrade proxy-connection".split()
)


def _edit(edit: Edit | None) -> BlockEdit | None:
    if edit is None:
        return None
    return BlockEdit(
        tuple(pair for pair in edit.set if pair[0] not in _NOT_EDITED),
        tuple(pair for pair in edit.add if pair[0] not in _NOT_EDITED),
        tuple(name for name in edit.remove if name not in _NOT_EDITED),
    )


def _host(edit: Edit | None) -> bytes | None:
    return None if edit is None else dict(edit.set).get(b"host")


class Mirror:
    """One RequestMirror: which requests are copied, and to which backend (a key)."""

    __slots__ = ("_part", "_place", "backend")

    def __init__(self, plan: MirrorPlan) -> None:
        self.backend = plan.backend
        self._part = plan.numerator / plan.denominator
        self._place = random()  # noqa: S311  it keeps no secret

    def takes(self) -> bool:
        """Whether the next request is copied: steps of the golden ratio, as with weights."""
        self._place = place = (self._place + GOLDEN) % 1.0
        return place < self._part
