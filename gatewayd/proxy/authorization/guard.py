"""Requests that wait to be authorized (GEP-1494): the question to the service, and what becomes of its answer.

Nothing passes that was not allowed: a service that cannot be reached, is too slow or gives no clear answer is a
refusal. While a request waits, its body waits at the client, or is kept up to the size that the filter allows and shown
to the service. The question costs a slot in the sweep, no timer and no task.
"""

from __future__ import annotations

from time import monotonic, time
from typing import TYPE_CHECKING

from gatewayd.proxy.authorization.asking import Asking
from gatewayd.proxy.authorization.bodies import OVERFLOW
from gatewayd.proxy.blame import blame
from gatewayd.proxy.deadline import NEVER
from gatewayd.routing.authorization import Facts, NoVerdictError, Verdict, refusal
from gatewayd.routing.cors import CrossOriginEdit
from gatewayd.wire.own_heads import response_head
from gatewayd.wire.phrases import PHRASES
from gatewayd.wire.target import edit_query

if TYPE_CHECKING:
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.routing.rule import Share
    from gatewayd.routing.step import Step
    from gatewayd.wire.response_head import ResponseHead

DENIED = b"auth_denied"
TOO_LARGE = b"auth_body_too_large"
REPEATED = b"repeated_authorization"
_BAD_ANSWER = (502, b"auth_bad_answer")
_TIMEOUT = (504, b"auth_timeout")
# What is told of a question that got no answer, by what became of it; the rest is a bad answer.
_FAILURES = {
    b"no_endpoints": (503, b"auth_no_endpoints"),
    b"upstream_refused": (503, b"auth_unreachable"),
    b"connect_timeout": (503, b"auth_unreachable"),
    b"upstream_overflow": OVERFLOW,
    b"upstream_timeout": _TIMEOUT,
    b"answer_too_long": (502, b"auth_answer_too_long"),
}
_NO_BODY = frozenset({204, 304})
_CONTINUE = response_head(100, b"Continue")


