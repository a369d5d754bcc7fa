"""Fields that nobody may put into a table (RFC 7541 section 7.1.3): a sender of HTTP/2 says so of secrets, and whoever
passes them on has to say it again.

Between its two sides a message is a block of lines, as HTTP/1.1 has them. A field that is never indexed is told from
others by how its name is spelled there: its last letter is a capital, which HTTP/1.1 reads as any other. So it costs
nothing to ask: names are known by their spelling. Pseudo-fields have no lines; of them paths are never indexed at all.
"""

from __future__ import annotations


class NeverIndexed(bytes):
    """The name of such a field, from the decoder to the sorter. It equals the plain name, but its hash differs, on
    purpose: nothing that is remembered of fields by their names is found by it, so only the slow path meets it.
    """

    __slots__ = ()

    __hash__ = object.__hash__


def spelled(name: bytes) -> bytes:
    """A lower-case name as it stands in a block. One without any letter stays as it is: no header field has such."""
    for at in range(len(name) - 1, -1, -1):
        if name[at : at + 1].isalpha():
            return name[:at] + name[at : at + 1].upper() + name[at + 1 :]
    return name


def is_spelled(written: bytes) -> bool:
    """Whether a name of a block is spelled so."""
    lower = written.lower()
    return written != lower and written == spelled(lower)
