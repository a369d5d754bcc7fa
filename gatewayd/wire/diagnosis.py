"""What is wrong with the head of a request, once it is known that something is or while more bytes are awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatewayd.wire.grammar import BROKEN, REQUEST_HEAD, VERSION_MAJOR
from gatewayd.wire.refused import Refused

if TYPE_CHECKING:
    from gatewayd.wire.head import HeadLimits


def wait(data: bytes, limits: HeadLimits, scanned: int) -> None:
    """More bytes are needed: refuse now what no further byte can mend."""
    fault = _fault(data, len(data) + 1, limits, scanned)
    if fault is not None:
        raise fault


def diagnose(data: bytes, limits: HeadLimits) -> Refused:
    """Why a complete head is refused."""
    end = data.find(b"\r\n\r\n") + 4
    fault = _fault(data, end, limits, 0)
    if fault is not None:
        return fault
    many = data.count(b"\r\n", 0, end) - 2 > limits.fields
    return Refused(431, "too_many_fields") if many else Refused(400, "bad_field")


def _fault(data: bytes, least: int, limits: HeadLimits, scanned: int) -> Refused | None:
    """What is wrong with a head of `least` or more bytes, however it goes on: the fault that comes first in the order
    of the bytes, so that no split of them changes it. What is wrong with its fields is seen at its end only.
    """
    stop = min(least, limits.head)
    line = data.find(b"\r\n", 0, min(stop, limits.line + 2))
    broken = BROKEN.search(data, max(0, scanned - 1), stop)
    sound = stop if broken is None else broken.start()
    if line < 0 and limits.line < min(sound, len(data)) and data[limits.line] != 0x0D:
        return Refused(414, "line_too_long")
    if 0 <= line < sound and line + 2 > scanned and (fault := _line_fault(data[:line])) is not None:
        return fault
    if broken is not None:
        return Refused(400, "bad_head")
    return Refused(431, "head_too_large") if least > limits.head else None


def _line_fault(line: bytes) -> Refused | None:
    if REQUEST_HEAD.fullmatch(line + b"\r\n\r\n") is not None:
        return None
    return Refused(505, "version") if VERSION_MAJOR.fullmatch(line) else Refused(400, "bad_request_line")
