"""Redirects and rewrites applied to a request: RequestRedirect, URLRewrite (GEP-726)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import PathEdit, Redirect

_WELL_KNOWN_PORTS = {b"http": 80, b"https": 443}


def edit_path(edit: PathEdit, path: bytes) -> bytes:
    """`path` after ReplaceFullPath or ReplacePrefixMatch. Trailing slashes of prefix and replacement do not count."""
    if edit.prefix is None:
        return edit.value or b"/"
    rest = path[len(edit.prefix.rstrip(b"/")) :]
    new = edit.value.rstrip(b"/") + (rest if rest.startswith(b"/") else b"/" + rest if rest else b"")
    return new or b"/"


def location(redirect: Redirect, scheme: bytes, host: bytes, number: int, path: bytes, query: bytes) -> bytes:
    """The Location of a redirect. `scheme` and `number` are those of the listener, `host` the request's without port.

    Port: the filter's; else the well-known port of the filter's scheme; else the listener's. It is left out where it
    is the well-known one of the scheme (Gateway API, HTTPRequestRedirectFilter.port).
    """
    new_scheme = redirect.scheme or scheme
    if redirect.port is not None:
        port = redirect.port
    elif redirect.scheme is not None:
        port = _WELL_KNOWN_PORTS.get(redirect.scheme, number)
    else:
        port = number
    suffix = b"" if _WELL_KNOWN_PORTS.get(new_scheme) == port else b":%d" % port
    new_path = path if redirect.path is None else edit_path(redirect.path, path)
    return b"%b://%b%b%b%b" % (new_scheme, redirect.hostname or host, suffix, new_path, query)
