from __future__ import annotations

from typing import Any

import h2.config
import h2.connection
import h2.events
import hyperframe.frame
import pytest

from gatewayd.wire import frames
from gatewayd.wire.frames import ConnectionFault, ErrorCode, StreamFault
from tests.frames import HEADER_SIZE, parse_header

PROTOCOL, SIZE, FLOW = ErrorCode.PROTOCOL_ERROR, ErrorCode.FRAME_SIZE_ERROR, ErrorCode.FLOW_CONTROL_ERROR

# (type, flags, stream, length, the fault: None, a code of the connection, or (code,) of the stream)
HEADERS_OF_FRAMES = [
    (frames.DATA, 0, 1, 0, None),
    (frames.DATA, 0, 1, 16384, None),
    (frames.DATA, 0, 1, 16385, SIZE),
    (frames.DATA, 0, 0, 5, PROTOCOL),
    (frames.HEADERS, 4, 1, 9, None),
    (frames.HEADERS, 4, 0, 9, PROTOCOL),
    (frames.HEADERS, 4, 1, 16385, SIZE),
    (frames.PRIORITY, 0, 1, 5, None),
    (frames.PRIORITY, 0, 0, 5, PROTOCOL),
    (frames.PRIORITY, 0, 1, 4, (SIZE,)),
    (frames.PRIORITY, 0, 1, 6, (SIZE,)),
    (frames.RST_STREAM, 0, 1, 4, None),
    (frames.RST_STREAM, 0, 0, 4, PROTOCOL),
    (frames.RST_STREAM, 0, 1, 3, SIZE),
    (frames.RST_STREAM, 0, 1, 5, SIZE),
    (frames.SETTINGS, 0, 0, 0, None),
    (frames.SETTINGS, 0, 0, 12, None),
    (frames.SETTINGS, 0, 0, 5, SIZE),
    (frames.SETTINGS, 0, 1, 6, PROTOCOL),
    (frames.SETTINGS, 1, 0, 0, None),
    (frames.SETTINGS, 1, 0, 6, SIZE),
    (frames.PUSH_PROMISE, 4, 1, 9, PROTOCOL),
    (frames.PING, 0, 0, 8, None),
    (frames.PING, 1, 0, 8, None),
    (frames.PING, 0, 1, 8, PROTOCOL),
    (frames.PING, 0, 0, 7, SIZE),
    (frames.PING, 0, 0, 9, SIZE),
    (frames.GOAWAY, 0, 0, 8, None),
    (frames.GOAWAY, 0, 0, 60, None),
    (frames.GOAWAY, 0, 1, 8, PROTOCOL),
    (frames.GOAWAY, 0, 0, 7, SIZE),
    (frames.WINDOW_UPDATE, 0, 0, 4, None),
    (frames.WINDOW_UPDATE, 0, 1, 4, None),
    (frames.WINDOW_UPDATE, 0, 1, 3, SIZE),
    (frames.WINDOW_UPDATE, 0, 0, 5, SIZE),
    (frames.CONTINUATION, 4, 1, 9, None),
    (frames.CONTINUATION, 4, 0, 9, PROTOCOL),
    (10, 0xFF, 0, 77, None),
    (255, 0xFF, 3, 0, None),
    (255, 0, 3, 16385, SIZE),
]


@pytest.mark.parametrize(("kind", "flags", "stream", "length", "fault"), HEADERS_OF_FRAMES)
def test_rules_of_frame_headers(
    kind: int, flags: int, stream: int, length: int, fault: ErrorCode | tuple[ErrorCode] | None
):
    if fault is None:
        frames.check(length, kind, flags, stream)
    elif isinstance(fault, tuple):
        with pytest.raises(StreamFault) as stream_fault:
            frames.check(length, kind, flags, stream)
        assert (stream_fault.value.stream, stream_fault.value.code) == (stream, *fault)
    else:
        with pytest.raises(ConnectionFault) as connection_fault:
            frames.check(length, kind, flags, stream)
        assert connection_fault.value.code == fault


def test_a_larger_frame_is_right_where_we_allowed_it():
    frames.check(20000, frames.DATA, 0, 1, 20000)


