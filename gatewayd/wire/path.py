"""The normal form of a path (RFC 3986 section 6.2.2): routes are matched and requests forwarded in this form only.

A gateway and its backend must agree on what a path means, or a rule can be walked around. Dot segments are removed and
unreserved characters decoded; an encoded slash stays as it is and separates nothing; what some backend might read as a
separator or an end (`%00`, a backslash, `..;`, a dot segment beside an encoded slash) is refused.
"""

from __future__ import annotations

import re

_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_REFUSED = (0x00, 0x5C)  # NUL and backslash, also when encoded
_ESCAPE = re.compile(rb"%(?:[0-9A-Fa-f]{2})?")
_OUTSIDE = re.compile(rb"[^!$-;=@-\[\]-~]")  # not one of: %x21-7E without '"', '#', '<', '>', '?', '\'

# Dot segments for whoever decodes `%2F` before it looks for them.
_HIDDEN_DOTS = re.compile(rb"(?:/|%2[Ff])\.\.?%2[Ff]|%2[Ff]\.\.?(?:[/;]|\Z)")


def _normal_escape(value: int, text: bytes) -> bytes:
    if value in _UNRESERVED:
        return bytes((value,))
    return text if value == 0x2F else text.upper()


_ESCAPES: dict[bytes, bytes] = {
    text: _normal_escape(value, text)
    for value in range(256)
    if value not in _REFUSED
    for text in {b"%%%02x" % value, b"%%%02X" % value, b"%%%X%x" % divmod(value, 16), b"%%%x%X" % divmod(value, 16)}
}


def normalise(path: bytes) -> bytes:
    """`path` (without query) in normal form. ValueError says why it is refused."""
    if path[:1] != b"/":
        raise ValueError("path does not start with a slash")
    if _OUTSIDE.search(path):
        raise ValueError("path has a character outside the URI grammar")
    if b"%" in path:
        path = _decode(path)
        if _HIDDEN_DOTS.search(path):
            raise ValueError("path has a dot segment beside an encoded slash")
    if b"/." in path:
        path = _remove_dot_segments(path)
    return path


def _decode(path: bytes) -> bytes:
    try:
        return _ESCAPE.sub(lambda found: _ESCAPES[found.group()], path)
    except KeyError as unknown:
        raise ValueError(f"path has the escape {unknown.args[0].decode()!r}") from None


def _remove_dot_segments(path: bytes) -> bytes:
    """RFC 3986 section 5.2.4. `..` above the root stays at the root."""
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment.startswith((b"..;", b".;")):
            raise ValueError("path has a dot segment with a parameter")
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