class Guard:
    """One exchange that waits. `step` holds the filter, `share` is set where it is that of a backendRef. `wants_body`:
    the body is kept until it is whole, and the service asked then.
    """

    __slots__ = (
        "_asking",
        "_authorizer",
        "_backend",
        "_body",
        "_exchange",
        "_kept",
        "_share",
        "_step",
        "deadline",
        "wants_body",
    )

    def __init__(self, exchange: Exchange, step: Step, share: Share | None) -> None:
        assert step.authorizer is not None
        self._exchange = exchange
        self._authorizer = step.authorizer
        # As of now: a reload may take it away while the body is still coming.
        self._backend = exchange.port.runtime.backends.get(step.authorizer.backend)
        self._step = step
        self._share = share
        self._asking: Asking | None = None
        self._body = bytearray()  # not a list: pieces may be small and many
        self._kept = 0
        self.deadline = NEVER
        self.wants_body = False

    # -- the question ----------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Ask now, or when the body is there. Of two credentials the service may judge one, and the backend take the
        other; RFC 9110 section 11.6.2 has one.
        """
        exchange = self._exchange
        if exchange.head.block.lower().count(b"\r\nauthorization:") > 1:
            exchange.reply(400, REPEATED)
            return
        exchange.guard = self
        if exchange.attempts is not None:
            exchange.attempts.hold()
        if not self._authorizer.body:
            self._ask()
        elif exchange.head.length > self._authorizer.body:
            exchange.reply(413, TOO_LARGE)
        else:
            self.wants_body = True
            self._collect(exchange.body, exchange.ended)
            if self.wants_body and exchange.head.expect:
                exchange.down.interim(_CONTINUE)
                exchange.head.expect = False  # the backend gets the body at once

    def take_body(self, data: bytes, ended: bool) -> None:
        """More of the request's body came."""
        if self.wants_body:
            self._collect(data, ended)
        else:
            self._exchange.body += data

    def _collect(self, data: bytes, ended: bool) -> None:
        exchange, runtime = self._exchange, self._exchange.port.runtime
        if exchange.bytes_in > self._authorizer.body:
            exchange.reply(413, TOO_LARGE)
            return
        if not runtime.bodies.take(self, len(data)):
            self.refuse(*OVERFLOW)
            return
        self._kept += len(data)
        self._body += data
        if ended:
            self.wants_body = False
            runtime.bodies.is_whole(self)
            exchange.body, self._body = bytes(self._body), bytearray()
            self._ask()

    def _ask(self) -> None:
        exchange = self._exchange
        runtime = exchange.port.runtime
        runtime.counts.authorizations_asked += 1
        backend = self._backend
        if backend is None:
            self.fail(b"no_endpoints")
            return
        backend.requests += 1
        self.deadline = monotonic() + exchange.settings.authorization_timeout
        runtime.timed.add(self)
        self._asking = Asking(self, exchange, backend, self._authorizer.question(self._facts()))
        self._asking.send()

    def _facts(self) -> Facts:
        exchange = self._exchange
        down, head = exchange.down, exchange.head
        connection = getattr(down, "connection", down)
        peer, own = (connection.transport.get_extra_info(name) for name in ("peername", "sockname"))
        return Facts(
            head=head,
            block=exchange.block,
            body=exchange.body if self._authorizer.body else b"",
            identity=exchange.request_id,
            scheme=exchange.port.scheme,
            protocol=b"HTTP/1.%d" % head.minor if connection is down else b"HTTP/2",
            source=(exchange.client.decode(), peer[1]) if isinstance(peer, tuple) else None,
            destination=own[:2] if isinstance(own, tuple) else None,
            moment=time(),
        )

    # -- the answer ------------------------------------------------------------------------------------------------

    def take_answer(self, head: ResponseHead, body: bytes, trailers: bytes) -> None:
        """The whole answer is there."""
        exchange, self._asking = self._exchange, None
        try:
            self._judge(head, body, trailers)
        except Exception as error:
            exchange.port.runtime.failed(error)
            self._give_up()

    def _judge(self, head: ResponseHead, body: bytes, trailers: bytes) -> None:
        try:
            verdict = self._authorizer.judge(head, body, trailers)
        except NoVerdictError as error:
            self.refuse(502, str(error).encode())
            return
        if verdict.allowed:
            self._allow(verdict)
        else:
            self._exchange.port.runtime.counts.authorizations_denied += 1
            self._deny(verdict)

    def _allow(self, verdict: Verdict) -> None:
        exchange = self._exchange
        self.close()
        if verdict.request:
            exchange.block = verdict.request.apply(exchange.block)
            exchange.trailers = verdict.request.bar(exchange.trailers)
            exchange.changes = (*exchange.changes, verdict.request)
        if verdict.response:
            exchange.reply_edits = (*exchange.reply_edits, verdict.response)
        if verdict.query_set or verdict.query_remove:
            exchange.head = exchange.head.copy()
            exchange.head.query = edit_query(exchange.head.query, verdict.query_set, verdict.query_remove)
        if exchange.attempts is not None:
            exchange.attempts.proceed()
        exchange.go_on(self._step, self._share)

    def _deny(self, verdict: Verdict) -> None:
        """The client gets the service's answer; one that calls by gRPC gets it as a status that it understands."""
        exchange = self._exchange
        status, block, body = verdict.status, verdict.block, verdict.body
        if not (block or body):
            exchange.reply(status, DENIED)
            return
        if self._is_call():
            status, block, body = 200, refusal(verdict, DENIED), b""
        if b"\r\ndate:" not in block.lower():
            block += b"\r\ndate: " + exchange.port.runtime.date
        for edit in exchange.reply_edits:
            if isinstance(edit, CrossOriginEdit):
                block = edit.apply(block)
        if exchange.head.method == b"HEAD" or status in _NO_BODY:
            body = b""
        head = response_head(status, PHRASES.get(status, b""), block, len(body))
        exchange.status = verdict.status
        exchange.reason = DENIED
        exchange.bytes_out = len(body)
        exchange.down.reply_head(head, body, True, b"")
        exchange.finish(monotonic())

    def _is_call(self) -> bool:
        """Whether the client takes answers of gRPC; over HTTP/1.1 nobody does."""
        exchange = self._exchange
        return hasattr(exchange.down, "connection") and exchange.head.call

    def fail(self, reason: bytes) -> None:
        """There is no answer; `reason` says what became of the question."""
        self._asking = None
        self.refuse(*_FAILURES.get(reason, _BAD_ANSWER))

    def refuse(self, status: int, reason: bytes) -> None:
        """Answer that the request may not pass, because nobody could say that it may."""
        self._exchange.port.runtime.counts.authorizations_failed += 1
        self._exchange.reply(status, reason)

    def _give_up(self) -> None:
        """Something went wrong that should not: the exchange must end all the same."""
        exchange = self._exchange
        if exchange.down is None:
            return
        if exchange.status:
            exchange.down.abort()
            exchange.finish(monotonic())
        else:
            exchange.reply(500, b"exception")

    # -- the end ---------------------------------------------------------------------------------------------------

    def expire(self, now: float) -> None:
        """The service is too slow."""
        if self._asking is not None:
            blame(self._asking, b"upstream_timeout")
        self.refuse(*_TIMEOUT)

    def close(self) -> None:
        """Nobody waits any more: the exchange goes on, or is over."""
        exchange = self._exchange
        runtime = exchange.port.runtime
        exchange.guard = None
        runtime.timed.discard(self)
        self.deadline = NEVER  # a sweep that goes on has it in its list
        if self._authorizer.body:
            runtime.bodies.drop(self, self._kept)
            self._kept = 0
        self.wants_body = False
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.cut()
