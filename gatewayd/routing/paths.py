"""The matches of one hostname, by path."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING

from gatewayd.routing.match import Match

if TYPE_CHECKING:
    from gatewayd.wire.head import RequestHead

_precedence = attrgetter("key")
_Bucket = tuple[Match, ...]
# Shared by all hostnames that have none: every request looks into one, and it is always in the processor's cache.
_NO_BUCKETS: dict[bytes, _Bucket] = {}


class PathTable:
    """All matches of one hostname of one listener, by path. Order: exact, regular expression, longest prefix."""

    __slots__ = ("_longest", "exact", "host", "prefix", "regexes")

    def __init__(self, host: bytes, matches: Iterable[Match]) -> None:
        self.host = host
        exact: dict[bytes, list[Match]] = {}
        prefix: dict[bytes, list[Match]] = {}
        regexes: list[Match] = []
        for match in matches:
            if match.path_kind == "exact":
                exact.setdefault(match.path, []).append(match)
            elif match.path_kind == "prefix":
                prefix.setdefault(match.path, []).append(match)
            else:
                regexes.append(match)
        self.exact = {path: _sorted(bucket) for path, bucket in exact.items()} or _NO_BUCKETS
        self.prefix = {path: _sorted(bucket) for path, bucket in prefix.items()}
        self.regexes = _ordered(regexes)
        self._longest = max(map(len, prefix), default=0)

    def changed(self, left: Iterable[Match], taken: Iterable[Match]) -> PathTable:
        """The same table without the matches `left` and with those `taken`; costs what differs, and two copies."""
        made = PathTable(self.host, ())
        gone, come = PathTable(self.host, left), PathTable(self.host, taken)
        made.exact = _merged(self.exact, gone.exact, come.exact) or _NO_BUCKETS
        made.prefix = _merged(self.prefix, gone.prefix, come.prefix)
        made.regexes = _ordered(_without(self.regexes, gone.regexes) + come.regexes)
        made._longest = max(map(len, made.prefix), default=0)
        return made

    def find(self, head: RequestHead) -> Match | None:
        """The match that takes the request, or None."""
        path = head.path
        bucket = self.exact.get(path)
        if bucket is not None:
            for match in bucket:
                if match.always or match.holds(head):
                    return match
        for match in self.regexes:
            if match.expression.fullmatch(path) and match.holds(head):
                return match
        return self._find_prefix(path, head)

    def _find_prefix(self, path: bytes, head: RequestHead) -> Match | None:
        prefix = self.prefix
        if len(path) > self._longest:  # bounds the walk by what is configured, not by what a client sends
            path = path[: path.rfind(b"/", 0, self._longest + 1)] or b"/"
        while True:
            bucket = prefix.get(path)
            if bucket is not None:
                for match in bucket:
                    if match.always or match.holds(head):
                        return match
            cut = path.rfind(b"/")
            if cut > 0:
                path = path[:cut]
            elif path != b"/" and cut == 0:
                path = b"/"
            else:
                return None

    def buckets(self, path: bytes) -> Iterable[_Bucket]:
        """The buckets whose path fits, in the order in which `find` tries them (for explain)."""
        if path in self.exact:
            yield self.exact[path]
        yield tuple(match for match in self.regexes if match.expression.fullmatch(path))
        while path[:1] == b"/":  # the asterisk of OPTIONS is below no prefix
            if path in self.prefix:
                yield self.prefix[path]
            path = b"" if path == b"/" else path[: path.rfind(b"/")] or b"/"


def _sorted(bucket: Iterable[Match]) -> _Bucket:
    return tuple(sorted(bucket, key=_precedence))


def _ordered(regexes: Iterable[Match]) -> _Bucket:
    """Longer expressions first: the nearest thing to "more specific" that an expression has."""
    return tuple(sorted(_sorted(regexes), key=lambda match: -len(match.path)))


def _without(bucket: _Bucket, left: _Bucket) -> _Bucket:
    gone = set(left)
    return tuple(match for match in bucket if match not in gone) if left else bucket


def _merged(
    table: Mapping[bytes, _Bucket], left: Mapping[bytes, _Bucket], taken: Mapping[bytes, _Bucket]
) -> dict[bytes, _Bucket]:
    """`table` with other matches in some of its buckets."""
    made = dict(table)
    for path in left.keys() | taken.keys():
        bucket = _sorted(_without(made.get(path, ()), left.get(path, ())) + taken.get(path, ()))
        if bucket:
            made[path] = bucket
        else:
            del made[path]
    return made
