"""Gateways that share a port: what counts before a request names its host, and what each of them says for itself."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gatewayd.proxy.settings import shared_settings
from gatewayd.routing.change import difference
from gatewayd.routing.snapshot import Settings
from tests.proxy.conversation import OK, Conversation, Start, message
from tests.proxy.peers import Client2

PROXY = "192.0.2.0/24"  # clients are in it


def shared(start: Start, one: dict[str, Any], other: dict[str, Any]) -> Conversation:
    """A port with listeners of two Gateways, for the hosts one.test and other.test."""
    talk = start(hostname=b"one.test", **one)
    old = talk.runtime.snapshot
    port = old.ports["p"]
    listener = replace(port.listeners[0], key="default/other/http", hostname=b"other.test", settings="other")
    new = replace(
        old,
        generation=2,
        ports={"p": replace(port, listeners=(*port.listeners, listener))},
        settings={**old.settings, "other": Settings(**other)},
    )
    talk.runtime.apply(difference(old, new), {})
    return talk


def ask(host: str, *fields: str, start: str = "GET / HTTP/1.1") -> bytes:
    return message(start, f"Host: {host}", *fields)


@pytest.mark.parametrize("strict_first", [True, False])
def test_the_more_lenient_head_counts(start: Start, strict_first: bool) -> None:
    """One Gateway's limits refuse nothing that may be for another."""
    limits: list[dict[str, Any]] = [{"fields": 3, "head_timeout": 2.0}, {"fields": 10, "head_timeout": 9.0}]
    talk = shared(start, *(limits if strict_first else reversed(limits)))
    client = talk.client()
    client.sends(ask("other.test", *["A: b"] * 6)[:-2])
    talk.passes(5)
    client.sends(b"\r\n")
    talk.backend().sends(OK)
    assert client.takes() == OK


@pytest.mark.parametrize(("host", "cut"), [("one.test", True), ("other.test", False)])
def test_how_long_a_body_may_take(start: Start, host: str, cut: bool) -> None:
    talk = shared(start, {"body_read_timeout": 2.0}, {"body_read_timeout": 20.0, "body_min_rate": 0})
    client = talk.client()
    client.sends(ask(host, "Content-Length: 9", start="POST / HTTP/1.1") + b"half")
    talk.backend()
    talk.passes(5)
    assert client.takes().startswith(b"HTTP/1.1 408 ") == cut


@pytest.mark.parametrize(("host", "open_"), [("one.test", False), ("other.test", True)])
def test_how_long_a_connection_may_be_idle(start: Start, host: str, open_: bool) -> None:
    talk = shared(start, {"idle_timeout": 2.0}, {"idle_timeout": 20.0})
    client = talk.client()
    client.sends(ask(host))
    talk.backend().sends(OK)
    talk.passes(5)
    assert (client.state == "open") == open_


@pytest.mark.parametrize("first", [True, False])
def test_each_gateway_says_which_proxies_it_trusts(start: Start, first: bool) -> None:
    trusting, plain = {"trusted_proxies": (PROXY,)}, {"trusted_proxies": ("10.0.0.0/8",)}
    talk = shared(start, *((trusting, plain) if first else (plain, trusting)))
    for host in ("one.test", "other.test"):
        client = talk.client()
        client.sends(ask(host, "X-Forwarded-For: 203.0.113.9", "Connection: close"))
        backend = talk.backend()
        trusted = (host == "one.test") == first
        chain = b"203.0.113.9, 192.0.2.1" if trusted else b"192.0.2.1"
        assert b"\r\nx-forwarded-for: %b\r\n" % chain in backend.takes_all()
        backend.sends(message("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"))
        assert talk.line["client"] == ("203.0.113.9" if trusted else "192.0.2.1")


def test_the_streams_of_a_connection_may_be_for_different_gateways(start: Start) -> None:
    talk = shared(start, {"trusted_proxies": (PROXY,)}, {})
    client = Client2(talk)
    for stream, host, chain in ((1, "one.test", b"203.0.113.9, 192.0.2.1"), (3, "other.test", b"192.0.2.1")):
        pseudo = [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", "/")]
        client.h2.send_headers(stream, [*pseudo, ("x-forwarded-for", "203.0.113.9")], end_stream=True)
        client.flush()
        backend = talk.backend()
        assert b"\r\nx-forwarded-for: %b\r\n" % chain in backend.takes_all()
        backend.sends(message("HTTP/1.1 200 OK", "Content-Length: 0", "Connection: close"))


def test_what_is_shared_by_equals_is_their_own() -> None:
    one = Settings(head_bytes=5, trusted_proxies=(PROXY,))
    assert shared_settings([one, Settings(head_bytes=5, trusted_proxies=(PROXY,))]) is one
    both = shared_settings([one, Settings(head_bytes=7, upstream_pending=1, trusted_proxies=("10.0.0.0/8",))])
    assert (both.head_bytes, both.upstream_pending) == (7, Settings().upstream_pending)
    assert both.trusted_proxies == (PROXY, "10.0.0.0/8")
