"""sessionPersistence of a rule or of a policy -> Persistence (GEP-1619)."""

from __future__ import annotations

import re

from gatewayd.api.persistence import CookieConfig, SessionPersistence
from gatewayd.api.quantity import seconds
from gatewayd.plan.filters import UnservableError
from gatewayd.routing.snapshot import Persistence
from gatewayd.wire.grammar import REQUEST_SPECIALS, RESPONSE_SPECIALS

# RFC 6265 section 4.1.1, path-value; section 5.2.4: a path that does not begin with a slash would not count.
_PATH = re.compile(r"/[ -:<-~]*")
# Fields that say something else already, besides those that the gateway writes itself.
_RESERVED = frozenset({"cookie", "content-type", "date", "set-cookie"})


def persistence_of(spec: SessionPersistence | None) -> Persistence | None:
    """What the traffic path needs of it; None where there is none. The rule that it belongs to need not be known.

    UnservableError when a value is outside of what a cookie or a field can carry; its message names the member.
    """
    if spec is None:
        return None
    timeout = _timeout(spec.absolute_timeout)
    if spec.type == "Header" and spec.header is not None:
        return Persistence(kind="header", name=_field(spec.header.name), timeout=timeout)
    cookie = spec.cookie or CookieConfig()
    if (cookie.name or "").lower().startswith("__host-") and cookie.path != "/":
        # RFC 6265bis section 4.1.3.2: no browser would take it.
        raise UnservableError(
            f"sessionPersistence.cookie.path of a cookie named {cookie.name} must be /", "cookie", "path"
        )
    return Persistence(
        name=(cookie.name or "").encode(),
        path=_path(cookie.path),
        permanent=cookie.lifetime_type == "Permanent",
        timeout=timeout,
    )


def _timeout(written: str | None) -> float:
    if written is None:
        return 0.0
    timeout = seconds(written)
    if not timeout:
        raise UnservableError(
            f"sessionPersistence.absoluteTimeout {written} would end every session at once", "absoluteTimeout"
        )
    return timeout


def _field(name: str) -> bytes:
    lower = name.lower()
    line = b"\r\n%b: x" % lower.encode()
    if lower in _RESERVED or REQUEST_SPECIALS.match(line) or RESPONSE_SPECIALS.match(line):
        message = f"sessionPersistence.header.name {name} is a field that has a meaning of its own"
        raise UnservableError(f"{message}; choose another, such as X-Session", "header", "name")
    return lower.encode()


def _path(path: str) -> bytes:
    if not _PATH.fullmatch(path):
        message = f"sessionPersistence.cookie.path {path!r} must begin with a slash"
        message += ", and a cookie's Path holds only ASCII, no semicolon and no control character"
        raise UnservableError(message, "cookie", "path")
    return path.encode()
