"""Where WebSocket frames end (RFC 6455 section 5.2); the library `websockets` is the judge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import CloseCode, Frame, Opcode
from websockets.streams import StreamReader

from gatewayd.wire.websocket import LONGEST_HEAD, at_border, going_away

KINDS = [Opcode.CONT, Opcode.TEXT, Opcode.BINARY, Opcode.PING, Opcode.PONG]
SIZES = st.sampled_from([0, 1, 2, 125, 126, 127, 300, 65535, 65536, 70000])


def written(kind: Opcode, size: int, masked: bool) -> bytes:
    return Frame(kind, b"x" * size).serialize(mask=masked)


def parsed(data: bytes, masked: bool) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    parser = Frame.parse(reader.read_exact, mask=masked)
    with pytest.raises(StopIteration) as stop:
        next(parser)
    frame: Frame = stop.value.value
    assert not reader.buffer
    return frame


@given(st.sampled_from([Opcode.TEXT, Opcode.BINARY]), SIZES, st.booleans(), st.booleans())
def test_the_head_of_one_frame_tells_its_end(kind: Opcode, size: int, masked: bool, compressed: bool):
    data = written(kind, size, masked)
    if compressed:  # RFC 7692 section 6 marks it by RSV1
        data = bytes((data[0] | 0x40,)) + data[1:]
    head = data[:LONGEST_HEAD]
    assert at_border(head, len(data), masked=masked)
    assert not at_border(head, len(data) - 1, masked=masked)
    assert not at_border(head, len(data) + 1, masked=masked)
    assert not at_border(head, len(data), masked=not masked)


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 125)), max_size=6), st.booleans(), st.data())
def test_short_frames_one_after_the_other(kinds: list[tuple[Opcode, int]], masked: bool, draw: st.DataObject):
    frames = [written(kind, size, masked) for kind, size in kinds]
    data = b"".join(frames)
    assert at_border(data, len(data), masked=masked)
    ends = {sum(map(len, frames[:count])) for count in range(len(frames) + 1)}
    cut = draw.draw(st.integers(0, len(data)))
    assert at_border(data[:cut], cut, masked=masked) == (cut in ends)


@pytest.mark.parametrize(
    "data",
    [
        b"\x88\x00",  # after a Close nothing may follow
        b"\x81\x01a\x88\x02\x03\xe8",
        b"\x83\x00",  # no such opcode
        b"\x8b\x00",
        b"\xa1\x00",  # RSV2
        b"\x91\x00",  # RSV3
        b"\x09\x00",  # a Ping in parts
        b"\x89\x7e\x00\x80" + b"x" * 128,  # a long Ping
        b"\x81",
        b"\x81\x7e\x01",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_no_frame_may_follow(data: bytes):
    assert not at_border(data, len(data), masked=False)


def test_nothing_is_a_border_and_the_unknown_is_none():
    assert at_border(b"", 0, masked=True)
    assert not at_border(b"", 5, masked=True)


@given(st.binary(min_size=4, max_size=4))
def test_the_goodbye_is_a_close_frame(key: bytes):
    for masked, data in ((False, going_away()), (True, going_away(key))):
        frame = parsed(data, masked)
        assert (frame.opcode, frame.fin, frame.data) == (Opcode.CLOSE, True, CloseCode.GOING_AWAY.to_bytes(2, "big"))
