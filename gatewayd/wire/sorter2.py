"""The fields of HTTP/2 sorted (RFC 9113 section 8.2): what is passed on, what is set aside, what is malformed."""

from __future__ import annotations

import re

from gatewayd.wire.fields import FORBIDDEN_TRAILERS
from gatewayd.wire.hpack_table import Field
from gatewayd.wire.never_indexed import NeverIndexed, spelled
from gatewayd.wire.refused import Refused


class Malformed(Refused):
    """A message that is malformed by RFC 9113 section 8.1.1: its stream is reset with PROTOCOL_ERROR. Any other Refused
    is a message that HTTP/2 allows and we do not: it is answered with its status.
    """

    __slots__ = ()


_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
# The values of `grammar.VALUE`, without white space around them (section 8.2.1).
VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
_is_value = VALUE.fullmatch

_ORDINARY, _SPECIAL, _ONCE, _COOKIE, BARRED, PSEUDO, NEVER_INDEXED = range(7)
# Section 8.2.2: these belong to a connection of HTTP/1.1, and whoever sends them here wants to confuse someone.
_OF_CONNECTION = frozenset(b"connection keep-alive proxy-connection transfer-encoding upgrade".split())
_REQUEST_SPECIAL = frozenset(
    b"""te trailer proxy-authorization http2-settings forwarded x-forwarded-for x-forwarded-host x-forwarded-proto
    x-forwarded-port x-forwarded-server x-forwarded-prefix x-forwarded-ssl x-real-ip""".split()
)
_REQUEST_ONCE = frozenset(b"host content-length expect x-request-id".split())
_RESPONSE_SPECIAL = frozenset(b"te trailer".split())
_RESPONSE_ONCE = frozenset({b"content-length"})

_MAX_NAMES = 1024
_MAX_NAME_BYTES = 64
_MAX_LINES = 1024
_MAX_LINE_BYTES = 256


class Sorter:
    """One direction's rules, and what it knows by heart: the kind of a name, and the line of a pair that is only passed
    on. Bounded, and shared by all connections of a worker; credentials are not kept.
    """

    __slots__ = ("_joined", "_kinds", "_once", "_special", "lines")

    def __init__(self, special: frozenset[bytes], once: frozenset[bytes], join_cookies: bool) -> None:
        self._special = special
        self._once = once
        self._joined = join_cookies
        self._kinds: dict[bytes, int] = {}
        self.lines: dict[Field, bytes] = {}

    def kind(self, name: bytes) -> int:
        """The kind of a name. Malformed."""
        kind = self._kinds.get(name)
        return self._learn(name) if kind is None else kind

    def _learn(self, name: bytes) -> int:
        kind = self._judge(name)
        if len(name) <= _MAX_NAME_BYTES and kind != NEVER_INDEXED:
            if len(self._kinds) >= _MAX_NAMES:
                self._kinds.clear()
            self._kinds[name] = kind
        return kind

    def _judge(self, name: bytes) -> int:
        if type(name) is NeverIndexed:
            return NEVER_INDEXED
        if name[:1] == b":":
            return PSEUDO
        if _NAME.fullmatch(name) is None:
            raise Malformed(400, "bad_name")
        if name in _OF_CONNECTION:
            return BARRED
        if name in self._once:
            return _ONCE
        # An underscore is a dash to some backends: look-alikes are set aside under names that nobody asks for.
        plain = name.replace(b"_", b"-")
        if plain in self._special or plain in self._once or plain in _OF_CONNECTION:
            return _SPECIAL
        return _COOKIE if name == b"cookie" and self._joined else _ORDINARY

    def sort(self, fields: tuple[Field, ...]) -> tuple[bytes, dict[bytes, bytes]]:
        """(the block of lines to pass on, the special fields) of the fields after the pseudo-fields. Malformed."""
        lines = [*map(self.lines.get, fields)]
        if None in lines:
            return self._sort(fields, lines)
        return b"".join(lines), {}  # type: ignore[arg-type]

    def _sort(self, fields: tuple[Field, ...], lines: list[bytes | None]) -> tuple[bytes, dict[bytes, bytes]]:
        """As `sort`, with the lines that are known already."""
        known = self._kinds.get
        specials: dict[bytes, bytes] = {}
        crumbs: list[bytes] = []
        for place, line in enumerate(lines):
            if line is not None:
                continue
            name, value = field = fields[place]
            kind = known(name)
            if kind is None:
                kind = self._learn(name)
            if _is_value(value) is None:
                raise Malformed(400, "bad_value")
            if kind == _ORDINARY:
                lines[place] = self._line(field)
                continue
            lines[place] = b""
            if kind == _COOKIE:
                crumbs.append(value)
            elif kind == _ONCE and name not in specials:
                specials[name] = value
            elif kind == NEVER_INDEXED:
                lines[place] = self._never_indexed(bytes(name), value, specials)
            else:
                _set_aside(kind, name, value, specials)
        if crumbs:
            lines.append(b"\r\ncookie: " + (crumbs[0] if len(crumbs) == 1 else _join_crumbs(crumbs)))
        return b"".join(lines), specials  # type: ignore[arg-type]

    def _never_indexed(self, name: bytes, value: bytes, specials: dict[bytes, bytes]) -> bytes:
        """The line of a field that no table may hold; none where it is set aside, as if it were any other."""
        kind = self.kind(name)
        if kind == _ORDINARY:
            return b"\r\n%b: %b" % (spelled(name), value)
        _set_aside(kind, name, value, specials)
        return b""

    def _line(self, field: Field) -> bytes:
        line = b"\r\n%b: %b" % field
        if len(line) <= _MAX_LINE_BYTES and field[0] not in _PRIVATE:
            if len(self.lines) >= _MAX_LINES:
                self.lines.clear()
            self.lines[field] = line
        return line


_PRIVATE = frozenset(b"authorization set-cookie".split())


def _join_crumbs(crumbs: list[bytes]) -> bytes:
    """Section 8.2.3. An empty crumb at an end would leave white space there, which no value may have."""
    if not (crumbs[0] and crumbs[-1]):
        raise Malformed(400, "bad_value")
    return b"; ".join(crumbs)


def _set_aside(kind: int, name: bytes, value: bytes, specials: dict[bytes, bytes]) -> None:
    if kind == BARRED:
        raise Malformed(400, "connection_field")
    if kind == PSEUDO:
        raise Malformed(400, "pseudo_field_late")
    if name in specials:
        if kind == _ONCE:
            raise Malformed(400, "repeated_" + name.decode().replace("-", "_"))
        value = specials[name] + b", " + value
    specials[name] = value


REQUESTS = Sorter(_REQUEST_SPECIAL, _REQUEST_ONCE, join_cookies=True)
RESPONSES = Sorter(_RESPONSE_SPECIAL, _RESPONSE_ONCE, join_cookies=False)
TRAILERS = Sorter(FORBIDDEN_TRAILERS - _OF_CONNECTION, frozenset(), join_cookies=False)


def pseudo_fields(fields: tuple[Field, ...], allowed: frozenset[bytes]) -> tuple[dict[bytes, bytes], int]:
    """(the pseudo-fields, how many they are): all those that lead. Malformed: unknown or repeated ones."""
    found: dict[bytes, bytes] = {}
    count = 0
    for name, value in fields:
        if name[:1] != b":":
            break
        if name not in allowed or name in found:
            raise Malformed(400, "bad_pseudo_field")
        found[name] = value
        count += 1
    return found, count
