"""Sessions of one rule: the token that a client shows, and the endpoint that it stands for (GEP-1619).

A token is a digest over the rule, the backend and the address of an endpoint, found in a dict of the digests of the
endpoints that there are: it leads to nothing else, says nothing of addresses, and means the same to all workers and
replicas, before and after a restart. Where sessions end after a time it carries the moment at which it was made, and a
seal on both. With a key (GatewayConfig) nobody else can make tokens. Without one, who knows the names of the objects
can guess an address from a token, and make tokens for endpoints whose address it knows, of whatever age; such a client
gains no more than to choose among the endpoints of the rule.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from hashlib import blake2b
from hmac import compare_digest
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from gatewayd.wire.cookies import MOST, Cookie
from gatewayd.wire.fields import BlockEdit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gatewayd.routing.rule import Share
    from gatewayd.routing.snapshot import Persistence

_MAX_KEYS = 16
SKEW = 60.0  # seconds by which the clocks of two gateways may differ
_DIGEST = 15  # bytes, which are 20 characters
_NAMED = 20  # characters of a token that name an endpoint
_SEALED = 32  # those, and the moment: milliseconds since 1970 as hexadecimal digits
_NAME = rb"[A-Za-z0-9_-]{20}"
_SEAL = rb"[0-9a-f]{12}[A-Za-z0-9_-]{20}"


class Place(NamedTuple):
    """What a session is bound to: an endpoint, and the share that it serves."""

    share: Share
    endpoint: Any


class _Known(NamedTuple):
    """What the names of tokens that one key makes stand for, and the state of the backends that this was made of."""

    places: dict[bytes, Place]
    made_of: list[Any]


class Sessions:
    """The sessions of one rule. The dict of its endpoints is made when a token asks for it, and made anew when a token
    is not in it and endpoints have changed since. Each key has its own: a route may belong to several Gateways.
    """

    __slots__ = ("_after", "_edit", "_known", "_read", "_scopes", "_shares", "name", "plan")

    def __init__(self, scope: bytes, plan: Persistence, shares: tuple[Share, ...]) -> None:
        """`scope` is what no two rules share."""
        self.plan = plan
        self.name = plan.name or b"gatewayd-" + blake2b(scope, digest_size=5).hexdigest().encode()
        self._shares = shares
        self._scopes = _scopes(scope, shares)
        self._known: dict[bytes, _Known] = {}
        form = _NAME + _SEAL if plan.timeout else _NAME
        cookie = plan.kind == "cookie"
        self._read = Cookie(self.name, form).values if cookie else Field(self.name, form).values
        self._edit = None if cookie else BlockEdit(remove=(self.name,))
        self._after = _attributes(plan)

    # -- from a request ----------------------------------------------------------------------------------------------

    def find(self, block: bytes, key: bytes, now: float) -> Place | None:
        """What the session of a request is bound to; None when it shows none that is valid. `block`: its field lines
        as they came; `now`: seconds since 1970.
        """
        for token in self._read(block):
            place = self._place(token[:_NAMED], key)
            if place is not None and (len(token) == _NAMED or self._holds(token, key, now)):
                return place
        return None

    def _place(self, name: bytes, key: bytes) -> Place | None:
        known = self._known.get(key)
        place = None if known is None else known.places.get(name)
        if place is None or place.endpoint.gone:
            made_of = [(share.backend, share.backend and share.backend.version) for share in self._shares]
            if known is not None and made_of == known.made_of:
                return None
            if known is None and len(self._known) >= _MAX_KEYS:  # of keys that were replaced
                self._known.clear()
            known = self._known[key] = _Known(dict(self._all(key)), made_of)
            place = known.places.get(name)
        if place is None:
            return None
        # Where no endpoint can be connected to, this one is as good as any.
        return None if place.endpoint.ejected_until and place.share.backend.live else place

    def _all(self, key: bytes) -> Iterator[tuple[bytes, Place]]:
        for share in self._shares:
            if share.backend is not None:
                for endpoint in share.backend.bindable():
                    yield self._name(share, endpoint, key), Place(share, endpoint)

    def _holds(self, token: bytes, key: bytes, now: float) -> bool:
        """Whether the session is not over, and the token as it was made."""
        age = now - int(token[_NAMED:_SEALED], 16) / 1000
        return -SKEW <= age < self.plan.timeout and compare_digest(_seal(token[:_SEALED], key), token[_SEALED:])

    # -- to a response -----------------------------------------------------------------------------------------------

    def tell(self, block: bytes, place: Place, key: bytes, now: float, secure: bool) -> bytes:
        """The field lines of a response with the token of a session that begins. `secure`: the client came by TLS."""
        token = self._name(place.share, place.endpoint, key)
        if self.plan.timeout:
            token += b"%012x" % int(now * 1000)
            token += _seal(token, key)
        if self._edit is not None:
            return b"%b\r\n%b: %b" % (self._edit.apply(block), self.name, token)
        return b"%b\r\nset-cookie: %b=%b%b%b" % (block, self.name, token, self._after, b"; Secure" if secure else b"")

    def _name(self, share: Share, endpoint: Any, key: bytes) -> bytes:
        """The part of a token that names the endpoint."""
        return _digest(self._scopes[share] + endpoint.label, key, b"gatewayd place")


def _scopes(scope: bytes, shares: Iterable[Share]) -> dict[Share, bytes]:
    """What no two shares of any rule have in common. A backend may stand in a rule twice, with other filters."""
    counts: dict[str, int] = {}
    found = {}
    for share in shares:
        number = counts[share.key] = counts.get(share.key, 0) + 1
        found[share] = b"%b\0%b\0%d\0" % (scope, share.key.encode(), number)
    return found


def _attributes(plan: Persistence) -> bytes:
    """What follows the value of the cookie. Scripts have no use for it. It is not `SameSite=Strict`: whoever came by a
    link from elsewhere would leave the session. Max-Age goes before Expires, and needs no clock of the client's.
    """
    lasting = b"; Max-Age=%d" % ceil(plan.timeout) if plan.permanent else b""
    return b"; Path=%b; HttpOnly; SameSite=Lax%b" % (plan.path, lasting)


def _seal(data: bytes, key: bytes) -> bytes:
    return _digest(data, key, b"gatewayd seal")


def _digest(data: bytes, key: bytes, purpose: bytes) -> bytes:
    return urlsafe_b64encode(blake2b(data, digest_size=_DIGEST, key=key, person=purpose).digest())


class Field:
    """A field of one name whose value is of one form, a regular expression without groups."""

    __slots__ = ("_lines",)

    def __init__(self, name: bytes, form: bytes) -> None:
        self._lines = re.compile(rb"\r\n(?i:%b):[\t ]*+(%b)[\t ]*+(?=\r|\Z)" % (re.escape(name), form)).finditer

    def values(self, block: bytes) -> Iterator[bytes]:
        """The values that a block of field lines has for it, in their order."""
        return (found[1] for found in islice(self._lines(block), MOST))
