"""Anchors, aliases and merge keys, as kubectl reads them: every alias is replaced by a copy of what it names.

A few lines of nested aliases can stand for billions of values. So what they stand for is measured before anything is
copied: the aliases of one document repeat at most `MAX_REPEATED` bytes, of which every value counts `EACH` beside its
text. https://yaml.org/spec/1.2.2/#71-alias-nodes, https://yaml.org/type/merge.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml

from gatewayd.api.pieces import MAX_DOCUMENT_BYTES

MERGE = "<<"
MAX_REPEATED = MAX_DOCUMENT_BYTES
EACH = 100


class Alias(msgspec.Struct, frozen=True, gc=False):
    """One place where an alias is written: its name without the `*`, its line of the file (from 1)."""

    name: str
    line: int


class AliasError(Exception):
    """An alias or merge key that cannot be followed, with its line of the file."""

    def __init__(self, line: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, message, hint


class Size(msgspec.Struct, frozen=True, gc=False):
    """What a node stands for when its aliases are replaced: bytes as they are counted here, and levels."""

    count: int
    depth: int


class Expansion:
    """The aliases of one text. libyaml's composer puts the same node wherever its alias stands, so a node that is met
    again is the next of `aliases`, which are in the order of the text.
    """

    def __init__(self, aliases: Iterator[Alias], base: int, max_depth: int, plain: str) -> None:
        """`base` is the line of the file at which the text begins; `plain` the tag of scalars without quotes."""
        self._aliases, self._base, self._max_depth, self._plain = aliases, base, max_depth, plain
        self._sizes: dict[int, Size | None] = {}
        self._repeated = 0

    def document(self, root: Any) -> None:
        """Follow the aliases of the next document of the text. AliasError when they stand for too much."""
        self._sizes.clear()
        self._repeated = 0
        self._follow(root)

    def _follow(self, node: Any) -> Size:
        """Measure a node and replace the merge keys below it. An anchor stands before its aliases, so that this never
        goes deeper than the text is nested.
        """
        if id(node) in self._sizes:
            return self._repeat(self._sizes[id(node)], next(self._aliases))
        self._sizes[id(node)] = None
        size = self._size(node)
        self._sizes[id(node)] = size
        return size

    def _size(self, node: Any) -> Size:
        if isinstance(node, yaml.ScalarNode):
            return Size(EACH + len(node.value), 0)
        mapping = isinstance(node, yaml.MappingNode)
        inner = [self._follow(each) for item in node.value for each in (item if mapping else (item,))]
        if mapping:
            self._merge(node)
        depth = 1 + max((each.depth for each in inner), default=0)
        if depth > self._max_depth:
            raise AliasError(self._line(node), f"with its aliases nested deeper than {self._max_depth} levels", "")
        return Size(EACH + sum(each.count for each in inner), depth)

    def _repeat(self, size: Size | None, alias: Alias) -> Size:
        if size is None:
            raise AliasError(
                alias.line, f"the alias *{alias.name} stands inside of what it names", "write the value out"
            )
        self._repeated += size.count
        if self._repeated > MAX_REPEATED:
            message = f"with the alias *{alias.name} the aliases of this document repeat too much"
            hint = (
                f"at most {MAX_REPEATED} bytes, of which each value takes {EACH} beside its text; write the values out"
            )
            raise AliasError(alias.line, message, hint)
        return size

    def _merge(self, node: Any) -> None:
        """Fields of the mapping itself win over merged ones, and those of earlier mappings over later ones."""
        merges = [(key, value) for key, value in node.value if self._is_merge(key)]
        if not merges:
            return
        if len(merges) > 1:
            hint = f"write one `{MERGE}: [*first, *second]`"
            raise AliasError(self._line(merges[1][0]), f"the key `{MERGE}` is there twice", hint)
        own = [pair for pair in node.value if not self._is_merge(pair[0])]
        known = {_name(key) for key, _ in own}
        for pair in self._merged(*merges[0]):
            if _name(pair[0]) not in known:
                known.add(_name(pair[0]))
                own.append(pair)
        node.value = own

    def _merged(self, key: Any, value: Any) -> Iterator[tuple[Any, Any]]:
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        if not all(isinstance(each, yaml.MappingNode) for each in sources):
            message = f"`{MERGE}` takes the fields of a mapping, and here is none"
            raise AliasError(self._line(key), message, f"name one: `{MERGE}: *anchor`")
        return (pair for each in sources for pair in each.value)

    def _is_merge(self, key: Any) -> bool:
        return isinstance(key, yaml.ScalarNode) and key.value == MERGE and key.tag == self._plain

    def _line(self, node: Any) -> int:
        return self._base + int(node.start_mark.line)


def _name(key: Any) -> object:
    """What tells one key from another; keys that are no text are refused later, each by itself."""
    return key.value if isinstance(key, yaml.ScalarNode) else id(key)
