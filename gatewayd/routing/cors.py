"""CORS compiled: which origins may read answers, and the fields that say so (GEP-1767, Fetch standard section 3.2)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatewayd.wire.fields import split_block

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import Cors
    from gatewayd.wire.head import RequestHead

_ORIGIN = re.compile(rb"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_DEFAULT_PORTS = {b"http": b"80", b"https": b"443"}
# What may be sent back as it came: an origin of whatever scheme, a method, a list of field names.
_ECHOED_ORIGIN = re.compile(rb"null|[A-Za-z][A-Za-z0-9+.-]*://[!-+\--.0-~]+")
_ECHOED_METHOD = re.compile(rb"[A-Za-z0-9!#$%&'*+\-.^_`|~]+")
_ECHOED_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+\-.^_`|~]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+\-.^_`|~]+)*")
_FIELDS = re.compile(
    rb"\r\n(?i:access-control-(?:allow-origin|allow-credentials|allow-methods|allow-headers|expose-headers|max-age)):"
    rb"[^\r]*+"
)
_ANY = (b"*",)


class CrossOrigin:
    """The CORS filter of one rule or backendRef."""

    __slots__ = ("_exact", "_plan", "_vary", "_wild", "any")

    def __init__(self, plan: Cors) -> None:
        self._plan = plan
        self.any = plan.origins == _ANY
        self._exact: set[tuple[bytes, bytes, bytes]] = set()  # scheme, host, port
        self._wild: list[tuple[bytes, bytes, bytes]] = []  # scheme, end of the host, port
        for origin in plan.origins:
            if origin != b"*":
                self._add(origin.lower())
        # What depends on Origin must not be taken from a cache for another one (Fetch standard section 3.2.5).
        self._vary = b"" if self.any and not plan.credentials else b"\r\nvary: origin"

    def _add(self, origin: bytes) -> None:
        scheme, _, rest = origin.partition(b"://")
        host, _, port = rest.partition(b":")
        port = port or _DEFAULT_PORTS[scheme]
        if host.startswith(b"*"):
            self._wild.append((scheme, host[1:], port))
        else:
            self._exact.add((scheme, host, port))

    def allows(self, origin: bytes) -> bool:
        """Whether scripts of this origin may read answers. `*` in a host stands for one label or more."""
        if self.any:
            return _ECHOED_ORIGIN.fullmatch(origin) is not None
        found = _ORIGIN.fullmatch(origin.lower())
        if found is None:
            return False
        scheme, host, port = found.groups()
        port = port or _DEFAULT_PORTS[scheme]
        return (scheme, host, port) in self._exact or any(
            scheme == wanted and port == number and host.endswith(end) and len(host) > len(end)
            for wanted, end, number in self._wild
        )

    def preflight(self, head: RequestHead) -> bytes | None:
        """The fields of the answer to a preflight request; None when the request is none."""
        method = head.value(b"access-control-request-method")
        if head.method != b"OPTIONS" or method is None or (origin := head.value(b"origin")) is None:
            return None
        if not self.allows(origin):
            return self._vary
        plan = self._plan
        lines = self._allowed(origin) + self.exposed(b"")
        lines += _listed(b"methods", plan.methods, method if _ECHOED_METHOD.fullmatch(method) else b"", self._literal)
        asked = head.value(b"access-control-request-headers")
        if asked is not None:
            echo = asked if _ECHOED_NAMES.fullmatch(asked) else b""
            # To browsers `*` is every field but Authorization, which must be named (Fetch standard section 2.2.2).
            literal = self._literal and b"authorization" not in echo.lower()
            lines += _listed(b"headers", plan.headers, echo, literal)
        return lines + b"\r\naccess-control-max-age: %d%b" % (plan.max_age, self._vary)

    def edit(self, head: RequestHead) -> CrossOriginEdit:
        """What becomes of the response to any other request."""
        origin = head.value(b"origin")
        allowed = origin is not None and self.allows(origin)
        lines = self._vary if origin is None or not allowed else self._allowed(origin) + self._vary
        return CrossOriginEdit(self, lines, allowed=allowed)

    @property
    def _literal(self) -> bool:
        """Whether `*` may be said: never where credentials are allowed."""
        return not self._plan.credentials

    def _allowed(self, origin: bytes) -> bytes:
        shown = b"*" if self.any and self._literal else origin
        lines = b"\r\naccess-control-allow-origin: " + shown
        return lines + b"\r\naccess-control-allow-credentials: true" if self._plan.credentials else lines

    def exposed(self, block: bytes) -> bytes:
        """The names that scripts may read; for a `*` that must not be said, those of the response."""
        names = self._plan.expose
        if b"*" in names and not self._literal:
            listed = (name for name in names if name != b"*")
            names = tuple(dict.fromkeys((*listed, *(name for name, _ in split_block(block)))))
        return b"\r\naccess-control-expose-headers: " + b", ".join(names) if names else b""


class CrossOriginEdit:
    """One response: the backend's own CORS fields give way to ours. `lines` go into the gateway's own answers too."""

    __slots__ = ("_allowed", "_cors", "lines")

    def __init__(self, cors: CrossOrigin, lines: bytes, *, allowed: bool) -> None:
        self._cors = cors
        self._allowed = allowed
        self.lines = lines

    def apply(self, block: bytes) -> bytes:
        """The edited block."""
        block = _FIELDS.sub(b"", block)
        exposed = self._cors.exposed(block) if self._allowed else b""
        return block + self.lines + exposed


def _listed(name: bytes, values: tuple[bytes, ...], asked: bytes, literal: bool) -> bytes:
    """Access-Control-Allow-`name`: all that is configured, or for `*` what was `asked` where `*` must not be said."""
    value = asked if values == _ANY and not literal else b", ".join(values)
    return b"\r\naccess-control-allow-%b: %b" % (name, value) if value else b""
