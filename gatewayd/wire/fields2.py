"""Fields of HTTP/2 (RFC 9113 section 8): heads and trailers from lists of fields, and lists of fields from heads.

A head that came by HTTP/2 is the same record as one that came by HTTP/1.1, under the same grammar: whatever is let in
here can leave as HTTP/1.1 without a byte to escape. Each pair is validated before anything is built of it; pairs that
were seen before, which is most of them on a warm connection, are one lookup of their line.
"""

from __future__ import annotations

import re

from gatewayd.wire.fields import Fields, allowed_trailers, without
from gatewayd.wire.framing import UNTIL_END
from gatewayd.wire.head import RequestHead
from gatewayd.wire.hpack_table import Field
from gatewayd.wire.phrases import PHRASES
from gatewayd.wire.refused import Refused
from gatewayd.wire.response_head import ResponseHead
from gatewayd.wire.sorter2 import REQUESTS, RESPONSES, TRAILERS, Malformed, pseudo_fields
from gatewayd.wire.target import normal_path, split_authority

_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_TARGET = re.compile(rb"(/[!$-;=@-\[\]-~]*)(\?[!\"$-~]*)?")
_LOOSE_TARGET = re.compile(rb"(/[!\"$->@-~]*)(\?[!\"$-~]*)?")

# -- requests ----------------------------------------------------------------------------------------------------------

_REQUEST_PSEUDO = frozenset(b":method :scheme :authority :path :protocol".split())
_USUAL_PSEUDO = tuple(b":method :scheme :authority :path".split())
_METHODS = frozenset(b"GET POST HEAD PUT DELETE PATCH OPTIONS".split())
_SCHEMES = frozenset({b"http", b"https"})

# Targets that were seen, as (path in normal form, query): calls of gRPC and of most APIs go to few.
_targets: dict[bytes, tuple[bytes, bytes]] = {}
_MAX_TARGETS = 1024
_MAX_TARGET_BYTES = 128


def request_head(fields: tuple[Field, ...], ended: bool, longest_line: int = 16384) -> RequestHead:
    """The head of a request; `ended` says that its HEADERS had END_STREAM. As `parse_request`, with `minor` 1, and
    `length` UNTIL_END for a body without Content-Length.

    An extended CONNECT for a WebSocket (RFC 8441) becomes what HTTP/1.1 asks for one with: a GET with `upgrade`, so
    that a rule means the same in both. Malformed; Refused: 400, 414, 417, 501.
    """
    method, scheme, authority, target = map(dict(fields[:4]).get, _USUAL_PSEUDO)
    if (
        not target
        or method not in _METHODS
        or scheme not in _SCHEMES
        or authority is None
        or (len(fields) > 4 and fields[4][0][:1] == b":")
    ):
        return _unusual_head(fields, ended, longest_line)
    head = RequestHead()
    head.block, specials = REQUESTS.sort(fields[4:])
    head.specials = specials
    head.method = method
    if len(target) > longest_line:
        raise Refused(414, "line_too_long")
    head.path, head.query = _targets.get(target) or _learn_target(method, target)
    if specials:
        _read_authority(head, authority, specials)
    else:
        head.authority = authority
        head.host = split_authority(authority)
    head.minor = 1
    head.end = 0
    head.keep_alive = True
    head.trusted = head.expect = head.trailers = False
    head.upgrade = b""
    head._pairs = fields
    head._values = head._parameters = head._call = None
    head.length = 0 if ended else UNTIL_END
    if specials:
        _read_specials(head, specials, ended)
    return head


def _unusual_head(fields: tuple[Field, ...], ended: bool, longest_line: int) -> RequestHead:
    """What has other pseudo-fields than nearly all requests, or other values of them."""
    pseudo, count = pseudo_fields(fields, _REQUEST_PSEUDO)
    head = RequestHead()
    head.block, head.specials = REQUESTS.sort(fields[count:])
    head.minor = 1
    head.end = 0
    head.keep_alive = True
    head.trusted = head.expect = head.trailers = False
    head._pairs = ()
    head._values = head._parameters = head._call = None
    _read_method(head, pseudo)
    target = pseudo.get(b":path")
    if not target or b":scheme" not in pseudo:
        raise Malformed(400, "no_path" if not target else "no_scheme")
    if pseudo[b":scheme"] not in _SCHEMES:
        raise Refused(400, "bad_scheme")
    if len(target) > longest_line:
        raise Refused(414, "line_too_long")
    head.path, head.query = split_target(head.method, target)
    _read_authority(head, pseudo.get(b":authority"), head.specials)
    head.length = 0 if ended else UNTIL_END
    _read_specials(head, head.specials, ended)
    if head.upgrade:
        if ended or b"content-length" in head.specials:
            raise Malformed(400, "upgrade_with_body")
        head.length = 0
        head.expect = False
    return head


