"""TLS that ends here: bytes in both directions, ends, failures, and what a slow end may cost."""

from __future__ import annotations

import asyncio
import gc
import os
import ssl
from pathlib import Path

import pytest

from gatewayd.proxy.reset import reset_at_close
from gatewayd.proxy.secure import Inbound, Outbound, SecureStream
from gatewayd.proxy.tls import TlsConnection
from gatewayd.routing.snapshot import SharePlan
from tests.proxy.sockets import LONG, end
from tests.proxy.tls_sockets import TlsSite, run


def test_bytes_pass_in_both_directions_and_each_end_by_itself(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        (reader, writer), (theirs, ours) = await site.both()
        writer.write(b"question")
        assert await theirs.readexactly(8) == b"question"
        ours.write(b"answer")
        assert await reader.readexactly(6) == b"answer"
        ours.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert await theirs.read() == b""
        await end(ours)
        await end(writer)
        await site.ended("")

    run(talk, tmp_path)


def test_what_comes_before_the_backend_is_there_waits_for_it(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        _, writer = await site.secure()
        writer.write(b"at once")
        theirs, ours = await site.backend()
        assert await theirs.readexactly(7) == b"at once"
        await end(ours)
        await end(writer)

    run(talk, tmp_path)


@pytest.mark.parametrize("to_client", [True, False])
def test_long_streams_arrive_whole_and_a_slow_end_holds_the_other_back(tmp_path: Path, to_client: bool):
    """What the gateway holds meanwhile is bounded, whatever is sent."""

    async def talk(site: TlsSite) -> None:
        client, backend = await site.both()
        sender, receiver = (backend, client) if to_client else (client, backend)
        sender[1].write(LONG * 16)  # more than all buffers of the kernel
        (stream,) = [one for one in site.runtime.connections if isinstance(one, SecureStream)]
        seen = -1
        while seen != (seen := stream.bytes_in + stream.bytes_out):  # until nothing moves any more
            await asyncio.sleep(0.2)
        assert seen < 16 * len(LONG)
        assert len(stream._forth._rest) + stream.client.get_write_buffer_size() < 600_000
        assert await receiver[0].readexactly(16 * len(LONG)) == LONG * 16
        await end(backend[1])
        await end(client[1])
        await site.ended("")

    run(talk, tmp_path, buffer_bytes=65536)


def test_a_reset_of_the_backend_is_one_for_the_client(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        (reader, writer), (_, ours) = await site.both()
        reset_at_close(ours.get_extra_info("socket"))
        ours.transport.abort()
        raw = await _fate(reader)
        assert raw is not None, "an end would look as if all had come"
        await site.ended("reset")
        await end(writer)

    run(talk, tmp_path)


async def _fate(reader: asyncio.StreamReader) -> BaseException | None:
    try:
        await reader.read()
    except (ConnectionError, ssl.SSLError) as error:
        return error
    return None


def test_records_that_were_tampered_with_end_the_stream(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        (_, writer), (theirs, ours) = await site.both()
        os.write(writer.get_extra_info("socket").fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ConnectionResetError):
            await theirs.read()
        await site.ended("reset")
        await end(ours)
        await end(writer)

    run(talk, tmp_path)


def test_silence_has_an_end(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        (_, writer), (theirs, ours) = await site.both()
        await site.ended("stream_timeout")
        with pytest.raises(ConnectionResetError):
            await theirs.read()
        await end(ours)
        await end(writer)

    run(talk, tmp_path, tunnel_idle_timeout=0.1)


def test_a_client_that_never_reads_the_rest_is_waited_for_no_longer_than_any_half_closed_stream(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        (_, writer), (theirs, ours) = await site.both()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        ours.write(LONG)
        ours.write_eof()
        await site.ended("stream_timeout")
        writer.transport.abort()
        assert theirs.at_eof() is False
        await end(ours)

    run(talk, tmp_path, half_closed_timeout=0.2, tunnel_idle_timeout=0.2)


def test_a_backend_that_refuses_resets_the_client(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        site.runtime.backends["b"].update((("127.0.0.1", 1),))
        reader, writer = await site.secure()
        assert await _fate(reader) is not None
        await site.ended("upstream_refused")
        await end(writer)
        assert not site.runtime.connections

    run(talk, tmp_path)


REFUSED = [
    (SharePlan(backend="", failure="BackendNotFound"), "BackendNotFound"),
    (SharePlan(backend="b", clear_failure="BackendTLSPolicyNotServed"), "BackendTLSPolicyNotServed"),
    (SharePlan(backend="b", weight=0), "no_route"),
]


@pytest.mark.parametrize(("share", "reason"), REFUSED)
def test_without_a_backend_there_is_no_handshake(tmp_path: Path, share: SharePlan, reason: str):
    async def talk(site: TlsSite) -> None:
        reader, writer = await site.greet()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        await end(writer)
        await site.ended(reason)
        assert site.arrived.empty()
        assert not site.runtime.connections

    run(talk, tmp_path, share=share)


def test_a_handshake_that_stalls_reaches_no_backend(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        reader, writer = await site.greet()
        assert (await reader.read(3)).startswith(b"\x16\x03\x03")
        await site.until(lambda: site.runtime.counts.tls_handshake_failures)
        assert site.arrived.empty()
        assert not site.runtime.connections
        await end(writer)

    run(talk, tmp_path, tls_handshake_timeout=0.2)


def test_a_drain_lets_streams_finish(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        (reader, writer), (theirs, ours) = await site.both()
        site.runtime.drain()
        writer.write(b"still")
        assert await theirs.readexactly(5) == b"still"
        ours.write(b"here")
        assert await reader.readexactly(4) == b"here"
        assert not site.runtime.idle
        await end(ours)
        await end(writer)
        await site.until(lambda: site.runtime.idle)

    run(talk, tmp_path)


async def _unshaken(site: TlsSite) -> None:
    """A client that leaves in the middle of its handshake."""
    reader, writer = await site.greet()
    assert await reader.readexactly(1) == b"\x16"
    await end(writer)
    await site.until(lambda: site.runtime.idle)


def test_the_collector_has_nothing_to_do(tmp_path: Path):
    async def talk(site: TlsSite) -> None:
        await _unshaken(site)
        (_, writer), (theirs, ours) = await site.both()
        writer.close()
        assert await theirs.read() == b""
        await end(ours)
        await end(writer)
        await site.ended("")
        await site.until(lambda: site.runtime.idle)

    gc.collect()
    gc.disable()
    try:
        run(talk, tmp_path)
        kinds = (SecureStream, TlsConnection, Inbound, Outbound)
        assert [type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds)] == []
    finally:
        gc.enable()
