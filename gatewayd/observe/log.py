"""The control plane's log: one JSON object a line on standard error, for people and for log collectors.

A line is at most `LINE_BYTES` long, because a write of that size to a pipe is whole or not at all (POSIX, PIPE_BUF), so
lines of several processes on one pipe never mix. The descriptor does not block: a stopped reader or a full disk costs
lines, which are counted, and never time.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

LINE_BYTES = 4096
WAITING_LINES = 256  # lines kept for a reader that is slow; 1 MiB at most
LEVELS = {"info": 20, "warning": 30, "error": 40}
TEXT_LIMIT = 1024  # characters of one field of a line that is too long


def now() -> str:
    """The time as RFC 3339 in UTC, with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def open_nonblocking(descriptor: int) -> int:
    """A descriptor of our own for the same file that does not block.

    O_NONBLOCK belongs to the open file, which the terminal and other processes share, so it is not set on the
    descriptor that we were given: the file is opened anew. A socket cannot be opened anew; `write` knows another way
    for it. A descriptor that is closed becomes /dev/null. A regular file is appended to from now on through the given
    descriptor too: what shares it (`gatewayd run ... > log 2>&1`) would overwrite our lines otherwise.
    """
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
    if stat.S_ISREG(mode):
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
    if not stat.S_ISSOCK(mode):
        try:
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_APPEND | os.O_NOCTTY)
        except OSError:
            pass  # not Linux, or a pipe of another user: the shared one has to do
    return os.dup(descriptor)


def writer(descriptor: int) -> Callable[[bytes], int]:
    """The function that writes bytes to `descriptor` without waiting: OSError (BlockingIOError) when it would wait."""
    if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return lambda data: _send(descriptor, data)
    return lambda data: os.write(descriptor, data)


def _send(descriptor: int, data: bytes) -> int:
    peer = socket.socket(fileno=descriptor)
    try:
        return peer.send(data, socket.MSG_DONTWAIT)
    finally:
        peer.detach()


class Log:
    """Lines of one process to one descriptor. `fields` stand in every line; `dropped` counts the lost lines."""

    def __init__(self, descriptor: int = 2, level: str = "info", **fields: Any) -> None:
        self._write = writer(descriptor)
        self._threshold = LEVELS[level]
        self._fields = fields
        self._waiting: deque[bytes] = deque()
        self.dropped = 0

    def info(self, message: str, **fields: Any) -> None:
        """Something that happened as it should."""
        self.line("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Something that somebody should look at; everything is served."""
        self.line("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Something is not served, or not as it was asked for."""
        self.line("error", message, fields)

    def line(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """Write one line, after those that still wait."""
        if LEVELS[level] < self._threshold:
            return
        self._waiting.append(encode({"time": now(), "level": level, "message": message, **self._fields, **fields}))
        if len(self._waiting) > WAITING_LINES:
            self._waiting.popleft()
            self.dropped += 1
        self.flush()

    def flush(self) -> None:
        """Write what waits as far as the reader takes it. A line that cannot be written for another reason is lost."""
        while self._waiting:
            data = self._waiting[0]
            try:
                written = self._write(data)
            except BlockingIOError:
                return
            except OSError:
                self._waiting.popleft()
                self.dropped += 1
                continue
            if written < len(data):
                self._waiting[0] = data[written:]
                return
            self._waiting.popleft()


def encode(fields: Mapping[str, Any]) -> bytes:
    """One line of at most LINE_BYTES: JSON, with every control character escaped; long texts are cut where needed."""
    data = orjson.dumps(fields, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
    limit = TEXT_LIMIT
    while len(data) > LINE_BYTES and limit >= 1:
        short = {key: _cut(value, limit) for key, value in fields.items()}
        data = orjson.dumps(short, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
        limit //= 4
    return data


def _cut(value: Any, limit: int) -> Any:
    if isinstance(value, int | float | bool | None):
        return value
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= limit else text[:limit] + "..."


def describe(error: BaseException) -> str:
    """An exception for a log line: its type, its text and the place that raised it; not a traceback."""
    text = f"{type(error).__name__}: {error}"
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None:
        return text
    return f"{text} ({Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno})"


def fault(context: dict[str, Any]) -> str:
    """The exception of a loop's error context as one line."""
    error = context.get("exception")
    return describe(error) if isinstance(error, BaseException) else ""
