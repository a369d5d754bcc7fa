"""Fixtures of the traffic path: a clock that stands still and conversations that use it."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import pytest

from tests.proxy.conversation import Conversation
from tests.proxy.fakes import Clock

TIMED = (
    "greeting",
    "authorization.asking",
    "attempts",
    "authorization.guard",
    "blame",
    "http2.budget",
    "connector",
    "http1.downstream",
    "http2.downstream",
    "http2.ending",
    "exchange",
    "http1.intake",
    "http2.request",
    "http1.response",
    "http2.response",
    "secure",
    "stream",
    "subrequest",
    "tunnel",
    "http1.upstream",
    "http2.upstream",
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every module of the traffic path."""
    clock = Clock()
    for name in TIMED:
        monkeypatch.setattr(importlib.import_module(f"gatewayd.proxy.{name}"), "monotonic", clock)
    return clock


@pytest.fixture
def start(clock: Clock) -> Callable[..., Conversation]:
    """Start a gateway to talk with: `start(rule(...), head_timeout=1.0)`."""
    return lambda *rules, **options: Conversation(clock, *rules, **options)


@pytest.fixture
def talk(start: Callable[..., Conversation]) -> Conversation:
    """A gateway with one route to one backend."""
    return start()
