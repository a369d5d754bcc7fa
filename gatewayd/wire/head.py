"""Heads of HTTP/1.1 requests: bytes in, one slotted record out, or `Refused`.

A head is matched as a whole by one expression and then split once into the lines that travel on untouched (`block`) and
the few fields that frame, route or describe the client (`specials`), which are never passed through.
"""

from __future__ import annotations

from typing import NamedTuple

from gatewayd.wire import framing
from gatewayd.wire.diagnosis import diagnose, wait
from gatewayd.wire.fields import Fields, split_block, without
from gatewayd.wire.grammar import ORIGIN_HEAD, REQUEST_HEAD, REQUEST_SPECIALS
from gatewayd.wire.grpc import is_grpc
from gatewayd.wire.refused import Refused
from gatewayd.wire.specials import FRAMING_OPTIONS, KEPT_OPTIONS, PLAIN_CONNECTION, connection_options, sort_out
from gatewayd.wire.target import normal_path, query_parameters, split_authority, split_target


class HeadLimits(NamedTuple):
    """Bytes of a head, bytes of a request line, number of fields."""

    head: int = 65536
    line: int = 16384
    fields: int = 100


_CLIENT_FIELDS = frozenset(
    b"""forwarded x-forwarded-for x-forwarded-host x-forwarded-proto x-forwarded-port x-forwarded-server
    x-forwarded-prefix x-forwarded-ssl x-real-ip""".split()
)


_PLAIN = {bytes}


class RequestHead:
    """One request's head.

    `length` is the body's length, or framing.CHUNKED; `end` is where the head ends in the data that was given;
    `query` keeps its "?"; `host` is lower case without port, `authority` as the client wrote it (both b"" where an
    HTTP/1.0 request names none); `upgrade` is b"websocket" or b"". `trusted` says whether the client's word on
    X-Forwarded-* counts (set by the connection). A head may serve several requests (`heads2`): who edits one copies it.
    """

    __slots__ = (
        "_call",
        "_pairs",
        "_parameters",
        "_values",
        "authority",
        "block",
        "end",
        "expect",
        "host",
        "keep_alive",
        "length",
        "method",
        "minor",
        "path",
        "query",
        "specials",
        "trailers",
        "trusted",
        "upgrade",
    )

    method: bytes
    path: bytes
    query: bytes
    minor: int
    host: bytes
    authority: bytes
    block: bytes
    specials: dict[bytes, bytes]
    length: int
    end: int
    keep_alive: bool
    expect: bool
    upgrade: bytes
    trailers: bool
    trusted: bool

    @property
    def fields(self) -> Fields:
        """The forwarded fields as pairs."""
        return split_block(self.block)

    @property
    def parameters(self) -> dict[bytes, bytes]:
        """The query's parameters, decoded, made on first use."""
        if self._parameters is None:
            self._parameters = query_parameters(self.query)
        return self._parameters

    def value(self, name: bytes) -> bytes | None:
        """The value of a field, repeated lines joined by a comma (RFC 9110 section 5.3); None when absent."""
        if name == b"host":
            return self.authority
        if name in self.specials:
            return self.specials[name] if self.trusted or name not in _CLIENT_FIELDS else None
        values = self._values
        if values is None:
            values = self._values = self._by_name()
        return values.get(name)

    def _by_name(self) -> dict[bytes, bytes]:
        """The fields by name. Of HTTP/2's those that the decoder made serve, unless there is something to join, or some
        name is of another kind of bytes (`never_indexed`), by which nothing is found.
        """
        found = dict(self._pairs)
        if found and len(found) == len(self._pairs) and b"cookie" not in found and {*map(type, found)} == _PLAIN:
            return found
        found = {}
        for name, value in split_block(self.block):
            found[name] = found[name] + b", " + value if name in found else value
        return found

    @property
    def call(self) -> bool:
        """Whether the request is a call of gRPC."""
        found = self._call
        if found is None:
            found = self._call = is_grpc(self.value(b"content-type"))
        return found

    def copy(self) -> RequestHead:
        """A head that can be edited without the other, but for its fields; they share `specials`."""
        head = RequestHead()
        head.method = self.method
        head.path = self.path
        head.query = self.query
        head.minor = self.minor
        head.host = self.host
        head.authority = self.authority
        head.block = self.block
        head.specials = self.specials
        head.length = self.length
        head.end = self.end
        head.keep_alive = self.keep_alive
        head.expect = self.expect
        head.upgrade = self.upgrade
        head.trailers = self.trailers
        head.trusted = self.trusted
        head._pairs = self._pairs
        head._values = self._values
        head._call = self._call
        head._parameters = None
        return head

    _pairs: tuple[tuple[bytes, bytes], ...]  # all that HTTP/2 brought, or (); pseudo-fields count for nothing
    _values: dict[bytes, bytes] | None
    _parameters: dict[bytes, bytes] | None
    _call: bool | None


