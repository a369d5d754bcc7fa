"""What a backend is told about the client, and which fields reach it at all (RFC 9110 section 7.6, RFC 7239)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatewayd.routing.snapshot import Edit, Filters
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, rule

SPOOFED = (
    "X-Forwarded-For: 10.0.0.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: admin",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Prefix: /x",
    "X-Forwarded-Server: x",
    "X-Forwarded-Ssl: on",
    "X-Real-IP: 10.0.0.1",
    "Forwarded: for=10.0.0.1",
    "X-Request-Id: theirs",
)


def told(talk: Conversation, *fields: str, address: str = "192.0.2.1") -> list[str]:
    """The lines that reach the backend after the request line and Host."""
    client = talk.client(address)
    client.sends(message("GET / HTTP/1.1", "Host: a", *fields))
    sent = talk.backend().takes_all()
    assert sent.startswith(b"GET / HTTP/1.1\r\nhost: a")
    return sent.decode().removesuffix("\r\n\r\n").split("\r\n")[2:]


def plain(address: str = "192.0.2.1") -> list[str]:
    return [f"x-forwarded-for: {address}", "x-forwarded-proto: http", "x-forwarded-host: a", "x-request-id: id"]


def test_a_backend_is_told_who_asks(talk: Conversation):
    assert told(talk) == plain()


@pytest.mark.parametrize(
    ("peer", "name"),
    [("::ffff:192.0.2.9", "192.0.2.9"), ("2001:db8::1", "2001:db8::1"), ("fe80::1%eth0", "fe80::1%eth0")],
)
def test_addresses_of_both_families(talk: Conversation, peer: str, name: str):
    assert told(talk, address=peer) == plain(name)


def test_nobody_is_trusted_unless_named(talk: Conversation):
    assert told(talk, *SPOOFED) == plain()


@pytest.mark.parametrize("field", [*SPOOFED, *(f"{line.partition(':')[0]}, X: y" for line in SPOOFED[:1])])
@pytest.mark.parametrize(
    "spell", [str.upper, str.lower, lambda name: name.replace("-", "_"), lambda name: name.replace("-", "_", 1)]
)
def test_no_spelling_gets_through(talk: Conversation, field: str, spell: Callable[[str], str]):
    """Backends that make environment variables of fields take an underscore for a dash."""
    name, _, value = field.partition(":")
    assert told(talk, f"{spell(name.partition(',')[0])}:{value}") == plain()


@pytest.mark.parametrize("name", ["X-Forwarded-For", "x_forwarded_for", "X-Real-IP", "X-Request-Id", "Content_Length"])
def test_trailers_do_not_say_who_the_client_is(talk: Conversation, name: str):
    """Nor do look-alikes frame a message: some backends take trailers for fields, and an underscore for a dash."""
    fields = ("Transfer-Encoding: chunked", f"Trailer: {name}, X-Sum")
    body = b"1\r\nx\r\n0\r\n%b: 1\r\nX-Sum: 1\r\n\r\n" % name.encode()
    talk.client().sends(message("POST / HTTP/1.1", "Host: a", *fields, body=body))
    assert talk.backend().takes_all().endswith(b"\r\n\r\n1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n")


@pytest.mark.parametrize("name", ["Content_Length", "Transfer_Encoding", "Proxy_Connection"])
def test_look_alikes_of_framing_fields_are_dropped(talk: Conversation, name: str):
    assert told(talk, f"{name}: chunked") == plain()


def test_fields_that_only_look_similar_pass(talk: Conversation):
    mine = ["X-Forwarded: a", "X-Forwarded-For-Me: b", "My-Host: c", "Hosts: d", "X-Request-Ids: e"]
    assert told(talk, *mine) == [*mine, *plain()]


TRUSTED = {"trusted_proxies": ("192.0.2.0/24", "2001:db8::/32")}


def test_a_trusted_proxy_is_believed(start: Start):
    lines = told(start(**TRUSTED), *SPOOFED)
    assert lines[:4] == [
        "x-forwarded-for: 10.0.0.1, 192.0.2.1",
        "x-forwarded-proto: https",
        "x-forwarded-host: admin",
        "x-request-id: theirs",
    ]
    assert sorted(lines[4:]) == [
        "forwarded: for=10.0.0.1",
        "x-forwarded-port: 443",
        "x-forwarded-prefix: /x",
        "x-forwarded-server: x",
        "x-forwarded-ssl: on",
        "x-real-ip: 10.0.0.1",
    ]


def test_what_a_trusted_proxy_does_not_say_is_said_for_it(start: Start):
    assert told(start(**TRUSTED), address="2001:db8::5") == plain("2001:db8::5")
    assert told(start(**TRUSTED), "X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2")[0] == (
        "x-forwarded-for: 10.0.0.1, 10.0.0.2, 192.0.2.1"
    )


def test_look_alikes_of_a_trusted_proxy_are_dropped_too(start: Start):
    assert told(start(**TRUSTED), "X_Forwarded_For: 10.0.0.1", "X-Forwarded_Proto: https") == plain()


def test_others_are_not_believed(start: Start):
    assert told(start(**TRUSTED), *SPOOFED, address="198.51.100.7") == plain("198.51.100.7")


def test_request_ids_differ(start: Start):
    talk = start()
    del talk.runtime.new_request_id
    seen = {tuple(told(talk)[3:]) for _ in range(3)}
    assert len(seen) == 3
    assert all(len(line) == len("x-request-id: ") + 32 for (line,) in seen)


# -- connection options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        (["Connection: X-Hop", "X-Hop: 1", "X-End: 2"], ["X-End: 2"]),
        (["Connection: keep-alive, x-hop ,, X-HOP2", "X-Hop: 1", "x-hop2: 1", "X-End: 2"], ["X-End: 2"]),
        (["Connection: X-A", "Connection: X-B", "X-A: 1", "X-B: 1"], []),
        (["Connection: close, X-A", "X-A: 1"], []),
        (["Keep-Alive: timeout=5", "Proxy-Connection: close", "Proxy-Authorization: Basic x", "Upgrade: h2c"], []),
        # What a client must not have taken away by naming it:
        (["Connection: Authorization, Cookie", "Authorization: b", "Cookie: c"], ["Authorization: b", "Cookie: c"]),
        (["Connection: X-Forwarded-For, X-Request-Id, X-Real-IP"], []),
    ],
)
def test_fields_of_the_connection_stay_with_it(talk: Conversation, fields: list[str], kept: list[str]):
    assert told(talk, *fields) == [*kept, *plain()]


@pytest.mark.parametrize("name", ["Host", "Content-Length", "transfer-encoding"])
def test_a_client_that_wants_framing_removed_is_refused(talk: Conversation, name: str):
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 1", f"Connection: {name}", body=b"x"))
    assert client.takes().startswith(b"HTTP/1.1 400 ")
    assert (talk.asks, talk.line["reason"]) == (0, "bad_connection_option")


def test_a_field_that_a_filter_sets_is_not_taken_away(start: Start):
    talk = start(rule(filters=Filters(request=Edit(set=((b"x-user", b"nobody"),)))))
    assert told(talk, "Connection: X-User", "X-User: root") == [*plain(), "x-user: nobody"]


def test_fields_of_a_responses_connection_stay_with_it(talk: Conversation):
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    assert backend.takes() == ASKED
    fields = ("Connection: keep-alive, X-Hop", "X-Hop: 1", "Keep-Alive: timeout=5", "Proxy-Connection: x", "X-End: 2")
    backend.sends(message("HTTP/1.1 200 OK", *fields, "Content-Length: 0"))
    assert client.takes() == message("HTTP/1.1 200 OK", "X-End: 2", "content-length: 0")
    assert backend.state == "open"


# -- header modifiers --------------------------------------------------------------------------------------------------

EDIT = Edit(set=((b"x-set", b"new"),), add=((b"x-add", b"more"),), remove=(b"x-remove",))
EDITED = ["X-Set: old", "X-SET: older", "X-Add: first", "X-Remove: 1", "x-remove: 2", "X-Keep: y"]
RESULT = ["X-Add: first", "X-Keep: y", "x-set: new", "x-add: more"]


@pytest.mark.parametrize("place", ["filters", "share_filters"])
def test_request_fields_are_modified(start: Start, place: str):
    lines = told(start(rule(**{place: Filters(request=EDIT)})), *EDITED)
    assert [line for line in lines if line not in plain()] == RESULT


@pytest.mark.parametrize("place", ["filters", "share_filters"])
def test_response_fields_are_modified(start: Start, place: str):
    talk = start(rule(**{place: Filters(response=EDIT)}))
    client = talk.client()
    client.sends(GET)
    talk.backend().sends(message("HTTP/1.1 200 OK", *EDITED, "Content-Length: 0"))
    assert client.takes() == message("HTTP/1.1 200 OK", *RESULT, "content-length: 0")


def test_rule_and_backend_both_modify(start: Start):
    first, second = Filters(request=Edit(set=((b"a", b"1"),))), Filters(request=Edit(add=((b"a", b"2"),)))
    talk = start(rule(filters=first, share_filters=second))
    assert [line for line in told(talk, "A: 0") if line not in plain()] == ["a: 1", "a: 2"]


def test_host_is_set_as_a_whole(start: Start):
    talk = start(rule(filters=Filters(request=Edit(set=((b"host", b"inner"),)))))
    client = talk.client()
    client.sends(GET)
    sent = talk.backend().takes_all()
    assert sent.startswith(b"GET / HTTP/1.1\r\nhost: inner\r\n")
    assert b"\r\nx-forwarded-host: a\r\n" in sent
    assert sent.lower().count(b"\r\nhost:") == 1


@pytest.mark.parametrize("name", [b"content-length", b"transfer-encoding", b"connection"])
def test_framing_is_not_modified(start: Start, name: bytes):
    edit = Edit(set=((name, b"7"),))
    talk = start(rule(filters=Filters(request=edit, response=edit)))
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    assert backend.takes() == ASKED
    backend.sends(message("HTTP/1.1 200 OK", "content-length: 2", body=b"ok"))
    assert client.takes() == message("HTTP/1.1 200 OK", "content-length: 2", body=b"ok")


def test_what_the_client_claims_can_be_removed_or_set(start: Start):
    """A filter comes after the gateway's own lines, so it has the last word on them."""
    talk = start(
        rule(filters=Filters(request=Edit(set=((b"x-forwarded-proto", b"https"),), remove=(b"x-forwarded-for",))))
    )
    assert told(talk) == ["x-forwarded-host: a", "x-request-id: id", "x-forwarded-proto: https"]


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("6.6.6.6, 198.51.100.7", "198.51.100.7"),  # what stands before it is the client's own word
        ("198.51.100.7, 192.0.2.8,192.0.2.9", "198.51.100.7"),
        ("2001:DB8::5, 2001:db9::1, 2001:db8::7", "2001:db9::1"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("192.0.2.8", "192.0.2.8"),
        ('198.51.100.7, "},{"', "192.0.2.1"),
        ("198.51.100.7, ", "192.0.2.1"),
        ("198.51.100.7, unknown, 192.0.2.8", "192.0.2.8"),
        ("198.51.100.7:4711", "192.0.2.1"),
        ("fe80::1%eth0", "192.0.2.1"),  # a zone means nothing here, and any text may stand there
        ('198.51.100.7, fe80::1%"} {"client":"x, 192.0.2.8', "192.0.2.8"),
    ],
)
def test_the_client_of_the_access_line_is_behind_the_trusted_proxies(start: Start, chain: str, client: str):
    assert logged(start(**TRUSTED), chain) == client


def test_the_client_of_the_access_line_is_who_connected_when_nobody_is_trusted(start: Start):
    assert logged(start(**TRUSTED), "198.51.100.7", address="203.0.113.1") == "203.0.113.1"


def logged(talk: Conversation, chain: str, address: str = "192.0.2.1") -> object:
    """The client of the access line of a request with this X-Forwarded-For."""
    talk.client(address).sends(message("GET / HTTP/1.1", "Host: a", f"X-Forwarded-For: {chain}"))
    talk.backend().sends(OK)
    return talk.line["client"]
