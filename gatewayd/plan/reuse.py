"""Records that say the same are the same instances, so that identity tells change."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def reuse(old: T | None, new: T) -> T:
    """The old record where it says the same."""
    return old if old is not None and old == new else new
