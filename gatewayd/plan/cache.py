"""Compiled pieces that are kept from plan to plan until something that they read changes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

from gatewayd.plan.reads import Reads, World

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    value: V
    reads: frozenset[str]


class Cache(Generic[K, V]):
    """Values by what they are made from. Objects are compared by identity, so a changed object is a new key."""

    def __init__(self) -> None:
        self._entries: dict[K, _Entry[V]] = {}
        self._readers: dict[str, set[K]] = {}

    def update(self, keys: Iterable[K], changed: set[str], world: World, make: Callable[[K, Reads], V]) -> list[V]:
        """The values of `keys`, in their order. `changed` names what is not as it was in the plan before."""
        stale: set[K] = set()
        for name in changed:
            stale |= self._readers.get(name, set())
        old, new = self._entries, dict[K, _Entry[V]]()
        for key in keys:
            entry = old.get(key)
            new[key] = entry if entry is not None and key not in stale else self._make(key, world, make)
        self._entries = new
        for key in old.keys() - new.keys():
            self._forget(key, old[key].reads)
        return [entry.value for entry in new.values()]

    def _make(self, key: K, world: World, make: Callable[[K, Reads], V]) -> _Entry[V]:
        reads = Reads(world)
        value = make(key, reads)
        old = self._entries.get(key)
        if old is not None:
            self._forget(key, old.reads - reads.keys)
        for name in reads.keys:
            self._readers.setdefault(name, set()).add(key)
        return _Entry(value, frozenset(reads.keys))

    def _forget(self, key: K, names: Iterable[str]) -> None:
        for name in names:
            readers = self._readers.get(name)
            if readers is not None:
                readers.discard(key)
                if not readers:
                    del self._readers[name]
