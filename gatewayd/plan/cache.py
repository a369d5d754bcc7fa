"""Compiled pieces that are kept from plan to plan until something that they read changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

from gatewayd.plan.reads import Reads, World

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Change(NamedTuple, Generic[V]):
    """What became of one value: made (`old` is None), made anew, or dropped (`new` is None)."""

    old: V | None
    new: V | None


class _Entry(NamedTuple, Generic[V]):
    value: V
    reads: frozenset[str]


class Cache(Generic[K, V]):
    """Values by what they are made from. Objects are compared by identity, so a changed object is a new key."""

    def __init__(self, make: Callable[[K, Reads], V]) -> None:
        self._entries: dict[K, _Entry[V]] = {}
        self._readers: dict[str, set[K]] = {}
        self._make = make

    def values(self) -> list[V]:
        """All values, in no order that matters."""
        return [entry.value for entry in self._entries.values()]

    def update(self, keys: Iterable[K], changed: set[str], world: World) -> list[Change[V]]:
        """Make the cache hold exactly `keys`. `changed` names what is not as it was in the plan before.

        Costs set operations for the keys and real work for the changes only.
        """
        wanted = dict.fromkeys(keys)
        gone = self._entries.keys() - wanted.keys()
        stale = self._stale(changed) - gone
        missing = [key for key in wanted if key not in self._entries] if wanted.keys() - self._entries.keys() else []
        changes = [Change(self._drop(key), None) for key in gone]
        for key in (*stale, *missing):
            old = self._drop(key) if key in self._entries else None
            reads = Reads(world)
            value = self._make(key, reads)
            self._entries[key] = _Entry(value, frozenset(reads.keys))
            for name in reads.keys:
                self._readers.setdefault(name, set()).add(key)
            changes.append(Change(old, value))
        return changes

    def _stale(self, changed: set[str]) -> set[K]:
        stale: set[K] = set()
        for name in changed:
            stale |= self._readers.get(name, set())
        return stale

    def _drop(self, key: K) -> V:
        entry = self._entries.pop(key)
        for name in entry.reads:
            readers = self._readers[name]
            readers.discard(key)
            if not readers:
                del self._readers[name]
        return entry.value
