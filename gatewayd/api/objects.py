"""All objects that were read, indexed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from gatewayd.api.documents import Document
from gatewayd.api.problem import Path, Problem
from gatewayd.api.record import Record


class Object(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One object with the place it was read from. Compared by identity: an unchanged object stays the same instance.

    `namespace` is "" for cluster-scoped kinds; `line` is that of the object's first field. `key` is made, once, as all
    indexes share it: `Kind/namespace/name`.
    """

    kind: str
    group: str
    version: str
    namespace: str
    name: str
    file: str
    line: int
    resource: Record
    document: Document
    key: str = ""

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "key", f"{self.kind}/{self.namespace}/{self.name}")

    @property
    def title(self) -> str:
        """`HTTPRoute shop/cart`, as problems write it."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"

    def further(self, down: int) -> Object:
        """The same object, in another version of its file: so many lines further down."""
        return msgspec.structs.replace(self, line=self.line + down, document=self.document.further(down))

    def line_of(self, path: Path) -> int:
        """The line of a field such as ("spec", "rules", 0), or of the nearest parent that is written."""
        return self.document.line_of(path)

    def source(self, path: Path = ()) -> str:
        """`file:line` of a field."""
        return f"{self.file}:{self.line_of(path)}"


class Objects:
    """An index of objects that does not change after it was made. Of several with the same key the first counts."""

    __slots__ = ("_by_key", "_by_kind", "problems")

    def __init__(self, objects: Iterable[Object] = ()) -> None:
        """`problems` names every object that was left out because its key was taken."""
        self._by_key: dict[str, Object] = {}
        self.problems: list[Problem] = []
        kinds: dict[str, list[Object]] = {}
        for item in objects:
            first = self._by_key.setdefault(item.key, item)
            if first is item:
                kinds.setdefault(item.kind, []).append(item)
            else:
                self.problems.append(_duplicate(item, first))
        self._by_kind = {kind: tuple(items) for kind, items in kinds.items()}

    def replacing(self, pairs: Iterable[tuple[Object, Object]]) -> Objects:
        """The same index with new versions (old, new) of some objects; a version has the key of the other.

        Made for reloads: it costs microseconds where a new index of ten thousand objects costs ten milliseconds.
        """
        changed = Objects()
        changed._by_key, changed._by_kind = dict(self._by_key), dict(self._by_kind)
        changed.problems = self.problems
        later = dict(pairs)
        changed._by_key.update((new.key, new) for new in later.values())
        for kind in {old.kind for old in later}:
            changed._by_kind[kind] = tuple([later.get(item, item) for item in self._by_kind[kind]])
        return changed

    def moved(self, old: Iterable[Object], new: Sequence[Object], following: Object | None) -> Objects | None:
        """The same index without the objects `old` and with `new`, which stand before `following` (None: at the end).
        None when the key of a new one is taken.

        Made for reloads, as `replacing` is.
        """
        by_key, by_kind = dict(self._by_key), dict(self._by_kind)
        gone = set(old)
        for item in gone:
            del by_key[item.key]
        for kind in {item.kind for item in gone}:
            by_kind[kind] = tuple([item for item in by_kind[kind] if item not in gone])
        added = {item.key: item for item in new}
        if len(added) < len(new) or any(key in by_key for key in added):
            return None
        changed = Objects()
        changed.problems = self.problems
        after = _from(by_key, following) if added else []
        for key, _ in after:
            del by_key[key]
        changed._by_key = by_key
        by_key.update(added)
        by_key.update(after)
        for kind in {item.kind: None for item in new}:
            later = next((item for _, item in after if item.kind == kind), None)
            items = by_kind.get(kind, ())
            place = len(items) if later is None else items.index(later)
            by_kind[kind] = (*items[:place], *(item for item in new if item.kind == kind), *items[place:])
        changed._by_kind = {kind: items for kind, items in by_kind.items() if items}
        return changed

    def of(self, kind: str) -> tuple[Object, ...]:
        """All objects of a kind, in the order in which they were read."""
        return self._by_kind.get(kind, ())

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object; the namespace of a cluster-scoped kind is ""."""
        return self._by_key.get(f"{kind}/{namespace}/{name}")

    def all(self) -> tuple[Object, ...]:
        """Every object, in the order in which they were read."""
        return tuple(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)


def _from(by_key: dict[str, Object], first: Object | None) -> list[tuple[str, Object]]:
    """The objects from `first` on, with their keys; None where all stand before."""
    if first is None:
        return []
    found = []
    for pair in reversed(by_key.items()):
        found.append(pair)
        if pair[1] is first:
            break
    found.reverse()
    return found


def _duplicate(item: Object, first: Object) -> Problem:
    return Problem(
        file=item.file,
        line=item.line,
        object=item.title,
        field="metadata.name",
        message=f"the same object stands already in {first.file}:{first.line}, which stays in force",
        hint="remove one of them or give it another name",
    )
