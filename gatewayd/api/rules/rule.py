"""What a rule is: a named predicate on one record, where it is reported, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from gatewayd.api.problem import Path


class Rule(msgspec.Struct, frozen=True):
    """`broken(record)` yields the path, relative to the record, of every place where the rule is violated.

    `reads` names the attributes it looks at: it is not asked while one of them could not be read at all.
    """

    name: str
    reads: tuple[str, ...]
    broken: Callable[[Any], Iterable[Path]]
    message: str
    hint: str = ""


def holds(name: str, reads: str, predicate: Callable[[Any], bool], at: str, message: str, hint: str = "") -> Rule:
    """A rule with one place: `at` is a dotted path relative to the record, "" is the record itself."""
    place: Path = tuple(at.split(".")) if at else ()

    def broken(record: Any) -> Iterable[Path]:
        return () if predicate(record) else (place,)

    return Rule(name, tuple(reads.split()), broken, message, hint)


def items(
    name: str, reads: str, offenders: Callable[[Any], Iterable[int]], at: str, message: str, hint: str = ""
) -> Rule:
    """A rule on a list: `offenders(record)` yields the indices of the entries of the field `at` that violate it."""

    def broken(record: Any) -> Iterable[Path]:
        return [(at, index) for index in offenders(record)]

    return Rule(name, tuple(reads.split()), broken, message, hint)


def repeated(keys: Iterable[Any]) -> list[int]:
    """The indices of the keys that occurred before; None is no key."""
    seen: set[Any] = set()
    found = []
    for index, key in enumerate(keys):
        if key is None:
            continue
        if key in seen:
            found.append(index)
        seen.add(key)
    return found
