"""A new snapshot under way: what a worker goes on with, and what it forgets."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from gatewayd.observe.counters import decode_report
from gatewayd.routing.change import difference
from tests.proxy.conversation import GET, OK, Conversation, message


def test_counters_of_routes_that_are_gone_are_forgotten(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    old = talk.runtime.snapshot
    (key,) = old.routes
    port = old.ports["p"]
    bare = replace(port, listeners=(replace(port.listeners[0], hosts={}),))
    assert key in {rule.route for rule in decode_report(talk.runtime.report()).rules}
    talk.runtime.apply(difference(old, replace(old, generation=2, ports={"p": bare}, routes={})), {})
    talk.backend().sends(OK)
    assert client.takes() == OK, "what is in flight ends as it began"
    assert key not in {rule.route for rule in decode_report(talk.runtime.report()).rules}


def test_who_waits_at_a_backend_that_is_gone_waits_no_longer_than_elsewhere(start: Callable[..., Conversation]):
    talk = start(upstream_connections=1, connect_timeout=5.0)
    talk.client().sends(GET)
    talk.backend().sends(message("HTTP/1.1 200 OK", "content-length: 1000"))
    client = talk.client()
    client.sends(GET)
    old = talk.runtime.snapshot
    talk.runtime.apply(difference(old, replace(old, generation=2, backends={})), {})
    talk.passes(4)
    assert client.takes() == b""
    talk.passes(2)
    assert client.takes().startswith(b"HTTP/1.1 503 ")
    assert talk.line["reason"] == "upstream_overflow"
    assert not talk.runtime._dropped
