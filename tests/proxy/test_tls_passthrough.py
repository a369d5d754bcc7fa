"""TLS that passes through: the bytes of the client from its hello on, however they come, and attacks before that."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from pathlib import Path

import pytest

from gatewayd.proxy.reset import reset_at_close
from gatewayd.routing.snapshot import SharePlan
from gatewayd.wire.clienthello import MAX_HELLO
from tests.proxy.sockets import end
from tests.proxy.tls_sockets import NAME, TlsSite, run
from tests.wire.test_clienthello import hello

HELLO = hello(NAME, ("h2",))
ENCRYPTED_CLIENT_HELLO = 0xFE0D
GREASE = 0x1A1A  # means nothing (RFC 8701)


def records(message: bytes, size: int) -> bytes:
    """The message in records of so many bytes."""
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + struct.pack(">H", len(piece)) + piece for piece in pieces)


def extended(kind: int, body: bytes) -> bytes:
    """The handshake message of a hello with one more extension."""
    message = HELLO[5:]
    at = 4 + 2 + 32
    at += 1 + message[at]
    at += 2 + struct.unpack_from(">H", message, at)[0]
    at += 1 + message[at]
    extensions = message[at + 2 :] + struct.pack(">HH", kind, len(body)) + body
    rest = message[4:at] + struct.pack(">H", len(extensions)) + extensions
    return b"\x01" + len(rest).to_bytes(3, "big") + rest


HELLOS = {
    "one record": HELLO,
    "early data behind it": HELLO + b"\x17\x03\x03\x00\x04\0\1\2\3",
    "many records": records(HELLO[5:], 7),
    "encrypted client hello": records(extended(ENCRYPTED_CLIENT_HELLO, os.urandom(300)), 16384),
    "as long as may be": records(extended(GREASE, bytes(30000)), 16384),
}


@pytest.mark.parametrize("data", HELLOS.values(), ids=HELLOS)
@pytest.mark.parametrize("step", [1, 100, 1 << 20])
def test_the_backend_gets_what_the_client_sent(tmp_path: Path, data: bytes, step: int):
    async def talk(site: TlsSite) -> None:
        reader, writer = await site.connect()
        for at in range(0, len(data), max(step, len(data) // 500)):
            writer.write(data[at : at + max(step, len(data) // 500)])
            await writer.drain()
            await asyncio.sleep(0)
        writer.write_eof()
        theirs, ours = await site.backend()
        assert await theirs.read() == data, "to the end, which the backend sees too"
        ours.write(b"an answer of whatever kind")
        ours.close()
        assert await reader.read() == b"an answer of whatever kind"
        await end(writer)
        await site.ended("")

    run(talk, tmp_path, ends_here=False)


JUNK = {
    "HTTP": b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "zeros": bytes(100),
    "another version": b"\x16\x02" + HELLO[2:],
    "an empty record": b"\x16\x03\x01\0\0",
    "an alert": b"\x15\x03\x01\0\2\2\x70",
    "another handshake message": b"\x16\x03\x01\0\5\2\0\0\1\0",
    "a length beyond the record": b"\x16\x03\x01\0\5\1\0\0\1\0",
    "more than a hello may be": records(extended(GREASE, bytes(MAX_HELLO)), 16384),
    "longer than it says it may be": b"\x16\x03\x01\x40\0\1\xff\xff\xff" + bytes(100),
    "a name that is none": HELLO.replace(NAME.encode(), b"a\0example"),
}


@pytest.mark.parametrize("data", JUNK.values(), ids=JUNK)
@pytest.mark.parametrize("ends_here", [False, True])
def test_what_is_no_hello_is_closed_without_a_word(tmp_path: Path, data: bytes, ends_here: bool):
    async def talk(site: TlsSite) -> None:
        reader, writer = await site.connect()
        writer.write(data)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        await end(writer)
        await site.until(lambda: not site.runtime.connections)
        assert site.arrived.empty()
        assert site.runtime.counts.tls_handshake_failures == 1

    run(talk, tmp_path, ends_here=ends_here)


@pytest.mark.parametrize("size", [0, 1, 5, 40, len(HELLO) - 1])
@pytest.mark.parametrize("ends_here", [False, True])
def test_a_hello_that_does_not_come_has_the_time_of_a_handshake(tmp_path: Path, size: int, ends_here: bool):
    async def talk(site: TlsSite) -> None:
        reader, writer = await site.connect()
        writer.write(HELLO[:size])
        await site.until(lambda: site.runtime.counts.tls_handshake_failures)
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        await end(writer)
        assert site.arrived.empty()
        assert not site.runtime.connections

    run(talk, tmp_path, ends_here=ends_here, tls_handshake_timeout=0.1)


@pytest.mark.parametrize("size", [0, 5, len(HELLO) - 1])
def test_a_reset_that_came_before_the_first_look_is_the_end(tmp_path: Path, size: int):
    """The bytes before it are still there, and the loop tells of it once: nothing would come until the time is over."""

    async def talk(site: TlsSite) -> None:
        with socket.create_connection(("127.0.0.1", site.port)) as sock:  # the loop does not run meanwhile
            sock.send(HELLO[:size])
            reset_at_close(sock)
        await site.until(lambda: site.runtime.counts.tls_handshake_failures == 1)
        assert not site.runtime.connections

    run(talk, tmp_path, ends_here=False, tls_handshake_timeout=1e6)


@pytest.mark.parametrize("size", [0, 5, len(HELLO) - 1])
def test_an_end_within_the_hello_is_the_end(tmp_path: Path, size: int):
    """It is an event that stays: to look again and again would burn a core until the time is over."""

    async def talk(site: TlsSite) -> None:
        reader, writer = await site.connect()
        writer.write(HELLO[:size])
        writer.write_eof()
        try:
            assert await reader.read() == b""
        except ConnectionResetError:
            pass
        await end(writer)
        assert not site.runtime.connections

    run(talk, tmp_path, ends_here=False, tls_handshake_timeout=3600.0)


@pytest.mark.parametrize(
    ("share", "name", "reason"),
    [
        (SharePlan(backend="b"), "b.example", "no_route"),
        (SharePlan(backend="b"), None, "no_route"),
        (SharePlan(backend="b", weight=0), NAME, "no_route"),
        (SharePlan(backend="", failure="BackendNotFound"), NAME, "BackendNotFound"),
    ],
)
def test_who_cannot_be_served_is_reset_without_a_word(tmp_path: Path, share: SharePlan, name: str | None, reason: str):
    async def talk(site: TlsSite) -> None:
        reader, writer = await site.connect()
        writer.write(hello(name, ()))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await end(writer)
        await site.ended(reason)
        assert site.arrived.empty()

    run(talk, tmp_path, ends_here=False, share=share)


def test_a_policy_for_what_is_decrypted_is_none_of_its_business(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        _, writer = await site.greet()
        theirs, ours = await site.backend()
        assert await theirs.read(1) == b"\x16"
        await end(ours)
        await end(writer)

    run(talk, tmp_path, ends_here=False, share=SharePlan(backend="b", clear_failure="BackendTLSPolicyNotServed"))


def test_more_records_than_any_client_needs_are_closed(tmp_path: Path):
    """They may not be looked at as a whole, and each look at part of them costs."""

    async def talk(site: TlsSite) -> None:
        reader, writer = await site.connect()
        writer.write(records(extended(GREASE, bytes(20000)), 1))
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await end(writer)
        assert site.runtime.counts.tls_handshake_failures == 1

    run(talk, tmp_path, ends_here=False)
