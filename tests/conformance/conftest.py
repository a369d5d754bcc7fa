"""A stand-in that knows the kinds of the examples."""

from __future__ import annotations

import pytest

from tests.conformance.examples import (
    NAMESPACES,
    NOW,
)
from tests.conformance.standin.store import Store


@pytest.fixture
def store() -> Store:
    made = Store(lambda: NOW)
    made.create(NAMESPACES, "v1", "", {"metadata": {"name": "shop"}})
    return made
