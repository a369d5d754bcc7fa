"""The Exchange: one request and its response, from the head to the access line.

It joins a downstream stream (which has `describe`, `reply_head`, `reply_body`, `reply_local`, `interim`, `switch`,
`pause`, `resume`, `abort`, `finished`) and an upstream stream (`send_head`, `send_body`, `pause`, `resume`, `abort`,
`release`); it knows nothing of how either is carried. Life of a request, everything synchronous unless a connection
must be made first:

    begin -> listener -> match -> filters -> share -> endpoint -> connection -> send_head, send_body ...
          -> respond (head and first bytes) -> respond_body ... -> finish (counters, access line, both sides set free)
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from gatewayd.proxy import filters, session
from gatewayd.proxy.attempts import UNPROCESSED, Attempts, may_send_again
from gatewayd.proxy.blame import blame
from gatewayd.routing.cors import CrossOriginEdit
from gatewayd.routing.snapshot import Settings

if TYPE_CHECKING:
    from gatewayd.proxy.authorization.guard import Guard
    from gatewayd.proxy.mirror import Copy
    from gatewayd.proxy.port import Port
    from gatewayd.routing.rule import Rule, Share
    from gatewayd.routing.step import Step
    from gatewayd.routing.table import ListenerTable
    from gatewayd.upstream.backend import Backend
    from gatewayd.upstream.endpoint import Endpoint
    from gatewayd.wire.head import RequestHead
    from gatewayd.wire.mutations import Mutations
    from gatewayd.wire.response_head import ResponseHead


class Exchange:
    """One request in flight. `began`, `sent` and `answered` are moments of the monotonic clock, 0.0 when not reached.

    `body` is what came with the head, and what is kept to be sent (again); `ended` says that all of the request has
    come. It can be sent once more while `bytes_in` is the length of `body`. `attempts` is None unless the rule limits
    time or tries again, `copy` unless the request is mirrored and its body is not whole yet, `guard` unless it waits to
    be authorized; `changes` are those of services that authorized it. Where the rule keeps sessions, `share` is the
    share that was chosen, and `bound` the endpoint of the request's session if it shows one.
    """

    __slots__ = (
        "answered",
        "attempts",
        "authority",
        "backend",
        "began",
        "block",
        "body",
        "bound",
        "bytes_in",
        "bytes_out",
        "changes",
        "client",
        "copy",
        "down",
        "ended",
        "endpoint",
        "guard",
        "head",
        "interims",
        "listener",
        "path",
        "port",
        "reason",
        "reply_edits",
        "request_id",
        "retried",
        "reused",
        "rule",
        "sent",
        "settings",
        "share",
        "status",
        "trailers",
        "up",
    )

    share: Share | None

    def __init__(self, down: Any, port: Port, head: RequestHead, now: float) -> None:
        self.down = down
        self.client: bytes = down.client
        self.port = port
        self.request_id = b""
        self.head = head
        self.began = now
        self.sent = self.answered = 0.0
        self.up: Any = None
        self.rule: Rule | None = None
        self.listener: ListenerTable | None = None
        self.backend: Backend | None = None
        self.endpoint: Endpoint | None = None
        self.bound: Endpoint | None = None
        self.attempts: Attempts | None = None
        self.copy: Copy | None = None
        self.guard: Guard | None = None
        self.changes: tuple[Mutations, ...] = ()
        self.status = self.bytes_in = self.bytes_out = self.interims = 0
        self.reason = b""
        self.reply_edits: tuple[Any, ...] = ()
        self.retried = self.reused = False
        self.settings: Settings = port.settings

    # -- the request -----------------------------------------------------------------------------------------------

    def begin(self, body: bytes, ended: bool, trailers: bytes = b"") -> None:
        """Route the request and send it on its way; `body` is what came of the body with the head."""
        self.body = body
        self.ended = ended
        self.trailers = trailers
        self.bytes_in = len(body)
        if self.port.runtime.shedding:
            return self.reply(503, b"overload")
        head = self.head
        listener = self.port.table.listeners.find(head.host)
        if listener is None:
            return self.reply(404, b"no_listener")
        self.listener = listener
        self.settings = listener.settings
        if head.trusted and self.port.mixed:
            self.head = head = head.copy()
            head.trusted = self.port.trusts(self.client, listener.settings)
        sni = self.down.sni_listener
        if sni is not None and sni != listener.key:
            return self.reply(421, b"misdirected")
        match = listener.find(head)
        if match is None:
            return self.reply(404, b"no_route")
        self.rule = rule = match.rule
        if rule.refusal:
            return self.reply(500, rule.refusal.encode())
        if rule.bounded or (match.grpc and head.value(b"grpc-timeout")):
            self.attempts = Attempts(self, rule.plan)
        self.path = head.path
        self.authority = head.authority
        self.block = head.block + self.down.describe(self)
        if rule.step is not None and filters.apply(self, rule.step):
            return None
        return self._choose(rule, None, self.began)

    def _choose(self, rule: Rule, share: Share | None, now: float) -> None:
        """Choose a share and send the request there; one that is chosen already has its filters applied."""
        if share is None:
            sessions = rule.sessions
            share = rule.single or rule.pick() if sessions is None else session.resume(self, rule, sessions)
            if share is None:
                return self.reply(500, b"no_weight" if rule.shares else b"no_backends")
            if share.failure:
                return self.reply(500, share.failure.encode())
            if share.step is not None and filters.apply(self, share.step, share):
                return None
        self.backend = share.backend
        self.backend.requests += 1
        self._send(None, now, self.bound)
        if self.copy is not None:
            self.copy.begin(self)
        return None

    def go_on(self, step: Step, share: Share | None) -> None:
        """The request is authorized: apply the filters that are left, and send it on its way."""
        if self.bound is not None and self.bound.gone:  # meanwhile
            session.renew(self)
        if not filters.edit(self, step):
            self._choose(self.rule, share, monotonic())  # type: ignore[arg-type]
        if not self.ended and self.down is not None and self.takes_body:
            self.down.resume()

    @property
    def takes_body(self) -> bool:
        """Whether somebody is there for what comes of the request's body."""
        if self.guard is not None:
            return self.guard.wants_body
        return self.up is not None and not self.up.blocked

    def _send(self, tried: Endpoint | None, now: float, bound: Endpoint | None) -> None:
        backend = self.backend
        assert backend is not None
        endpoint = bound or backend.pick(tried)
        if endpoint is None:
            self.reply(503, b"no_endpoints")
            return
        if endpoint.unanswered:
            backend.probe(endpoint, now)
        self.endpoint = endpoint
        endpoint.active += 1
        idle = endpoint.idle
        # A retry takes a new connection if it may: when a backend restarts, all that are pooled are dead.
        fresh = self.retried and backend.open < self.settings.upstream_connections
        if idle and not fresh and (not self.head.upgrade or backend.shares_connections):
            up: Any = idle.popitem()[0]
            self.reused = True
            self.sent = now
            self.up = up
            up.send_head(self, self.body, self.ended, self.trailers)
        else:
            self.reused = False
            self.port.runtime.connector.connect(self)

    def connected(self, up: Any) -> None:
        """A connection was made for this exchange."""
        self.sent = monotonic()
        self.up = up
        up.send_head(self, self.body, self.ended, self.trailers)
        if not self.ended and not up.blocked:
            self.down.resume()

    def connect_failed(self, reason: bytes, status: int = 503) -> None:
        """No connection could be made: try another endpoint once, within the budget (nothing was sent yet), or as the
        rule says.
        """
        attempts, backend = self.attempts, self.backend
        assert backend is not None
        if attempts is not None and attempts.retry is not None:
            if not attempts.again(reason, sent=False):
                self.reply(status, reason)
        elif session.may_move(self, backend) and backend.may_retry(monotonic()):
            self.retried = True
            self.send_again(self.let_go())
        else:
            self.reply(status, reason)

    def abort_upstream(self) -> bool:
        """Give up the request at the backend; False when it is not there (yet, or any more)."""
        up, self.up = self.up, None
        if up is None:
            return False
        up.exchange = None
        up.abort()
        return True

    def _leave_backend(self) -> None:
        """Give up the request at the backend, or its place among those that wait for a connection."""
        if not self.abort_upstream() and self.endpoint is not None:
            self.port.runtime.connector.forget(self)

    def let_go(self) -> Endpoint | None:
        """Give up this attempt, whatever became of it; the endpoint that was asked."""
        self._leave_backend()
        endpoint, self.endpoint = self.endpoint, None
        if endpoint is not None:
            endpoint.active -= 1
        return endpoint

    def send_again(self, tried: Endpoint | None) -> None:
        """Send the request once more, to another endpoint than `tried` if there is one."""
        self.port.runtime.counts.upstream_retries += 1
        others = len(self.backend.endpoints) > 1  # type: ignore[union-attr]
        self._send(tried if others else None, monotonic(), session.stays(self, tried))
        up = self.up
        if up is not None and not self.ended and not up.blocked:
            self.down.resume()

    def send_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of the request's body came."""
        self.bytes_in += len(data)
        self.ended = ended
        if trailers:
            for change in self.changes:
                trailers = change.bar(trailers)
        if self.guard is not None:
            self.trailers = trailers
            self.guard.take_body(data, ended)
            return
        if self.up is not None:
            self.body = b"" if self.attempts is None else self.attempts.keep(data, trailers)
            self.up.send_body(data, ended, trailers)
        elif self.status == 0:
            self.body += data
            self.trailers = trailers
        if self.copy is not None:
            self.trailers = trailers
            self.copy.add_body(self, data, ended)

    def pause_request(self) -> None:
        """The upstream side cannot take more."""
        self.down.pause()

    def resume_request(self) -> None:
        """The upstream side takes more again."""
        self.down.resume()

    # -- the response ----------------------------------------------------------------------------------------------

    def respond(self, head: ResponseHead, data: bytes, ended: bool, trailers: bytes, now: float) -> None:
        """The backend's final head came, with the first bytes of the body. `now` is the moment."""
        if self.endpoint.unanswered:  # type: ignore[union-attr]
            self.backend.answered(self.endpoint)  # type: ignore[union-attr,arg-type]
        if self.attempts is not None and self.attempts.declines(head, ended, now):
            return
        self.answered = now
        self.status = head.status
        if self.reply_edits:
            head = head.copy()
            for edit in self.reply_edits:
                head.block = edit.apply(head.block)
        if (sessions := self.rule.sessions) is not None:  # type: ignore[union-attr]
            head = session.tell(self, sessions, head)
        self.bytes_out = len(data)
        self.down.reply_head(head, data, ended, trailers)
        if ended:
            self.finish(now)

    def respond_body(self, data: bytes, ended: bool, trailers: bytes = b"") -> None:
        """More of the response's body came."""
        self.bytes_out += len(data)
        self.down.reply_body(data, ended, trailers)
        if ended:
            self.finish(monotonic())

    def switch(self, head: ResponseHead, up: Any, data: bytes) -> None:
        """The backend opens a tunnel (101); `data` is what came of it with the head."""
        self.status = 101
        self.answered = monotonic()
        for edit in self.reply_edits:
            head.block = edit.apply(head.block)
        if (sessions := self.rule.sessions) is not None:  # type: ignore[union-attr]
            head = session.tell(self, sessions, head)
        self.down.switch(head, up, data)

    def upstream_lost(self, reason: bytes, status: int = 502) -> None:
        """The connection to the backend ended before the response did."""
        up, self.up = self.up, None
        if up is not None:
            up.exchange = None
        blame(self, reason)
        if self.status:
            self.reason = reason
            self.down.abort()
            self.finish(monotonic())
        elif self.attempts is not None and self.attempts.retry is not None:
            if not self.attempts.again(reason, sent=reason != UNPROCESSED):
                self.reply(self.attempts.last_status(status, reason), reason)
        elif not may_send_again(self, reason):
            self.reply(status, reason)
        elif self.backend.may_retry(monotonic()):  # type: ignore[union-attr]
            self.retried = True
            # A kept-alive connection that died says nothing of its endpoint, so the same one may be asked.
            self.send_again(self.let_go())
        elif not self.over_budget():
            self.reply(status, reason)

    def over_budget(self) -> bool:
        """The backend's budget has no retry left. A policy that sets the budget wants the client to get 503
        (XBackendTrafficPolicy, retryConstraint); without one this is False, and the failure itself is the answer.
        """
        strict = self.backend.budget.strict  # type: ignore[union-attr]
        if strict:
            self.reply(503, b"retry_budget")
        return strict

    def reply(self, status: int, reason: bytes, block: bytes = b"") -> None:
        """Answer from the gateway itself; `reason` is the word for the access line."""
        self.status = status
        self.reason = reason
        self._leave_backend()
        crossing = [edit.lines for edit in self.reply_edits if isinstance(edit, CrossOriginEdit)]
        if crossing:
            block += crossing[-1]
        self.down.reply_local(status, block)
        self.finish(monotonic())

    def downstream_lost(self, reason: bytes) -> None:
        """The client is gone: let go of the backend at once. Where it was cut, `reason` says why already."""
        self.reason = self.reason or reason
        self._leave_backend()
        self.finish(monotonic())

    # -- the end ---------------------------------------------------------------------------------------------------

    def finish(self, now: float) -> None:
        """Count, write the access line, and set both sides free; a second call does nothing."""
        if self.down is None:
            return
        endpoint = self.endpoint
        if endpoint is not None:
            endpoint.active -= 1
        if self.attempts is not None:
            self.attempts.close()
        if self.guard is not None:
            self.guard.close()
        counters = self.rule.counters if self.rule is not None else self.port.missed(self.listener)
        counters.add(self.status, now - self.began, self.bytes_in, self.bytes_out)
        if self.settings.access_log:
            self.port.runtime.log_exchange(self, now)
        up, self.up = self.up, None
        if up is not None:
            up.release(now)
        down, self.down = self.down, None
        down.finished(now)
