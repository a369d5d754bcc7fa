"""Field sections: a block of lines, each led by its CRLF, or a list of (lower-case name, value) pairs.

The block is what HTTP/1 carries: lines that nobody asked about are validated once and then moved as one piece of bytes.
The list is what HTTP/2, matchers and filters need, and is made only when one of them asks.
"""

from __future__ import annotations

import re

from gatewayd.wire.grammar import FIELDS, TCHAR
from gatewayd.wire.never_indexed import is_spelled

Fields = list[tuple[bytes, bytes]]

# RFC 9110 section 6.5.1: a trailer must not frame, route, authenticate or change how the message is read. Nor may it
# say who the client is: that is for the gateway to say, and some backends take trailers for fields.
FORBIDDEN_TRAILERS = frozenset(
    b"""authorization cache-control connection content-encoding content-length content-range content-type cookie expect
    forwarded host http2-settings keep-alive max-forwards proxy-authenticate proxy-authorization proxy-connection range
    set-cookie te trailer transfer-encoding upgrade www-authenticate x-forwarded-for x-forwarded-host x-forwarded-port
    x-forwarded-prefix x-forwarded-proto x-forwarded-server x-forwarded-ssl x-real-ip x-request-id""".split()
)


def split_block(block: bytes) -> Fields:
    """The pairs of a block, names lower case, values without surrounding white space."""
    return [(name.lower(), value.rstrip(b" \t")) for name, value in FIELDS.findall(block)]


def join_block(fields: Fields) -> bytes:
    """The block of a list of pairs."""
    return b"".join([b"\r\n%b: %b" % pair for pair in fields])


def without(block: bytes, names: frozenset[bytes]) -> bytes:
    """The block without the lines of these (lower-case) names.

    The names come from a client: compiling an expression of them would cost more than all else of a request together.
    """
    if not names:
        return block
    lines = block.split(b"\r\n")
    return b"\r\n".join([line for line in lines if line.partition(b":")[0].lower() not in names])


def allowed_trailers(block: bytes) -> bytes:
    """The trailer lines that may be forwarded (RFC 9110 section 6.5.1). An underscore is a dash to some backends."""
    lines = [(name, name.lower(), value.rstrip(b" \t")) for name, value in FIELDS.findall(block)]
    kept = [line for line in lines if line[1].replace(b"_", b"-") not in FORBIDDEN_TRAILERS]
    return join_block([(name if is_spelled(name) else lower, value) for name, lower, value in kept])


def _drop_pattern(names: set[bytes]) -> re.Pattern[bytes]:
    alternatives = b"|".join(re.escape(name) for name in sorted(names))
    return re.compile(rb"\r\n(?i:" + alternatives + rb"):[^\r]*+")


class BlockEdit:
    """A header modifier compiled for blocks: one substitution and one concatenation, whatever it sets and removes.

    `set` replaces every line of the name, `add` appends a line, `remove` drops (GEP-1323).
    """

    __slots__ = ("drop", "lines")

    def __init__(
        self,
        set: tuple[tuple[bytes, bytes], ...] = (),
        add: tuple[tuple[bytes, bytes], ...] = (),
        remove: tuple[bytes, ...] = (),
    ) -> None:
        names = {name for name, _ in set} | {*remove}
        for name in names | {name for name, _ in add}:
            if re.fullmatch(rb"[" + TCHAR + rb"]+", name) is None:
                raise ValueError(f"not a field name: {name!r}")
        self.drop = _drop_pattern(names) if names else None
        self.lines = join_block([*set, *add])

    def apply(self, block: bytes) -> bytes:
        """The edited block."""
        if self.drop is not None:
            block = self.drop.sub(b"", block)
        return block + self.lines
