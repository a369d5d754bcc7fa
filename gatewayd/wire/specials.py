"""The special fields of a head: those that frame, route or describe the client, told apart from what travels on."""

from __future__ import annotations

from gatewayd.wire.grammar import OPTION_LIST
from gatewayd.wire.refused import Refused

# Fields that a client may send once only; every other special field is a list and is joined (RFC 9110 section 5.3).
_ONCE = frozenset({b"host", b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"x-request-id"})
# A client must not have these removed by naming them in Connection (RFC 9110 section 7.6.1).
FRAMING_OPTIONS = frozenset({b"host", b"content-length", b"transfer-encoding"})
KEPT_OPTIONS = frozenset({b"authorization", b"cookie", b"close", b"keep-alive", b"upgrade", b"te", b"cache-control"})
# By the usual values of Connection: 2 stays open, 1 does so in HTTP/1.1, 0 closes. Others are read as a list.
PLAIN_CONNECTION = {None: 1, b"keep-alive": 2, b"Keep-Alive": 2, b"close": 0, b"Close": 0}


def sort_out(pieces: list[bytes], status: int) -> tuple[bytes, dict[bytes, bytes]]:
    """(the lines to forward, the special fields by lower-case name) of a split block. Repeated fields are joined or
    refused with `status`. Look-alikes with an underscore are kept under names that nobody asks for: they are dropped.
    """
    count = len(pieces)
    if count == 4:  # up to three special fields are most messages, and worth no loop
        return pieces[0] + pieces[3], {pieces[1].lower(): pieces[2]}
    if count == 7 and (one := pieces[1].lower()) != (other := pieces[4].lower()):
        return pieces[0] + pieces[3] + pieces[6], {one: pieces[2], other: pieces[5]}
    if count == 10:
        found = {pieces[1].lower(): pieces[2], pieces[4].lower(): pieces[5], pieces[7].lower(): pieces[8]}
        if len(found) == 3:
            return b"%b%b%b%b" % (pieces[0], pieces[3], pieces[6], pieces[9]), found
    return b"".join(pieces[::3]), _join_repeated(pieces, status)


def _join_repeated(pieces: list[bytes], status: int) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for place in range(1, len(pieces), 3):
        name = pieces[place].lower()
        value = pieces[place + 1]
        if name in found:
            if name in _ONCE:
                raise Refused(status, "repeated_" + name.decode().replace("-", "_"))
            value = found[name] + b", " + value
        found[name] = value
    return found


def connection_options(value: bytes | None) -> frozenset[bytes]:
    """The options of a Connection field, lower case (RFC 9110 section 7.6.1). Refused: 400 when it is no list."""
    if not value:
        return frozenset()
    if OPTION_LIST.fullmatch(value) is None:
        raise Refused(400, "bad_connection_option")
    return frozenset(option for part in value.lower().split(b",") if (option := part.strip(b" \t")))
