"""Filter specs of a rule or of a backendRef -> one `Filters` record, or the reason why they cannot be served."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from gatewayd.routing.snapshot import Cors, Edit, Filters, MirrorPlan, PathEdit, Redirect

# RFC 9110 sections 6.4 and 7.6.1: fields that frame a message or belong to one connection; the gateway writes them.
FRAMING = frozenset(
    {"connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_VALUE = re.compile(r"[!-~\x80-\U0010ffff]+(?:[\t ]+[!-~\x80-\U0010ffff]+)*")
_NO_PATH = re.compile(rb"[^A-Za-z0-9\-._~!$&'()*+,;=:@/%]|%(?![0-9A-Fa-f]{2})")


class UnservableError(ValueError):
    """A value that cannot be served as written; the message says which and why, `place` leads to it from what was
    compiled. The rule is dropped, or closed where it guards something.
    """

    def __init__(self, message: str, *place: str | int) -> None:
        super().__init__(message)
        self.place = place

    def under(self, *place: str | int) -> UnservableError:
        """The same, seen from further above."""
        return UnservableError(str(self), *place, *self.place)


class Merged(NamedTuple):
    """All filters of one list."""

    filters: Filters | None = None
    refused: tuple[str, ...] = ()  # types without which the request must not pass: it is answered 500
    mirrors: tuple[tuple[int, Any], ...] = ()  # (index of the filter, its requestMirror), to be resolved
    auths: tuple[tuple[int, Any], ...] = ()  # (index of the filter, its externalAuth), to be resolved
    refusal: str = ""  # the reason word of that answer


def merge(specs: Iterable[Any], prefix: bytes | None) -> Merged:
    """One record for all `specs`. `prefix` is the path prefix of the rule's only match, for ReplacePrefixMatch.

    UnservableError when a value is outside of what HTTP can carry.
    """
    parts: dict[str, Any] = {}
    refused, mirrors, auths = [], [], []
    for index, spec in enumerate(specs):
        if spec.type in _COMPILERS:
            parts |= _compiled(spec, prefix, index)
        elif spec.type == "RequestMirror":
            mirrors.append((index, spec.request_mirror))
        elif spec.type == "ExternalAuth":
            auths.append((index, spec.external_auth))
        else:
            refused.append(spec.type)
    filters = Filters(**parts) if parts else None
    refusal = f"{refused[0]}NotServed" if refused else ""
    return Merged(filters, tuple(refused), tuple(mirrors), tuple(auths), refusal)


def _compiled(spec: Any, prefix: bytes | None, index: int) -> dict[str, Any]:
    try:
        return _COMPILERS[spec.type](spec, prefix)
    except UnservableError as error:
        raise error.under(index) from None


def mirror_plan(spec: Any, backend: str) -> MirrorPlan:
    """A requestMirror whose backendRef was resolved; all requests are mirrored where it does not say how many."""
    if spec.fraction is not None:
        return MirrorPlan(backend, spec.fraction.numerator, spec.fraction.denominator)
    return MirrorPlan(backend) if spec.percent is None else MirrorPlan(backend, spec.percent, 100)


def _request_edit(spec: Any, _prefix: bytes | None) -> dict[str, Any]:
    return {"request": _edit(spec.request_header_modifier, FRAMING | {"host"})}


def _response_edit(spec: Any, _prefix: bytes | None) -> dict[str, Any]:
    return {"response": _edit(spec.response_header_modifier, FRAMING)}


def _redirect(spec: Any, prefix: bytes | None) -> dict[str, Any]:
    wanted = spec.request_redirect
    redirect = Redirect(
        status=wanted.status_code,
        scheme=wanted.scheme.encode() if wanted.scheme else None,
        hostname=wanted.hostname.lower().encode() if wanted.hostname else None,
        port=wanted.port,
        path=_path_edit(wanted.path, prefix),
    )
    return {"redirect": redirect}


def _rewrite(spec: Any, prefix: bytes | None) -> dict[str, Any]:
    wanted = spec.url_rewrite
    hostname = wanted.hostname.lower().encode() if wanted.hostname else None
    return {"hostname": hostname, "path": _path_edit(wanted.path, prefix)}


def _cors(spec: Any, _prefix: bytes | None) -> dict[str, Any]:
    wanted = spec.cors
    cors = Cors(
        origins=tuple(origin.lower().encode() for origin in wanted.allow_origins),
        credentials=bool(wanted.allow_credentials),
        methods=tuple(method.encode() for method in wanted.allow_methods),
        headers=tuple(name.encode() for name in wanted.allow_headers),
        expose=tuple(name.encode() for name in wanted.expose_headers),
        max_age=wanted.max_age,
    )
    return {"cors": cors}


_COMPILERS: Mapping[str, Callable[[Any, bytes | None], dict[str, Any]]] = {
    "RequestHeaderModifier": _request_edit,
    "ResponseHeaderModifier": _response_edit,
    "RequestRedirect": _redirect,
    "URLRewrite": _rewrite,
    "CORS": _cors,
}


def _edit(spec: Any, closed: frozenset[str]) -> Edit:
    return Edit(
        set=_pairs(spec.set, closed),
        add=_pairs(spec.add, closed),
        remove=tuple(dict.fromkeys(field_name(name, closed) for name in spec.remove)),
    )


def _pairs(headers: Iterable[Any], closed: frozenset[str]) -> tuple[tuple[bytes, bytes], ...]:
    """Of names that differ only by case the first counts (Gateway API, HTTPHeader.name)."""
    found: dict[bytes, bytes] = {}
    for header in headers:
        found.setdefault(field_name(header.name, closed), field_value(header.value))
    return tuple(found.items())


def field_name(name: str, closed: frozenset[str] = frozenset()) -> bytes:
    """A field name for the wire: lower case. UnservableError when it is no token, or one of `closed`."""
    if not _TOKEN.fullmatch(name):
        raise UnservableError(f"{name!r} is no field name of HTTP")
    lower = name.lower()
    if lower in closed:
        instead = " (a URLRewrite with `hostname` changes it)" if lower == "host" else ""
        raise UnservableError(f"field {lower} cannot be changed: the gateway writes it itself{instead}")
    return lower.encode()


def field_value(value: str) -> bytes:
    """A field value for the wire. UnservableError when it has control characters or blanks at its ends."""
    if not _VALUE.fullmatch(value):
        raise UnservableError(f"{value!r} is no field value of HTTP")
    return value.encode()


def _path_edit(spec: Any, prefix: bytes | None) -> PathEdit | None:
    if spec is None:
        return None
    if spec.type == "ReplaceFullPath":
        return PathEdit(value=_target(spec.replace_full_path or "/"))
    if prefix is None:
        raise UnservableError("ReplacePrefixMatch needs exactly one match of type PathPrefix in the rule")
    return PathEdit(value=_target(spec.replace_prefix_match or ""), prefix=prefix)


def _target(path: str) -> bytes:
    """A replacement path for the wire: what a URI cannot carry is percent-encoded (RFC 3986 section 2.1)."""
    encoded = _NO_PATH.sub(lambda found: b"%%%02X" % found.group()[0], path.encode())
    if encoded and not encoded.startswith(b"/"):
        encoded = b"/" + encoded
    return encoded
