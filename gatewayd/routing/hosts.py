"""Lookups by hostname: an exact name, then wildcards from the longest to the shortest, then what takes any name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

T = TypeVar("T")


class HostTable(Generic[T]):
    """Values by hostname pattern: b"a.b" exact, b"*.b" one or more labels before b"b", b"" any name."""

    __slots__ = ("default", "exact", "wildcard")

    def __init__(self, values: Mapping[bytes, T]) -> None:
        self.exact = {host: value for host, value in values.items() if host and host[:2] != b"*."}
        self.wildcard = {host[1:]: value for host, value in values.items() if host[:2] == b"*."}
        self.default = values.get(b"")

    def find(self, host: bytes) -> T | None:
        """The value of the most specific pattern that fits, or None."""
        found = self.exact.get(host)
        if found is not None:
            return found
        if self.wildcard:
            dot = host.find(b".", 1)
            while dot >= 0:
                found = self.wildcard.get(host[dot:])
                if found is not None:
                    return found
                dot = host.find(b".", dot + 1)
        return self.default

    def get(self, pattern: bytes) -> T | None:
        """The value of this very pattern, or None."""
        if not pattern:
            return self.default
        return self.wildcard.get(pattern[1:]) if pattern[:2] == b"*." else self.exact.get(pattern)

    def put(self, pattern: bytes, value: T) -> None:
        """Replace or add the value of a pattern."""
        if not pattern:
            self.default = value
        elif pattern[:2] == b"*.":
            self.wildcard[pattern[1:]] = value
        else:
            self.exact[pattern] = value

    def drop(self, pattern: bytes) -> None:
        """Forget the value of a pattern that has one."""
        if not pattern:
            self.default = None
        elif pattern[:2] == b"*.":
            del self.wildcard[pattern[1:]]
        else:
            del self.exact[pattern]

    def copy(self) -> HostTable[T]:
        """A table of its own with the same values."""
        other: HostTable[T] = HostTable({})
        other.exact, other.wildcard, other.default = dict(self.exact), dict(self.wildcard), self.default
        return other

    def each(self, host: bytes) -> Iterator[T]:
        """The values of all patterns that fit, most specific first."""
        if (found := self.exact.get(host)) is not None:
            yield found
        if self.wildcard:
            dot = host.find(b".", 1)
            while dot >= 0:
                if (found := self.wildcard.get(host[dot:])) is not None:
                    yield found
                dot = host.find(b".", dot + 1)
        if self.default is not None:
            yield self.default

    def values(self) -> list[T]:
        """All values, in no order that matters."""
        rest = [] if self.default is None else [self.default]
        return [*self.exact.values(), *self.wildcard.values(), *rest]
