"""sessionPersistence as written -> what the traffic path needs of it (GEP-1619)."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.api.persistence import CookieConfig, HeaderConfig, SessionPersistence
from gatewayd.plan.filters import UnservableError
from gatewayd.plan.persistence import persistence_of
from gatewayd.routing.snapshot import Persistence


def cookie(timeout: str | None = None, **fields: Any) -> SessionPersistence:
    return SessionPersistence(cookie=CookieConfig(**fields), absolute_timeout=timeout)


def header(name: str, timeout: str | None = None) -> SessionPersistence:
    return SessionPersistence(type="Header", header=HeaderConfig(name=name), absolute_timeout=timeout)


COMPILED = [
    (None, None),
    (cookie(), Persistence()),  # type Cookie, path / and lifetime Session are the defaults
    (cookie(name="Shop"), Persistence(name=b"Shop")),  # names of cookies keep their case (RFC 6265 section 5.3)
    (cookie(path="/cart"), Persistence(path=b"/cart")),
    (cookie("1h30m"), Persistence(timeout=5400.0)),
    (cookie("500ms"), Persistence(timeout=0.5)),
    (cookie("24h", lifetime_type="Permanent"), Persistence(permanent=True, timeout=86400.0)),
    (header("X-Session"), Persistence(kind="header", name=b"x-session")),  # those of fields do not (RFC 9110 5.1)
    (header("X-Session", "10s"), Persistence(kind="header", name=b"x-session", timeout=10.0)),
]


@pytest.mark.parametrize(("spec", "expected"), COMPILED)
def test_it_is_compiled(spec: SessionPersistence | None, expected: Persistence | None) -> None:
    assert persistence_of(spec) == expected


REFUSED = [
    (cookie("0s"), "absoluteTimeout 0s"),
    (cookie("0h0ms", lifetime_type="Permanent"), "absoluteTimeout 0h0ms"),
    (cookie(path="cart"), "cookie.path 'cart'"),
    (cookie(path=""), "cookie.path ''"),
    (cookie(path="/a; Domain=example.com"), "cookie.path"),
    (cookie(path="/a\r\nx: y"), "cookie.path"),
    (cookie(path="/caf\xe9"), "cookie.path"),
    (cookie(path="/\x7f"), "cookie.path"),
    (header("Cookie"), "header.name Cookie"),
    (header("Transfer-Encoding"), "header.name"),
    (header("HOST"), "header.name"),
    (header("X-Request-Id"), "header.name"),
    (header("x_forwarded_for"), "header.name"),  # the gateway takes it for the other one, as some backends do
    (header("TE"), "header.name"),
]


@pytest.mark.parametrize(("spec", "message"), REFUSED)
def test_what_no_cookie_and_no_field_can_carry_is_refused(spec: SessionPersistence, message: str) -> None:
    with pytest.raises(UnservableError) as told:
        persistence_of(spec)
    assert f"sessionPersistence.{message}" in str(told.value)