def parse_request(data: bytes, limits: HeadLimits, scanned: int = 0) -> RequestHead | None:
    """The head that `data` begins with, or None while it is incomplete.

    `scanned` is how much of `data` an earlier call has seen, so that a head that comes byte by byte costs no more
    than linear time. Refused: 400, 414, 417, 431, 501, 505.
    """
    if scanned and data.find(b"\r\n\r\n", scanned - 3 if scanned > 3 else 0) < 0:
        if data[:2] == b"\r\n":
            data, scanned = data[2:], max(0, scanned - 2)
        wait(data, limits, scanned)
        return None
    found = ORIGIN_HEAD.match(data)
    if found is None:
        if data[:2] == b"\r\n":
            return _parse_after_empty_line(data[2:], limits, max(0, scanned - 2))
        return _parse_other(data, limits, scanned)
    method, path, query, minor, block = found.groups()
    end = found.end()
    if end > limits.head or found.start(4) >= limits.line or block.count(b"\n") > limits.fields:
        raise diagnose(data, limits)
    if b"%" in path or b"/." in path:
        path = normal_path(path)
    return _build(method, path, query or b"", minor == b"1", block, end, None)


def _parse_after_empty_line(data: bytes, limits: HeadLimits, scanned: int) -> RequestHead | None:
    """One empty line before a request is passed over, since old clients send one after a body (RFC 9112 section 2.2).
    It goes nowhere, so nobody can take it for something else. A second one is no request line.
    """
    if data[:2] == b"\r\n":
        raise Refused(400, "bad_request_line")
    head = parse_request(data, limits, scanned)
    if head is not None:
        head.end += 2
    return head


def _parse_other(data: bytes, limits: HeadLimits, scanned: int) -> RequestHead | None:
    """What is not in origin-form: absolute-form, asterisk-form, and what is incomplete or refused."""
    found = REQUEST_HEAD.match(data)
    if found is None:
        if b"\r\n\r\n" in data:
            raise diagnose(data, limits)
        wait(data, limits, scanned)
        return None
    method, target, minor, block = found.groups()
    if found.end() > limits.head or found.start(3) >= limits.line or block.count(b"\n") > limits.fields:
        raise diagnose(data, limits)
    authority, path, query = split_target(method, target)
    return _build(method, path, query, minor == b"1", block, found.end(), authority)


def _build(
    method: bytes, path: bytes, query: bytes, minor: int, block: bytes, end: int, authority: bytes | None
) -> RequestHead:
    head = RequestHead()
    head.method = method
    head.path = path
    head.query = query
    head.minor = minor
    head.end = end
    head._pairs = ()
    head._values = head._parameters = head._call = None
    head.trusted = head.expect = head.trailers = False
    head.upgrade = b""
    head.length = 0
    pieces = _split_request(block)
    if len(pieces) == 4 and len(pieces[1]) == 4:  # Host alone: no other special field has four letters
        head.block = pieces[0] + pieces[3]
        specials: dict[bytes, bytes] = {}
        head.specials = specials
        host: bytes | None = pieces[2]
    else:
        head.block, specials = sort_out(pieces, 400)
        head.specials = specials
        host = specials.pop(b"host", None)
    if host is None or authority is not None:
        _name_host(head, host, authority)
    else:
        head.authority = host
        head.host = split_authority(host)
    if not specials:
        head.keep_alive = minor == 1
        return head
    if _FRAMING.isdisjoint(specials) and (keep := PLAIN_CONNECTION.get(specials.get(b"connection"))) is not None:
        head.keep_alive = keep > 1 or (keep == 1 and minor == 1)
    else:
        _read_specials(head, specials)
    return head


def _name_host(head: RequestHead, host: bytes | None, authority: bytes | None) -> None:
    """The host of a request in absolute-form, whose target counts, or of one without Host, which only HTTP/1.0 may be
    (RFC 9112 section 3.2).
    """
    if host is None and head.minor:
        raise Refused(400, "no_host")
    if host is not None:  # goes nowhere, but a message with an invalid Host is one to refuse
        split_authority(host)
    head.authority = authority or b""
    head.host = b"" if authority is None else split_authority(authority)


_split_request = REQUEST_SPECIALS.split
# Fields that need a closer look than being left out of what is forwarded.
_FRAMING = frozenset(b"content-length transfer-encoding expect upgrade te trailer".split())


def _read_specials(head: RequestHead, specials: dict[bytes, bytes]) -> None:
    head.length = framing.request_length(
        specials.get(b"content-length"), specials.get(b"transfer-encoding"), head.minor
    )
    options = connection_options(specials.get(b"connection"))
    head.keep_alive = b"close" not in options and (head.minor == 1 or b"keep-alive" in options)
    if options - KEPT_OPTIONS:
        if options & FRAMING_OPTIONS:
            raise Refused(400, "bad_connection_option")
        head.block = without(head.block, options - KEPT_OPTIONS)
    _read_expectations(head, specials, options)


def _read_expectations(head: RequestHead, specials: dict[bytes, bytes], options: frozenset[bytes]) -> None:
    expect = specials.get(b"expect")
    if expect is not None and head.minor:
        if expect.lower() != b"100-continue":
            raise Refused(417, "bad_expect")
        head.expect = head.length != 0
    if b"te" in specials:
        head.trailers = b"trailers" in [part.strip(b" \t") for part in specials[b"te"].lower().split(b",")]
    if b"upgrade" in options and specials.get(b"upgrade", b"").lower() == b"websocket" and head.minor:
        if head.length:
            raise Refused(400, "upgrade_with_body")
        head.upgrade = b"websocket"
