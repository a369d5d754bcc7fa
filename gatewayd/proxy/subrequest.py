"""Requests of the gateway's own: to connections to backends each looks like an exchange whose request is whole.

They take the same endpoints, pools and limits as the requests of clients. What becomes of the answer is for the kinds
of them to say: copies (`mirror`) and questions (`authorization`).
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy.blame import blame

if TYPE_CHECKING:
    from gatewayd.proxy.port import Port
    from gatewayd.routing.snapshot import Settings
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint
    from gatewayd.wire.head import RequestHead
    from gatewayd.wire.response_head import ResponseHead


class Nobody:
    """The client of such a request."""

    __slots__ = ()
    sink = None

    def interim(self, head: ResponseHead) -> None:
        """Nobody wants to know."""


_NOBODY = Nobody()


class Subrequest:
    """One of them in flight, in no session. It ends by `finish`, which whoever takes the answer calls at its end
    (`took_body`), by `cut` before that, or by itself; then `failed` says why. `repeated`: it is on its way for the
    second time.
    """

    bound = None

    __slots__ = (
        "answered",
        "authority",
        "backend",
        "began",
        "block",
        "body",
        "down",
        "ended",
        "endpoint",
        "head",
        "interims",
        "path",
        "port",
        "repeated",
        "reused",
        "sent",
        "settings",
        "status",
        "trailers",
        "up",
    )

    def __init__(self, port: Port, settings: Settings, backend: Backend, head: RequestHead, body: bytes) -> None:
        self.port = port
        self.settings = settings
        self.backend = backend
        self.head = head
        self.path = head.path
        self.authority = head.authority
        self.block = head.block
        self.body = body
        self.trailers = b""
        self.ended = True
        self.down: Nobody | None = _NOBODY
        self.endpoint: Endpoint | None = None
        self.up: Any = None
        self.began = self.sent = monotonic()
        self.answered = 0.0
        self.status = self.interims = 0
        self.reused = self.repeated = False

    # -- for its kinds ---------------------------------------------------------------------------------------------

    def took_head(self, head: ResponseHead) -> None:
        """The answer begins."""

    def took_body(self, data: bytes, ended: bool, trailers: bytes) -> None:
        """The answer goes on."""

    def failed(self, reason: bytes, status: int) -> None:
        """There is no answer, or not all of it; everything is set free already."""

    # -- the request -----------------------------------------------------------------------------------------------

    def send(self, tried: Endpoint | None = None) -> None:
        """Send it over a pooled connection, or over one that is made for it."""
        endpoint = self.backend.pick(tried)
        if endpoint is None:
            self._fail(b"no_endpoints", 503)
            return
        self.endpoint = endpoint
        endpoint.active += 1
        if endpoint.unanswered:
            self.backend.probe(endpoint, monotonic())
        # When a service restarts, all its pooled connections are dead.
        fresh = self.repeated and self.backend.open < self.settings.upstream_connections
        self.reused = bool(endpoint.idle) and not fresh
        if self.reused:
            self._send(endpoint.idle.popitem()[0])
        else:
            self.port.runtime.connector.connect(self)  # type: ignore[arg-type]

    def connected(self, up: Any) -> None:
        """A connection was made for it."""
        self._send(up)

    def _send(self, up: Any) -> None:
        self.sent = monotonic()
        self.up = up
        up.send_head(self, self.body, True, self.trailers)

    def connect_failed(self, reason: bytes, status: int = 503) -> None:
        """No connection could be made."""
        self._fail(reason, status)

    def reply(self, status: int, reason: bytes) -> None:
        """What would be the gateway's own answer."""
        self.cut()
        self.failed(reason, status)

    def pause_request(self) -> None:
        """All that there is was written already."""

    resume_request = pause_request

    # -- the response ----------------------------------------------------------------------------------------------

    def respond(self, head: ResponseHead, data: bytes, ended: bool, trailers: bytes, now: float) -> None:
        """The answer begins."""
        endpoint = self.endpoint
        if endpoint is not None and endpoint.unanswered:
            self.backend.answered(endpoint)
        self.status = head.status
        self.took_head(head)
        self.took_body(data, ended, trailers)

    def respond_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """It goes on."""
        self.took_body(data, ended, trailers)

    def upstream_lost(self, reason: bytes, status: int = 502) -> None:
        """The connection ended before the answer did."""
        self.up = None
        blame(self, reason)
        self._fail(reason, status)

    # -- the end ---------------------------------------------------------------------------------------------------

    def let_go(self) -> Endpoint | None:
        """Give up this attempt; the endpoint that was asked."""
        up, self.up = self.up, None
        endpoint, self.endpoint = self.endpoint, None
        if up is not None:
            up.exchange = None
            up.abort()
        else:
            self.port.runtime.connector.forget(self)  # type: ignore[arg-type]
        if endpoint is not None:
            endpoint.active -= 1
        return endpoint

    def cut(self) -> None:
        """End it now, whatever becomes of the connection."""
        self.let_go()
        self.finish()

    def finish(self) -> None:
        """Set the connection free. Called once."""
        self.down = None
        if self.endpoint is not None:
            self.endpoint.active -= 1
        up, self.up = self.up, None
        if up is not None:
            up.release(monotonic())

    def _fail(self, reason: bytes, status: int) -> None:
        self.finish()
        self.failed(reason, status)
