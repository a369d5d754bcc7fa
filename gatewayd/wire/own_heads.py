"""Heads of messages that no peer sent: requests and responses of the gateway's own, in the form of parsed ones."""

from __future__ import annotations

from gatewayd.wire.head import RequestHead
from gatewayd.wire.response_head import ResponseHead


def request_head(
    method: bytes, path: bytes, query: bytes, authority: bytes, block: bytes, length: int, *, trailers: bool = False
) -> RequestHead:
    """A request with a body of `length` bytes, which it says in any case. `path`, `query` and `authority` are in the
    form of their grammar. `trailers`: it takes trailers.
    """
    head = RequestHead()
    head.method = method
    head.path = path
    head.query = query
    head.minor = 1
    head.host = head.authority = authority
    head.block = block
    head.specials = {b"content-length": b"%d" % length}
    head.length = length
    head.end = 0
    head.keep_alive = True
    head.expect = head.trusted = False
    head.upgrade = b""
    head.trailers = trailers
    head._pairs = ()
    head._values = head._parameters = head._call = None
    return head


def response_head(status: int, reason: bytes, block: bytes = b"", length: int = 0) -> ResponseHead:
    """A response with a body of `length` bytes. One without a body says nothing of its length here: it may stand in for
    one that has a body (HEAD), or must not say it (204, 304, 1xx).
    """
    head = ResponseHead()
    head.status = status
    head.reason = reason
    head.block = block
    head.specials = {b"content-length": b"%d" % length} if length else {}
    head.length = length
    head.end = 0
    head.keep_alive = True
    return head
