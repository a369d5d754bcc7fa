"""Cookies: finding one by its name among all that a client sends (RFC 6265 sections 4.2 and 5.4).

Cookie lines are what clients make of them, so all that is asked of one is its pairs, separated by semicolons; what is
no such pair is passed over. A name may come several times, for a client has cookies of more than one path.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING

from gatewayd.wire.grammar import TOKEN

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 16  # cookies of one name that are looked at: more come from nobody but an attacker
_LINES = re.compile(rb"\r\n(?i:cookie):([^\r]*+)")
_NAME = re.compile(TOKEN)


class Cookie:
    """The cookie of one name whose value is of one form."""

    __slots__ = ("_pairs", "name")

    def __init__(self, name: bytes, form: bytes) -> None:
        """`form` is a regular expression without groups. ValueError when `name` can be none of a cookie."""
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"not a name of a cookie: {name!r}")
        self.name = name
        lead = re.escape(name) + b"="
        # The name is a literal prefix, which `re` finds quickly; what must go before it is looked at afterwards.
        self._pairs = re.compile(rb"%b(?<![^;\t ]%b)(\"?)(%b)\1[\t ]*+(?:;|\Z)" % (lead, lead, form)).finditer

    def values(self, block: bytes) -> Iterator[bytes]:
        """The values that a block of field lines has for it, in their order; without quotes."""
        left = MOST
        for line in _LINES.findall(block):
            for found in islice(self._pairs(line), left):
                left -= 1
                if line[: found.start()].rstrip(b"\t ")[-1:] in _BEFORE:
                    yield found[2]


_BEFORE = frozenset({b"", b";"})
