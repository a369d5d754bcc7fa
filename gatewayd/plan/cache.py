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

    def __getitem__(self, key: K) -> V:
        return self._entries[key].value

    def __contains__(self, key: K) -> bool:
        return key in self._entries

    def values(self) -> list[V]:
        """All values, in no order that matters."""
        return [entry.value for entry in self._entries.values()]

    def update(self, keys: Iterable[K], changed: set[str], world: World) -> list[Change[V]]:
        """Make the cache hold exactly `keys`. `changed` names what is not as it was in the plan before."""
        wanted = dict.fromkeys(keys)
        went = [key for key in self._entries if key not in wanted]
        return self.turn(went, [key for key in wanted if key not in self._entries], changed, world)

    def turn(self, went: Iterable[K], came: Iterable[K], changed: set[str], world: World) -> list[Change[V]]:
        """Drop the keys that `went`, and make those that `came` and those that read what `changed`: this costs nothing
        for all others.
        """
        changes = [Change(self._drop(key), None) for key in went]
        stale = self._stale(changed)
        changes += [self._make_again(key, world) for key in stale]
        for key in came:
            reads = Reads(world)
            value = self._make(key, reads)
            self._enter(key, _Entry(value, frozenset(reads.keys)))
            changes.append(Change(None, value))
        return changes

    def rename(self, old: K, new: K, value: V) -> None:
        """`value`, which has read the same as that of `old`, takes its place under another key."""
        reads = self._entries[old].reads
        self._drop(old)
        self._enter(new, _Entry(value, reads))

    def _make_again(self, key: K, world: World) -> Change[V]:
        reads = Reads(world)
        before, value = self._entries[key], self._make(key, reads)
        if before.reads == reads.keys:
            self._entries[key] = _Entry(value, before.reads)
        else:
            self._drop(key)
            self._enter(key, _Entry(value, frozenset(reads.keys)))
        return Change(before.value, value)

    def _enter(self, key: K, entry: _Entry[V]) -> None:
        self._entries[key] = entry
        for name in entry.reads:
            self._readers.setdefault(name, set()).add(key)

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
