"""ExternalAuth compiled: what an authorization service is asked, and what its answer means (GEP-1494).

Two protocols with one form: `question` makes the request for the service, `judge` reads its answer. An answer that does
not clearly allow is a denial, or none at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from gatewayd.wire import ext_authz, grpc
from gatewayd.wire.fields import join_block, split_block
from gatewayd.wire.mutations import APPEND, Mutation, Mutations, is_touchable, only
from gatewayd.wire.own_heads import request_head
from gatewayd.wire.protobuf import MalformedMessageError

if TYPE_CHECKING:
    from gatewayd.routing.snapshot import AuthPlan
    from gatewayd.wire.head import RequestHead
    from gatewayd.wire.response_head import ResponseHead


SHOWN_BYTES = 32 << 20  # of all bodies that one worker keeps at a time to show them


class NoVerdictError(ValueError):
    """An answer that is none; the text is a word for the access line."""


class Facts(NamedTuple):
    """What is known of a request that waits. `block` are the lines that would be forwarded, `body` is all of it where
    the service is shown it. Addresses are those of the client's connection, `moment` is in seconds since 1970.
    """

    head: RequestHead
    block: bytes
    body: bytes
    identity: bytes
    scheme: bytes
    protocol: bytes
    source: ext_authz.Address | None
    destination: ext_authz.Address | None
    moment: float


class Question(NamedTuple):
    """The request for the service."""

    head: RequestHead
    body: bytes


class Verdict(NamedTuple):
    """Allowed: `request` and `response` are to be changed, and the query. Denied: the answer for the client."""

    allowed: bool
    request: Mutations | None = None
    response: Mutations | None = None
    query_set: tuple[tuple[bytes, bytes], ...] = ()
    query_remove: tuple[bytes, ...] = ()
    status: int = 403
    block: bytes = b""
    body: bytes = b""


# Fields that say what the answer itself is: over those of the request they would falsify its body.
_OF_THE_ANSWER = frozenset(
    b"content-type content-encoding content-language content-location content-range date".split()
)
# Fields of a denial that say nothing to a client that gets no body, or that are not for a service to say.
_NOT_OF_CALLS = _OF_THE_ANSWER | frozenset(b"etag last-modified grpc-status grpc-message".split())


def refusal(verdict: Verdict, reason: bytes) -> bytes:
    """The lines of a denial for a client that calls by gRPC: the service's own fields, and its body as the message
    unless that is a page.
    """
    fields = split_block(verdict.block)
    names = dict(fields)
    page = b"content-encoding" in names or names.get(b"content-type", b"").lower().startswith(b"text/html")
    start = grpc.refusal(verdict.status, reason, b"" if page else verdict.body)
    return join_block(start + [pair for pair in fields if pair[0] not in _NOT_OF_CALLS])


class HttpAuthorizer:
    """A service that speaks HTTP: it gets the method and the path of the request, and answers 200 to let it pass."""

    __slots__ = ("_path", "_shown", "_taken", "backend", "body")

    def __init__(self, plan: AuthPlan) -> None:
        self.backend = plan.backend
        self.body = plan.body
        self._path = plan.path
        self._shown = frozenset(name for name in (b"authorization", *plan.request) if is_touchable(name))
        self._taken = frozenset(plan.response)

    def question(self, facts: Facts) -> Question:
        """The same request with another path and few of its fields."""
        head = facts.head
        path = self._path + head.path if head.path != b"*" else self._path or head.path
        block = only(facts.block, self._shown)
        return Question(request_head(head.method, path, head.query, head.authority, block, len(facts.body)), facts.body)

    def judge(self, head: ResponseHead, body: bytes, _trailers: bytes) -> Verdict:
        """200 allows. Whatever else is the client's answer, except for a success: it would take it for its own."""
        if head.status == 200:
            return Verdict(True, self._changes(head.block))
        if head.status < 300:
            return Verdict(False)
        return Verdict(False, status=head.status, block=head.block, body=body)

    def _changes(self, block: bytes) -> Mutations:
        """What the answer says replaces what the client said. A name that the service is to set is the client's in no
        case, also where the answer does not have it.
        """
        taken = self._taken
        found = [
            Mutation(name, value, APPEND)
            for name, value in split_block(block)
            if (name in taken if taken else name not in _OF_THE_ANSWER)
        ]
        return Mutations(found, taken or {write.name for write in found})


