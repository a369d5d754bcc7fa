"""The request target (RFC 9112 section 3.2) and the authority (RFC 3986 section 3.2): host, path and query."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote_from_bytes, unquote_to_bytes

from gatewayd.wire.grammar import AUTHORITY
from gatewayd.wire.path import normalise
from gatewayd.wire.refused import Refused

_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*+)(/[^?]*+)?(\?.*+)?")


def split_target(method: bytes, target: bytes) -> tuple[bytes | None, bytes, bytes]:
    """(authority of an absolute-form target or None, path in normal form, query with its "?" or b"")."""
    authority = None
    if method == b"CONNECT":
        raise Refused(501, "connect")
    if target[:1] == b"/":
        path, mark, query = target.partition(b"?")
    elif target == b"*" and method == b"OPTIONS":
        return None, target, b""
    elif (found := _ABSOLUTE.fullmatch(target)) is not None:
        authority, path = found.group(1), found.group(2) or b"/"
        if not authority:  # RFC 9110 section 4.2.1
            raise Refused(400, "bad_host")
        mark, query = b"", found.group(3) or b""
    else:
        raise Refused(400, "bad_target")
    return authority, normal_path(path), mark + query


def normal_path(path: bytes) -> bytes:
    """`path.normalise`, for clients. Refused 400."""
    try:
        return normalise(path)
    except ValueError:
        raise Refused(400, "bad_path") from None


def split_authority(authority: bytes) -> bytes:
    """The host to route by: lower case, without port and trailing dot. Refused 400 outside the grammar."""
    host = _hosts.get(authority)
    return _split_authority(authority) if host is None else host


# Every request names a host, and a gateway has a bounded number of them; what is bounded here is what attackers name.
_hosts: dict[bytes, bytes] = {}
_MAX_HOSTS = 1024


def _split_authority(authority: bytes) -> bytes:
    found = AUTHORITY.fullmatch(authority)
    if found is None or (found.group(2) is not None and int(found.group(2)) > 65535):
        raise Refused(400, "bad_host")
    host = found.group(1).lower()
    if host[-1:] == b".":  # "example.com." is the same name, spelled in full
        host = host[:-1]
        if not host or host[-1:] == b".":
            raise Refused(400, "bad_host")
    if len(_hosts) >= _MAX_HOSTS:
        _hosts.clear()
    _hosts[authority] = host
    return host


def query_parameters(query: bytes) -> dict[bytes, bytes]:
    """Names and values, decoded; of a repeated name the first value counts (Gateway API, HTTPQueryParamMatch)."""
    found: dict[bytes, bytes] = {}
    for part in query[1:].split(b"&"):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        found.setdefault(unquote_to_bytes(name), unquote_to_bytes(value))
    return found


def edit_query(query: bytes, set: Collection[tuple[bytes, bytes]], remove: Collection[bytes]) -> bytes:
    """The query with some parameters removed and some set, after the others; names and values are given decoded."""
    gone = {*remove, *(name for name, _ in set)}
    parts = [part for part in query[1:].split(b"&") if part and _parameter_name(part) not in gone]
    parts += [f"{quote_from_bytes(name)}={quote_from_bytes(value)}".encode() for name, value in set]
    return b"?" + b"&".join(parts) if parts else b""


def _parameter_name(part: bytes) -> bytes:
    return unquote_to_bytes(part.partition(b"=")[0].replace(b"+", b" "))
