"""Bodies in the chunked coding (RFC 9112 section 7.1): decoded strictly, and framed anew when they leave."""

from __future__ import annotations

from gatewayd.wire.grammar import BROKEN, CHUNK_LINE, CHUNK_LINE_START, TRAILERS
from gatewayd.wire.refused import Refused

MAX_CHUNK_LINE = 256
MAX_EXTENSION_BYTES = 16384
_COPIED_BELOW = 8192

_LINE, _DATA, _AFTER, _TRAILERS, _DONE = range(5)


class ChunkedBody:
    """Decoder of one chunked body. `done` once its last byte was seen; `trailers` is then its block of trailer lines,
    each led by CRLF, undecided whether they may be forwarded.
    """

    __slots__ = ("_extensions", "_left", "_limit", "_phase", "_seen", "_tail", "done", "trailers")

    def __init__(self, trailer_limit: int = 8192) -> None:
        self._phase = _LINE
        self._left = 0
        self._tail = b""
        self._extensions = 0
        self._seen = 0  # of the trailers, so that they cost linear time byte by byte
        self._limit = trailer_limit
        self.done = False
        self.trailers = b""

    def feed(self, data: bytes) -> tuple[list[bytes], bytes]:
        """(pieces of the body, what follows it). Refused: 400, 413 for too many extensions, 431 for trailers."""
        pieces: list[bytes] = []
        if self._tail:
            data = self._tail + data
            self._tail = b""
        at = 0
        size = len(data)
        while at < size and self._phase != _DONE:
            if self._phase == _DATA:
                end = min(at + self._left, size)
                pieces.append(data[at:end])
                self._left -= end - at
                at = end
                if not self._left:
                    self._phase = _AFTER
                continue
            after = _STEPS[self._phase](self, data, at)
            if after < 0:
                self._tail = data[at:]
                return pieces, b""
            at = after
        return pieces, data[at:] if at < size else b""

    def _line(self, data: bytes, at: int) -> int:
        found = CHUNK_LINE.match(data, at)
        if found is None or found.end() - at > MAX_CHUNK_LINE:
            if found is None and len(data) - at <= MAX_CHUNK_LINE and CHUNK_LINE_START.fullmatch(data, at):
                return -1
            too_long = found is not None or CHUNK_LINE_START.fullmatch(data[at:][: MAX_CHUNK_LINE + 1])
            raise Refused(413, "chunk_extension_too_long") if too_long else Refused(400, "bad_chunk")
        if found.group(2) is not None:
            self._extensions += len(found.group(2))
            if self._extensions > MAX_EXTENSION_BYTES:
                raise Refused(413, "chunk_extension_too_long")
        self._left = int(found.group(1), 16)
        self._phase = _DATA if self._left else _TRAILERS
        return found.end()

    def _after(self, data: bytes, at: int) -> int:
        if data.startswith(b"\r\n", at):
            self._phase = _LINE
            return at + 2
        if data[at:] == b"\r":
            return -1
        raise Refused(400, "bad_chunk")

    def _read_trailers(self, data: bytes, at: int) -> int:
        longest = self._limit + 2
        seen = at + self._seen
        end = at + 2 if data.startswith(b"\r\n", at) else data.find(b"\r\n\r\n", max(at, seen - 3)) + 4
        complete = end > 3 or end == at + 2
        least = end - at if complete else len(data) - at + 1
        if complete and least <= longest and (found := TRAILERS.match(data, at)) is not None:
            self.trailers = b"\r\n" + found.group(1)[:-2] if found.group(1) else b""
            self._phase = _DONE
            self.done = True
            return end
        # What is wrong is told in the order of the bytes, so that no split of them changes the answer.
        if BROKEN.search(data, max(at, seen - 1), at + min(least, longest)) is not None:
            raise Refused(400, "bad_trailers")
        if least > longest:
            raise Refused(431, "trailers_too_large")
        if complete:
            raise Refused(400, "bad_trailers")
        self._seen = len(data) - at
        return -1


_STEPS = {_LINE: ChunkedBody._line, _AFTER: ChunkedBody._after, _TRAILERS: ChunkedBody._read_trailers}

LAST_CHUNK = b"0\r\n\r\n"


def gathered(pieces: list[bytes], size: int) -> list[bytes]:
    """The pieces that came with one read of `size` bytes; joined if they are short on average, because each costs a
    write.
    """
    return [b"".join(pieces)] if len(pieces) * _COPIED_BELOW > size else pieces


def chunks(data: bytes, end: bytes = b"") -> tuple[bytes, ...]:
    """`data` as one chunk, and what ends the body, as pieces to be written one after the other; long data is not
    copied. No bytes make no chunk, because an empty one would end the body.
    """
    if not data:
        return (end,) if end else ()
    if len(data) < _COPIED_BELOW:
        return (b"%x\r\n%b\r\n%b" % (len(data), data, end),)
    return (b"%x\r\n" % len(data), data, b"\r\n" + end)


def last_chunk(trailers: bytes = b"") -> bytes:
    """The end of a chunked body, with a block of trailer lines."""
    return b"0%b\r\n\r\n" % trailers if trailers else LAST_CHUNK