# (flags, payload, its field block or the code)
HEADERS_PAYLOADS = [
    (0, b"", b""),
    (0, b"block", b"block"),
    (frames.PADDED, b"\x00block", b"block"),
    (frames.PADDED, b"\x02block\0\0", b"block"),
    (frames.PADDED, b"\x05\0\0\0\0\0", b""),
    (frames.PADDED, b"\x06\0\0\0\0\0", PROTOCOL),
    (frames.PADDED, b"", SIZE),
    (frames.PRIORITIZED, b"\0\0\0\1\x10block", b"block"),
    (frames.PRIORITIZED, b"\x80\0\0\1\x10block", b"block"),
    (frames.PRIORITIZED, b"\0\0\0\5\x10block", PROTOCOL),
    (frames.PRIORITIZED, b"\x80\0\0\5\x10block", PROTOCOL),
    (frames.PRIORITIZED, b"\0\0\0\1", SIZE),
    (frames.PADDED | frames.PRIORITIZED, b"\x01\0\0\0\1\x10block\0", b"block"),
    (frames.PADDED | frames.PRIORITIZED, b"\x04\0\0\0\1\x10abc", SIZE),
]


@pytest.mark.parametrize(("flags", "payload", "expected"), HEADERS_PAYLOADS)
def test_payload_of_headers(flags: int, payload: bytes, expected: bytes | ErrorCode):
    data = b"before" + payload + b"after"
    if isinstance(expected, bytes):
        at, end = frames.fragment(data, 6, len(payload), flags, 5)
        assert data[at:end] == expected
    else:
        with pytest.raises(ConnectionFault) as fault:
            frames.fragment(data, 6, len(payload), flags, 5)
        assert fault.value.code == expected


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        (frames.HEADER_TABLE_SIZE, 2**32 - 1, None),
        (frames.ENABLE_PUSH, 0, None),
        (frames.ENABLE_PUSH, 1, None),
        (frames.ENABLE_PUSH, 2, PROTOCOL),
        (frames.MAX_CONCURRENT_STREAMS, 0, None),
        (frames.INITIAL_WINDOW_SIZE, 2**31 - 1, None),
        (frames.INITIAL_WINDOW_SIZE, 2**31, FLOW),
        (frames.MAX_FRAME_SIZE, 16383, PROTOCOL),
        (frames.MAX_FRAME_SIZE, 16384, None),
        (frames.MAX_FRAME_SIZE, 2**24 - 1, None),
        (frames.MAX_FRAME_SIZE, 2**24, PROTOCOL),
        (frames.MAX_HEADER_LIST_SIZE, 0, None),
        (frames.ENABLE_CONNECT_PROTOCOL, 1, None),
        (frames.ENABLE_CONNECT_PROTOCOL, 2, PROTOCOL),
        (0x4242, 2**32 - 1, None),
    ],
)
def test_values_of_settings(setting: int, value: int, code: ErrorCode | None):
    payload = frames.settings({setting: value})[HEADER_SIZE:]
    if code is None:
        assert frames.parse_settings(payload) == [(setting, value)]
    else:
        with pytest.raises(ConnectionFault) as fault:
            frames.parse_settings(payload)
        assert fault.value.code == code


def test_a_server_must_not_enable_push():
    payload = frames.settings({frames.ENABLE_PUSH: 1})[HEADER_SIZE:]
    with pytest.raises(ConnectionFault):
        frames.parse_settings(payload, from_server=True)


def test_an_increment_of_zero_is_a_fault():
    with pytest.raises(StreamFault):
        frames.increment(b"\x80\0\0\0", 0, 3)
    with pytest.raises(ConnectionFault):
        frames.increment(b"\0\0\0\0", 0, 0)
    assert frames.increment(b"\xff\xff\xff\xff", 0, 3) == frames.MAX_WINDOW


def test_a_stream_must_not_depend_on_itself():
    frames.check_priority(b"\x80\0\0\1\x10", 0, 3)
    with pytest.raises(StreamFault):
        frames.check_priority(b"\x80\0\0\3\x10", 0, 3)


