"""Session persistence of a route rule or a backend (GEP-1619, experimental)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from gatewayd.api.names import Duration, HeaderName
from gatewayd.api.record import Record


class CookieConfig(Record, frozen=True, kw_only=True, gc=False):
    """The cookie that names the session."""

    name: HeaderName | None = None
    path: Annotated[str, Meta(max_length=1024)] = "/"
    lifetime_type: Literal["Permanent", "Session"] = "Session"


class HeaderConfig(Record, frozen=True, kw_only=True, gc=False):
    """The field that names the session."""

    name: HeaderName


class SessionPersistence(Record, frozen=True, kw_only=True, gc=False):
    """The field that `type` names must be set."""

    former: ClassVar[Mapping[str, str]] = {
        "sessionName": "write `cookie: {name: ...}`, or `header: {name: ...}` for type Header",
        "cookieConfig": "write its fields into `cookie`",
        "idleTimeout": "a session ends by its absoluteTimeout alone",
    }
    type: Literal["Cookie", "Header"] = "Cookie"
    absolute_timeout: Duration | None = None
    cookie: CookieConfig | None = None
    header: HeaderConfig | None = None
