"""Heads of field sections that a connection of HTTP/2 gets again and again, such as calls of one kind.

A section that the decoder knows is the very same tuple each time (`Decoder.again`), so its head need not be read anew.
The requests share it, and what is asked of its fields is looked up once: who edits a head copies it first. Bounded, and
dropped with the connection: heads may hold credentials.
"""

from __future__ import annotations

from gatewayd.wire.fields2 import request_head, response_head, split_target
from gatewayd.wire.head import RequestHead
from gatewayd.wire.hpack import Stem
from gatewayd.wire.hpack_table import Field
from gatewayd.wire.refused import Refused
from gatewayd.wire.response_head import ResponseHead

_MAX_HEADS = 8
_MAX_HEAD_BYTES = 2048  # a few octets of indices can stand for a long head


class Heads:
    """What is known of one direction of one connection, by the identity of the tuple, which is held so that no other
    can have it.
    """

    __slots__ = ("_pages", "_requests", "_responses")

    def __init__(self) -> None:
        self._pages: dict[int, tuple[Stem, bool, RequestHead]] = {}
        self._requests: dict[int, tuple[tuple[Field, ...], bool, int, RequestHead]] = {}
        self._responses: dict[int, tuple[tuple[Field, ...], bool, ResponseHead]] = {}

    def request(self, fields: tuple[Field, ...], ended: bool, longest_line: int) -> RequestHead:
        """As `request_head`."""
        known = self._requests.get(id(fields))
        if known is not None and known[0] is fields and known[1] is ended and known[2] == longest_line:
            return known[3]
        head = request_head(fields, ended, longest_line)
        if not _is_edited(head) and len(head.block) + len(head.path) + len(head.query) <= _MAX_HEAD_BYTES:
            if len(self._requests) >= _MAX_HEADS:
                self._requests.clear()
            self._requests[id(fields)] = fields, ended, longest_line, head
        return head

    def page(self, stem: Stem, fields: tuple[Field, ...], ended: bool, longest_line: int) -> RequestHead:
        """As `request_head`, for fields that have this stem: all but the path was read before."""
        known = self._pages.get(id(stem))
        target = fields[len(stem.before)][1]
        if known is not None and known[0] is stem and known[1] is ended and target:
            if len(target) > longest_line:
                raise Refused(414, "line_too_long")
            head = known[2].copy()
            head.path, head.query = split_target(head.method, target)
            return head
        head = request_head(fields, ended, longest_line)
        if not _is_edited(head) and len(head.block) <= _MAX_HEAD_BYTES:
            if len(self._pages) >= _MAX_HEADS:
                self._pages.clear()
            self._pages[id(stem)] = stem, ended, head
        return head

    def response(self, fields: tuple[Field, ...], ended: bool, method: bytes) -> ResponseHead:
        """As `response_head`."""
        if method == b"HEAD":  # whose answers mean something else
            return response_head(fields, ended, method)
        known = self._responses.get(id(fields))
        if known is not None and known[0] is fields and known[1] is ended:
            return known[2]
        head = response_head(fields, ended, method)
        if len(head.block) > _MAX_HEAD_BYTES:
            return head
        if len(self._responses) >= _MAX_HEADS:
            self._responses.clear()
        self._responses[id(fields)] = fields, ended, head
        return head


def _is_edited(head: RequestHead) -> bool:
    """What opens a tunnel or waits for 100 Continue is edited where it is served."""
    return bool(head.upgrade) or head.expect
