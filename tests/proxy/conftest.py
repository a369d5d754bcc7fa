"""Fixtures of the traffic path: a clock that stands still and conversations that use it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

import pytest

from gatewayd import proxy
from tests.proxy.conversation import Conversation
from tests.proxy.fakes import Clock

MODULES = [importlib.import_module(one.name) for one in pkgutil.walk_packages(proxy.__path__, f"{proxy.__name__}.")]
TIMED = [module for module in MODULES if hasattr(module, "monotonic")]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of every module of the traffic path."""
    clock = Clock()
    for module in TIMED:
        monkeypatch.setattr(module, "monotonic", clock)
    return clock


@pytest.fixture
def start(clock: Clock) -> Callable[..., Conversation]:
    """Start a gateway to talk with: `start(rule(...), head_timeout=1.0)`."""
    return lambda *rules, **options: Conversation(clock, *rules, **options)


@pytest.fixture
def talk(start: Callable[..., Conversation]) -> Conversation:
    """A gateway with one route to one backend."""
    return start()
