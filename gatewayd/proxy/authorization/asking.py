"""One question to a service that authorizes, and its answer."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from gatewayd.proxy.subrequest import Subrequest

if TYPE_CHECKING:
    from gatewayd.proxy.authorization.guard import Guard
    from gatewayd.proxy.exchange import Exchange
    from gatewayd.routing.authorization import Question
    from gatewayd.upstream.backend import Backend
    from gatewayd.wire.response_head import ResponseHead

ANSWER_BYTES = 65536  # of the body of an answer; a service that says more says nothing
_REPEATED = frozenset({b"upstream_closed", b"upstream_unprocessed"})


class Asking(Subrequest):
    """One question in flight. Its answer counts when all of it is there. A question may be asked twice without harm: it
    is where a kept connection died under it, or another endpoint is there.
    """

    __slots__ = ("_answer", "_guard", "_pieces", "_size")

    def __init__(self, guard: Guard, exchange: Exchange, backend: Backend, question: Question) -> None:
        super().__init__(exchange.port, exchange.settings, backend, question.head, question.body)
        self._guard = guard
        self._answer: ResponseHead | None = None
        self._pieces: list[bytes] = []
        self._size = 0

    def connect_failed(self, reason: bytes, status: int = 503) -> None:
        """No connection could be made."""
        if self.backend.has_other(self.endpoint) and self._may_repeat():
            self._repeat()
        else:
            super().connect_failed(reason, status)

    def upstream_lost(self, reason: bytes, status: int = 502) -> None:
        """The connection ended before the answer did."""
        known = self.reused or reason != b"upstream_closed"
        if reason in _REPEATED and known and not self.interims and self._may_repeat():
            self.up = None
            self._repeat()
        else:
            super().upstream_lost(reason, status)

    def _may_repeat(self) -> bool:
        return not self.repeated and self.backend.may_retry(monotonic())

    def _repeat(self) -> None:
        self.repeated = True
        tried = self.let_go()
        self.port.runtime.counts.upstream_retries += 1
        self.send(tried if len(self.backend.endpoints) > 1 else None)

    def took_head(self, head: ResponseHead) -> None:
        """The answer begins."""
        self._answer = head

    def took_body(self, data: bytes, ended: bool, trailers: bytes) -> None:
        """It goes on."""
        self._size += len(data)
        if self._size > ANSWER_BYTES:
            self.cut()
            self._guard.fail(b"answer_too_long")
            return
        self._pieces.append(data)
        if ended:
            self.finish()
            assert self._answer is not None
            self._guard.take_answer(self._answer, b"".join(self._pieces), trailers)

    def failed(self, reason: bytes, status: int) -> None:
        """There is no answer."""
        self._guard.fail(reason)
