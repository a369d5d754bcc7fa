"""Changes of a field section that somebody else asks for: an authorization service, for a request or a response.

What is replaced or removed takes its look-alikes along: many backends read `x_user` as `x-user`, and a client must not
be able to say there what it cannot say here.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from gatewayd.wire.grammar import TCHAR

_NAME = re.compile(rb"[" + TCHAR + rb"]+")
# RFC 9110 section 5.5, without white space at the ends: CR, LF, NUL and the other controls are outside.
_VALUE = re.compile(rb"(?:[!-~\x80-\xff]+(?:[\t ]+[!-~\x80-\xff]+)*)?")
# Fields that frame a message, belong to one connection, or name its target: the gateway writes them itself.
UNTOUCHABLE = frozenset(
    b"""host authority connection content-length expect http2-settings keep-alive proxy-connection te trailer
    transfer-encoding upgrade""".split()
)

APPEND, ADD_IF_ABSENT, OVERWRITE, OVERWRITE_IF_EXISTS = range(4)


class Mutation(NamedTuple):
    """One field to write; `name` is lower case."""

    name: bytes
    value: bytes
    action: int = OVERWRITE


def is_name(name: bytes) -> bool:
    """Whether this is a field name of HTTP."""
    return _NAME.fullmatch(name) is not None


def is_value(value: bytes) -> bool:
    """Whether this is a field value of HTTP, or empty."""
    return _VALUE.fullmatch(value) is not None


def is_touchable(name: bytes) -> bool:
    """Whether a field of this (lower-case) name may be written: not the framing, not the pseudo-fields of HTTP/2."""
    return name[:1] != b":" and name.replace(b"_", b"-") not in UNTOUCHABLE


class Mutations:
    """Fields to remove, and fields to write after that, in their order. Every name and value was checked."""

    __slots__ = ("_named", "_remove", "_writes")

    def __init__(self, writes: Iterable[Mutation] = (), remove: Iterable[bytes] = ()) -> None:
        self._writes = tuple(write for write in writes if is_touchable(write.name))
        self._remove = frozenset(name.replace(b"_", b"-") for name in remove if is_touchable(name))
        self._named = self._remove.union(write.name.replace(b"_", b"-") for write in self._writes)

    def __bool__(self) -> bool:
        return bool(self._named)

    def apply(self, block: bytes) -> bytes:
        """The changed block."""
        lines = block.split(b"\r\n")[1:]
        if self._remove:
            lines = _without(lines, self._remove)
        for name, value, action in self._writes:
            if action != APPEND:
                kept = _without(lines, {name.replace(b"_", b"-")})
                exists = len(kept) < len(lines)
                if exists if action == ADD_IF_ABSENT else action == OVERWRITE_IF_EXISTS and not exists:
                    continue
                lines = kept
            lines.append(b"%b: %b" % (name, value))
        return b"".join([b"\r\n" + line for line in lines])

    def bar(self, trailers: bytes) -> bytes:
        """A block of trailers without the lines of any of these names: some backends take trailers for fields."""
        return b"".join([b"\r\n" + line for line in _without(trailers.split(b"\r\n")[1:], self._named)])


def _without(lines: Sequence[bytes], keys: Container[bytes]) -> list[bytes]:
    return [line for line in lines if line.partition(b":")[0].lower().replace(b"_", b"-") not in keys]


def only(block: bytes, names: frozenset[bytes]) -> bytes:
    """The lines of a block with these (lower-case) names."""
    lines = block.split(b"\r\n")[1:]
    return b"".join([b"\r\n" + line for line in lines if line.partition(b":")[0].lower() in names])