class GrpcAuthorizer:
    """A service that speaks `envoy.service.auth.v3.Authorization`."""

    __slots__ = ("_authority", "_shown", "backend", "body")

    def __init__(self, plan: AuthPlan) -> None:
        self.backend = plan.backend
        self.body = plan.body
        self._authority = plan.authority
        self._shown = frozenset(plan.request)

    def question(self, facts: Facts) -> Question:
        """A call of Check."""
        head = facts.head
        length = len(facts.body) if self.body else -1
        call = ext_authz.Call(
            identity=facts.identity,
            method=head.method,
            path=head.path + head.query,
            host=head.authority,
            scheme=facts.scheme,
            protocol=facts.protocol,
            headers=self._headers(facts),
            size=head.length if head.length >= 0 else length,
            body=facts.body,
            source=facts.source,
            destination=facts.destination,
            moment=facts.moment,
        )
        body = grpc.frame(ext_authz.check_request(call))
        head = request_head(b"POST", ext_authz.METHOD, b"", self._authority, _CALL, len(body), trailers=True)
        return Question(head, body)

    def _headers(self, facts: Facts) -> list[tuple[bytes, bytes]]:
        head = facts.head
        found = {
            b":authority": head.authority,
            b":method": head.method,
            b":path": head.path + head.query,
            b":scheme": facts.scheme,
        }
        for name, value in split_block(facts.block):
            glue = b"; " if name == b"cookie" else b","
            found[name] = found[name] + glue + value if name in found else value
        if b"content-length" in head.specials:
            found[b"content-length"] = head.specials[b"content-length"]
        if b"host" in self._shown:
            found[b"host"] = head.authority
        shown = self._shown
        return [(name, value) for name, value in found.items() if not shown or name in shown]

    def judge(self, head: ResponseHead, body: bytes, trailers: bytes) -> Verdict:
        """A call that succeeded, with one CheckResponse. NoVerdictError otherwise."""
        fields = dict(split_block(head.block))
        status = dict(split_block(trailers)).get(b"grpc-status") or fields.get(b"grpc-status")
        message = grpc.only_message(body)
        if head.status != 200 or not grpc.is_grpc(fields.get(b"content-type")) or status != b"0" or message is None:
            raise NoVerdictError(_failure(status))
        try:
            answer = ext_authz.check_response(message)
        except MalformedMessageError:
            raise NoVerdictError(_failure(None)) from None
        if not answer.allowed:
            return Verdict(False, status=answer.status, block=_block(answer), body=answer.body)
        return Verdict(
            True,
            Mutations(answer.headers, answer.remove),
            Mutations(answer.response_headers),
            answer.query_set,
            answer.query_remove,
        )


_FAILED = frozenset(b"%d" % code for code in range(1, 17))  # the codes of gRPC that mean no success


def _failure(status: bytes | None) -> str:
    """The word for a call without an answer: most name what is wrong by their grpc-status, as a message that is too
    large for the service (8), or a service that has no such method (12).
    """
    return f"auth_call_failed_{status.decode()}" if status in _FAILED and status is not None else "auth_bad_answer"


def _block(answer: ext_authz.CheckResponse) -> bytes:
    """The fields of a denial. A name may come several times, as Set-Cookie does."""
    fields = [(name, value) for name, value, _ in answer.headers if is_touchable(name)]
    if answer.body and not any(name == b"content-type" for name, _ in fields):
        fields.append((b"content-type", b"text/plain"))
    return join_block(fields)


_CALL = join_block([(b"content-type", grpc.CONTENT_TYPE), (b"user-agent", b"gatewayd")])
Authorizer = HttpAuthorizer | GrpcAuthorizer


def authorizer(plan: AuthPlan) -> Authorizer:
    """The filter, ready to ask."""
    return GrpcAuthorizer(plan) if plan.grpc else HttpAuthorizer(plan)
