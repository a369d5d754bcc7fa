"""The gateway's own answers, each with its reason word, and access lines that no client can forge."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gatewayd.routing.snapshot import MatchPlan, RulePlan, SharePlan
from tests.proxy.conversation import GET, OK, Conversation, Start, message, rule
from tests.proxy.fakes import Clock

KEYS = [
    "time", "client", "method", "host", "path", "status", "bytes_in", "bytes_out", "duration", "upstream_time",
    "listener", "route", "rule", "backend", "reason", "request_id",
]  # fmt: skip


def share(failure: str = "", weight: int = 1) -> SharePlan:
    return SharePlan(backend="" if failure else "shop", failure=failure, weight=weight)


@pytest.mark.parametrize(
    ("plan", "status", "reason"),
    [
        (rule(matches=(MatchPlan(path=b"/shop"),)), 404, "no_route"),
        (rule(refusal="UnsupportedValue"), 500, "UnsupportedValue"),
        (rule(backend=""), 500, "no_backends"),
        (RulePlan(index=0, shares=(share(weight=0),)), 500, "no_weight"),
        (RulePlan(index=0, shares=(share("BackendNotFound"),)), 500, "BackendNotFound"),
        (rule(backend="empty"), 503, "no_endpoints"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answers_of_the_gateway(start: Start, plan: RulePlan, status: int, reason: str, method: str):
    talk = start(plan, endpoints={"shop": (("10.0.0.1", 80),), "empty": ()})
    client = talk.client()
    client.sends(message(f"{method} /x HTTP/1.1", "Host: a"))
    head, _, body = client.takes().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\ndate: now\r\ncontent-type: text/plain\r\ncontent-length: " in head
    assert bool(body) is (method == "GET")
    assert (client.state, talk.asks) == ("open", 0)
    assert (talk.line["status"], talk.line["reason"], list(talk.line)) == (status, reason, KEYS)


def test_a_host_of_no_listener(start: Start):
    talk = start(hostname=b"shop.example.com", hosts=(b"shop.example.com",))
    client = talk.client()
    client.sends(GET)
    assert client.takes().startswith(b"HTTP/1.1 404 ")
    assert (talk.line["reason"], talk.line["listener"], list(talk.line)) == ("no_listener", "p", KEYS)


def test_a_host_of_another_listener_than_the_handshakes(start: Start):
    talk = start(transport="https", number=443)
    client = talk.client(sni_listener="default/web/other")
    client.transport.protocol.data_received(GET)
    assert client.takes().startswith(b"HTTP/1.1 421 ")
    assert talk.line["reason"] == "misdirected"


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, "no_host"),
        (b"GET / HTTP/2.0\r\n\r\n", 505, "version"),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n", 414, "line_too_long"),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501, "connect"),
    ],
)
def test_what_is_no_request(talk: Conversation, request_: bytes, status: int, reason: str):
    client = talk.client()
    client.sends(request_)
    assert client.takes().startswith(b"HTTP/1.1 %d " % status)
    assert client.state == "ended"
    assert (talk.line["status"], talk.line["reason"], list(talk.line)) == (status, reason, KEYS)
    assert talk.line["listener"] == "p"  # the key of the port, as in the metrics
    assert talk.runtime.counts.requests_refused == 1


def test_a_whole_line(talk: Conversation):
    client = talk.client()
    client.sends(message("PUT /p?q=1 HTTP/1.1", "Host: A:80", "Content-Length: 3", body=b"abc"))
    backend = talk.backend()
    talk.clock.now += 0.5
    backend.sends(OK[:-1])
    talk.clock.now += 0.25
    backend.sends(OK[-1:])
    assert talk.line == {
        "time": "2026-01-01T00:00:00.000Z",
        "client": "192.0.2.1",
        "method": "PUT",
        "host": "a",
        "path": "/p?q=1",
        "status": 200,
        "bytes_in": 3,
        "bytes_out": 2,
        "duration": 0.75,
        "upstream_time": 0.5,
        "listener": "default/web/http",
        "route": "HTTPRoute/default/shop",
        "rule": "0",
        "backend": "10.0.0.1:80",
        "reason": "",
        "request_id": "id",
    }


def test_no_line_where_none_is_wanted(start: Start):
    talk = start(access_log=False)
    talk.exchange()
    talk.client().sends(b"\0")
    assert talk.lines == []


def test_every_exchange_is_counted(talk: Conversation):
    talk.exchange()
    client = talk.client()
    client.sends(message("PUT / HTTP/1.1", "Host: a", "Content-Length: 5", body=b"abcde"))
    client.leaves()
    counters = talk.runtime.rule_counters("default/web/http", "HTTPRoute/default/shop", "0")
    assert counters.classes == [1, 0, 1, 0, 0, 0]
    assert (counters.bytes_in, counters.bytes_out) == (5, 2)
    assert talk.runtime.backends["shop"].endpoints[0].active == 0


ANY = st.binary(max_size=60)
METHODS = [b"GET", b'P"T', b"'`|", b"A\\B"]
TARGETS = [b"/", b'/"}\n{"x":"', b'/a?"\\', b"/%22%5b", b"/\xff", b"/" + b"~" * 3000, b"/?" + b'"' * 3000]
HOSTS = [b"a", b'a"b', b"a\\", b"[::1]", b"$&'", b"\xe4"]
LINE = st.builds(
    lambda *parts: b"%b %b HTTP/1.1\r\nHost: %b\r\n%b: %b\r\n\r\n" % parts,
    st.sampled_from(METHODS) | ANY,
    st.sampled_from(TARGETS) | ANY.map(b"/".__add__),
    st.sampled_from(HOSTS) | ANY,
    st.sampled_from([b"X-Request-Id", b"X-Forwarded-For"]) | ANY,
    ANY | ANY.map(b"fe80::1%".__add__),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=LINE | ANY, trusted=st.booleans())
def test_every_line_is_json_with_the_same_keys(clock: Clock, data: bytes, trusted: bool):
    talk = Conversation(clock, trusted_proxies=("0.0.0.0/0",) if trusted else ())
    client = talk.client()
    client.sends(data)
    if talk.asks:
        talk.backend().sends(OK)
    client.leaves()
    for raw in talk.log.raw:
        assert raw.count(b"\n") == 1
        assert raw.endswith(b"}\n")
        assert raw[:-1].decode("ascii").isprintable()
        assert len(raw) < 8192 * 3
        assert list(json.loads(raw)) == KEYS