def _read(data: bytes) -> list[Any]:
    """The frames as hyperframe reads them, which must agree with `parse_header` and pass our own check."""
    found = []
    at = 0
    while at < len(data):
        length, kind, flags, stream = parse_header(data, at)
        frames.check(length, kind, flags, stream)
        frame, size = hyperframe.frame.Frame.parse_frame_header(memoryview(data)[at : at + 9], strict=True)
        assert (frame.type, frame.stream_id, size) == (kind, stream, length)
        frame.parse_body(memoryview(data)[at + 9 : at + 9 + length])
        found.append(frame)
        at += HEADER_SIZE + length
    assert at == len(data)
    return found


def test_hyperframe_reads_what_we_write():
    written = (
        frames.settings({frames.ENABLE_PUSH: 0, frames.MAX_CONCURRENT_STREAMS: 100})
        + frames.SETTINGS_ACK
        + frames.ping(b"12345678")
        + frames.ping_ack(b"12345678")
        + frames.goaway(7, ErrorCode.ENHANCE_YOUR_CALM, b"calm")
        + frames.rst_stream(3, ErrorCode.CANCEL)
        + frames.window_update(0, 65536)
        + frames.headers(5, b"block", ended=True)
        + frames.data(5, b"body", ended=False)
        + frames.data(5, b"", ended=True)
    )
    found = _read(written)
    assert [type(frame).__name__.removesuffix("Frame") for frame in found] == [
        *("Settings", "Settings", "Ping", "Ping", "GoAway", "RstStream", "WindowUpdate", "Headers", "Data", "Data")
    ]
    assert found[0].settings == {2: 0, 3: 100}
    assert [set(frame.flags) for frame in found[1:4]] == [{"ACK"}, set(), {"ACK"}]
    assert (found[4].last_stream_id, found[4].error_code, found[4].additional_data) == (7, 11, b"calm")
    assert (found[5].stream_id, found[5].error_code) == (3, 8)
    assert found[6].window_increment == 65536
    assert set(found[7].flags) == {"END_STREAM", "END_HEADERS"}
    assert (found[8].data, set(found[8].flags), set(found[9].flags)) == (b"body", set(), {"END_STREAM"})


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 201])
@pytest.mark.parametrize("ended", [False, True])
def test_a_long_block_continues(size: int, ended: bool):
    block = bytes(range(256))[:size]
    found = _read(frames.headers(9, block, ended, 100))
    assert b"".join(frame.data for frame in found) == block
    assert [frame.type for frame in found] == [1, *[9] * (len(found) - 1)]
    assert len(found) == max(1, -(-size // 100))
    assert ["END_HEADERS" in frame.flags for frame in found] == [*[False] * (len(found) - 1), True]
    assert ["END_STREAM" in frame.flags for frame in found] == [ended, *[False] * (len(found) - 1)]


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 200, 201])
@pytest.mark.parametrize("ended", [False, True])
def test_long_data_is_cut(size: int, ended: bool):
    payload = bytes(range(256))[:size]
    found = _read(frames.data(9, payload, ended, 100))
    assert b"".join(frame.data for frame in found) == payload
    assert len(found) == max(1, -(-size // 100))
    assert ["END_STREAM" in frame.flags for frame in found] == [*[False] * (len(found) - 1), ended]


def test_a_goaway_and_a_reset_are_read_back():
    assert frames.parse_goaway(frames.goaway(9, 2, b"text"), HEADER_SIZE) == (9, 2)
    assert frames.reset_code(frames.rst_stream(9, 0x99), HEADER_SIZE) == 0x99


def test_h2_takes_a_conversation_of_ours():
    server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    server.initiate_connection()
    block = b"\x82\x86\x84\x41\x03a.b"
    events = server.receive_data(
        frames.PREFACE
        + frames.settings({frames.INITIAL_WINDOW_SIZE: 65536})
        + frames.headers(1, block, ended=False)
        + frames.data(1, b"body", ended=True)
        + frames.window_update(1, 10)
        + frames.rst_stream(1, ErrorCode.CANCEL)
        + frames.goaway(0, ErrorCode.NO_ERROR)
    )
    kinds = [type(event) for event in events]
    assert h2.events.RequestReceived in kinds
    assert h2.events.StreamEnded in kinds
    assert h2.events.ConnectionTerminated in kinds
    received = [event.data for event in events if isinstance(event, h2.events.DataReceived)]
    assert received == [b"body"]
