"""The access log: JSON lines in a bounded buffer, written in blocks and never waited for."""

from __future__ import annotations

import fcntl
import os
import stat
import time

FLUSH_AT = 65536
KEEP_AT_MOST = 1 << 20
# A write of up to PIPE_BUF bytes to a pipe is one piece: lines of several workers do not mix (POSIX).
_PIPE_PIECE = 4096
TEXT_BYTES = 2048  # of a client's text in a line; what is longer is cut

_ESCAPES = {byte: f"\\u{byte:04x}".encode() for byte in range(256) if not 0x20 <= byte < 0x7F} | {
    0x22: b'\\"',
    0x5C: b"\\\\",
}


def quoted(text: bytes) -> bytes:
    """`text` as the inside of a JSON string: every byte outside %x20-7E escaped, cut at TEXT_BYTES."""
    if len(text) > TEXT_BYTES:
        text = text[:TEXT_BYTES] + b"..."
    if text.isascii() and b'"' not in text and b"\\" not in text and text.decode("ascii").isprintable():
        return text
    return b"".join([_ESCAPES.get(byte) or bytes((byte,)) for byte in text])


class AccessLog:
    """Lines for one descriptor. A reader that stopped or a full disk costs lines (counted in `dropped`), never time."""

    __slots__ = ("_buffer", "_fd", "_offset", "_pipe", "_prefix", "_second", "_size", "dropped")

    def __init__(self, fd: int) -> None:
        self._fd, self._pipe = _own_description(fd)
        self._buffer: list[bytes] = []
        self._size = 0
        self._second = -1
        self._prefix = b""
        self._offset = 0.0
        self.dropped = 0
        self.set_clock()

    def set_clock(self) -> None:
        """Tie the monotonic clock to the wall clock; called with each tick, so that a changed clock is followed."""
        self._offset = time.time() - time.monotonic()
        self._second = -1

    def moment(self, now: float) -> bytes:
        """RFC 3339 time, with milliseconds, of a moment of the monotonic clock."""
        wall = now + self._offset
        second = int(wall)
        if second != self._second:
            self._second = second
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)).encode()
        return b"%b.%03dZ" % (self._prefix, (wall - second) * 1000)

    def write(self, line: bytes) -> None:
        """Queue one line (with its line feed)."""
        self._buffer.append(line)
        self._size += len(line)
        if self._size >= FLUSH_AT:
            self.flush()

    def flush(self) -> None:
        """Write what the descriptor takes now; keep the rest up to KEEP_AT_MOST bytes."""
        if not self._buffer:
            return
        buffer, self._buffer, self._size = self._buffer, [], 0
        pieces = _pieces(buffer) if self._pipe else [b"".join(buffer)]
        for place, piece in enumerate(pieces):
            try:
                written = os.write(self._fd, piece)
            except BlockingIOError:
                written = 0
            except OSError:
                self.dropped += sum(part.count(b"\n") for part in pieces[place:])
                return
            if written < len(piece):
                self._keep([piece[written:], *pieces[place + 1 :]])
                return

    def _keep(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            if self._size + len(piece) > KEEP_AT_MOST:
                self.dropped += piece.count(b"\n")
            else:
                self._buffer.append(piece)
                self._size += len(piece)


def _pieces(lines: list[bytes]) -> list[bytes]:
    pieces: list[bytes] = []
    current: list[bytes] = []
    size = 0
    for line in lines:
        if size + len(line) > _PIPE_PIECE and current:
            pieces.append(b"".join(current))
            current, size = [], 0
        current.append(line)
        size += len(line)
    pieces.append(b"".join(current))
    return pieces


def _own_description(fd: int) -> tuple[int, bool]:
    """(a descriptor that may be set non-blocking without doing so to others that share `fd`, whether it is a pipe)."""
    pipe = not stat.S_ISREG(os.fstat(fd).st_mode)
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_CLOEXEC), pipe
    except OSError:  # a socket, or no /proc: share the description
        own = os.dup(fd)
        fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_NONBLOCK)
        return own, pipe