def _read_method(head: RequestHead, pseudo: dict[bytes, bytes]) -> None:
    method = pseudo.get(b":method")
    head.upgrade = b""
    if method is None or _METHOD.fullmatch(method) is None:
        raise Malformed(400, "bad_method")
    if method == b"CONNECT":
        protocol = pseudo.get(b":protocol")
        if protocol is None:
            raise Refused(501, "connect")
        if protocol.lower() != b"websocket":
            raise Refused(501, "unknown_protocol")
        method = b"GET"
        head.upgrade = b"websocket"
    elif b":protocol" in pseudo:  # RFC 8441 section 4
        raise Malformed(400, "bad_pseudo_field")
    head.method = method


def _learn_target(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    found = split_target(method, target)
    if len(target) <= _MAX_TARGET_BYTES and target != b"*":  # which is right for one method only
        if len(_targets) >= _MAX_TARGETS:
            _targets.clear()
        _targets[target] = found
    return found


def split_target(method: bytes, target: bytes) -> tuple[bytes, bytes]:
    """(path in normal form, query with its "?" or b""). Refused: 400."""
    found = _TARGET.fullmatch(target)
    if found is None:
        if target == b"*" and method == b"OPTIONS":
            return target, b""
        raise Refused(400, "bad_path" if _LOOSE_TARGET.fullmatch(target) else "bad_target")
    path, query = found.groups(b"")
    if b"%" in path or b"/." in path:
        path = normal_path(path)
    return path, query


def _read_authority(head: RequestHead, authority: bytes | None, specials: dict[bytes, bytes]) -> None:
    """Section 8.3.1: Host stands in for a missing :authority, and must not differ from one that is there."""
    host = specials.pop(b"host", None)
    if authority is None:
        if host is None:
            raise Refused(400, "no_host")
        authority = host
    elif host is not None and host.lower() != authority.lower():
        raise Refused(400, "host_differs")
    head.authority = authority
    head.host = split_authority(authority)


def _read_specials(head: RequestHead, specials: dict[bytes, bytes], ended: bool) -> None:
    length = specials.get(b"content-length")
    if length is not None:
        head.length = _length(length)
        if ended and head.length:  # section 8.1.1
            raise Malformed(400, "body_cut")
    expect = specials.get(b"expect")
    if expect is not None:
        if expect.lower() != b"100-continue":
            raise Refused(417, "bad_expect")
        head.expect = head.length != 0
    te = specials.get(b"te")
    if te is not None:
        if te.lower() != b"trailers":  # section 8.2.2
            raise Malformed(400, "bad_te")
        head.trailers = True


def _length(text: bytes) -> int:
    if not text.isdigit() or len(text) > 18:
        raise Malformed(400, "bad_content_length")
    return int(text)


# Of no meaning where RFC 8441 opens a WebSocket.
_HANDSHAKE = frozenset(b"sec-websocket-key sec-websocket-accept".split())


def request_start(head: RequestHead, path: bytes, authority: bytes, scheme: bytes) -> Fields:
    """The pseudo-fields of a request to a backend, and those that say how it is framed. `path` is without query; its
    forwarded lines follow (`Encoder.encode(request_start(...), block)`). A WebSocket is asked for as RFC 8441 says.
    """
    fields: Fields = [
        (b":method", b"CONNECT" if head.upgrade else head.method),
        (b":scheme", scheme),
        (b":authority", authority),
        (b":path", path + head.query),
    ]
    if head.upgrade:
        fields.append((b":protocol", head.upgrade))
        return fields
    return fields + request_framing(head)


def request_framing(head: RequestHead) -> Fields:
    """The fields that say how a request is framed, which is not a WebSocket."""
    fields: Fields = []
    specials = head.specials
    if specials:
        if b"content-length" in specials:
            fields.append((b"content-length", b"%d" % head.length))
        if head.trailers:
            fields.append(_TE)
        if b"trailer" in specials:
            fields.append((b"trailer", specials[b"trailer"]))
        if head.expect:
            fields.append((b"expect", b"100-continue"))
    return fields


_TE = (b"te", b"trailers")


def request_block(head: RequestHead, block: bytes) -> bytes:
    """The lines of a request that follow its start: all of them, but for the handshake of a WebSocket of HTTP/1.1."""
    return without(block, _HANDSHAKE) if head.upgrade else block


# -- responses ---------------------------------------------------------------------------------------------------------

_RESPONSE_PSEUDO = frozenset({b":status"})
_NO_BODY = frozenset({204, 304})
_STATUS_FIELDS = {status: (b":status", b"%d" % status) for status in range(100, 1000)}
_STATUSES = {text: status for status, (_, text) in _STATUS_FIELDS.items() if status != 101}  # section 8.6


def response_head(fields: tuple[Field, ...], ended: bool, method: bytes) -> ResponseHead:
    """The head of a response to a request with `method`; `ended` says that its HEADERS had END_STREAM. `length` is what
    follows: 0 or more octets, or UNTIL_END. Refused: 502.
    """
    if fields and fields[0][0] == b":status" and (len(fields) == 1 or fields[1][0][:1] != b":"):
        status = _STATUSES.get(fields[0][1])
    else:
        status = None
    if status is None:
        raise Malformed(502, _bad_status(fields))
    head = ResponseHead()
    head.status = status
    head.reason = PHRASES.get(status, b"")
    head.end = 0
    head.keep_alive = True
    try:
        head.block, head.specials = RESPONSES.sort(fields[1:])
        length = head.specials.get(b"content-length")
        head.length = UNTIL_END if length is None else _length(length)
        if ended or status < 200 or status in _NO_BODY or method == b"HEAD":
            _expect_no_body(head, ended, method)
    except Refused as refused:
        raise Malformed(502, refused.reason) from None
    return head


def _bad_status(fields: tuple[Field, ...]) -> str:
    try:
        pseudo_fields(fields, _RESPONSE_PSEUDO)
    except Refused as refused:
        return refused.reason
    return "bad_status"


def _expect_no_body(head: ResponseHead, ended: bool, method: bytes) -> None:
    """RFC 9110 section 6.4.1: where nothing follows, Content-Length may say what would have followed a GET, or 0."""
    status, declared = head.status, head.length
    if status < 200:
        if ended:  # section 8.1
            raise Malformed(502, "interim_end")
        if declared != UNTIL_END:
            raise Malformed(502, "body_not_allowed")
    elif status == 204:
        if declared > 0:
            raise Malformed(502, "body_not_allowed")
    elif declared > 0 and method != b"HEAD" and status != 304:
        raise Malformed(502, "body_cut")
    head.length = 0


def response_start(head: ResponseHead) -> Fields:
    """:status, and the fields that say how a response is framed; the lines of its block follow
    (`Encoder.encode(response_start(head), head.block)`). From a head of either version.
    """
    status = head.status
    fields: Fields = [_STATUS_FIELDS[status]]
    if head.specials:
        declared = head.specials.get(b"content-length")
        if declared is not None and status >= 200 and status != 204:
            fields.append((b"content-length", declared if declared[:1] != b"0" else b"%d" % int(declared)))
        if b"trailer" in head.specials:
            fields.append((b"trailer", head.specials[b"trailer"]))
    return fields


# -- trailers ----------------------------------------------------------------------------------------------------------


def trailer_block(fields: tuple[Field, ...]) -> bytes:
    """The block of received trailers: those that may be forwarded (RFC 9110 section 6.5.1). Malformed: a pseudo-field,
    a field of the connection, and what is outside the grammar (sections 8.1 and 8.2).
    """
    try:
        return TRAILERS.sort(fields)[0]
    except Malformed as malformed:
        raise Malformed(400, _TRAILER_REASONS.get(malformed.reason, malformed.reason)) from None


_TRAILER_REASONS = {"pseudo_field_late": "bad_trailers", "connection_field": "bad_trailers"}

# Trailers that were sent, as the lines that may be: those of gRPC are nearly all the same.
_trailers: dict[bytes, bytes] = {}
_MAX_TRAILERS = 256
_MAX_TRAILER_BYTES = 128


def trailer_lines(block: bytes) -> bytes:
    """The lines of the trailers to send, from a block of either version."""
    found = _trailers.get(block)
    if found is None:
        found = allowed_trailers(block)
        if len(block) <= _MAX_TRAILER_BYTES:
            if len(_trailers) >= _MAX_TRAILERS:
                _trailers.clear()
            _trailers[block] = found
    return found
