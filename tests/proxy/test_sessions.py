"""Session persistence on the traffic path: where requests go, and what the answers carry (GEP-1619)."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gatewayd.proxy import session
from gatewayd.routing.snapshot import AuthPlan, Edit, Filters, MirrorPlan, Persistence, Redirect
from tests.proxy.conversation import GET, OK, Backend, Client, Conversation, Start, message, rule
from tests.proxy.peers import Backend2
from tests.proxy.sticky import (
    COOKIE,
    FIELD,
    ONE,
    OTHER,
    THIRD,
    TWO,
    answers,
    asked,
    changes,
    exchange,
    get,
    moves,
    shares,
    sticky,
    token_of,
)


class Wall:
    """The time of day, which stands still unless it is told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(session, "time", wall)
    return wall


@pytest.fixture(params=[COOKIE, FIELD], ids=["cookie", "header"])
def persistence(request: pytest.FixtureRequest) -> Persistence:
    found: Persistence = request.param
    return found


# -- a session ---------------------------------------------------------------------------------------------------------


def test_a_session_begins_with_the_first_answer_and_stays(start: Start, persistence: Persistence) -> None:
    talk = start(sticky(persistence), endpoints=TWO)
    client = talk.client()
    first = exchange(talk, client, get())
    assert first.token
    for _ in range(20):
        answer = exchange(talk, client, get(first.token))
        assert (answer.address, answer.data) == (first.address, OK), "the answer tells nothing new"


def test_both_endpoints_get_sessions(start: Start, persistence: Persistence) -> None:
    talk = start(sticky(persistence), endpoints=TWO)
    client = talk.client()
    answers = [exchange(talk, client, get()) for _ in range(60)]
    assert len({(one.address, one.token) for one in answers}) == 2


def test_the_answers_as_they_are(start: Start) -> None:
    talk = start(sticky())
    answer = exchange(talk, talk.client(), GET)
    line = f"set-cookie: sid={answer.token.decode()}; Path=/; HttpOnly; SameSite=Lax"
    assert answer.data == message("HTTP/1.1 200 OK", line, "content-length: 2", body=b"ok")
    talk = start(sticky(FIELD))
    answer = exchange(talk, talk.client(), GET)
    assert answer.data == message("HTTP/1.1 200 OK", f"x-sid: {answer.token.decode()}", "content-length: 2", body=b"ok")


def test_a_cookie_of_tls_is_for_tls(start: Start) -> None:
    talk = start(sticky(), transport="https")
    assert b"; HttpOnly; SameSite=Lax; Secure\r\n" in exchange(talk, talk.client(sni_listener=None), GET).data


@pytest.mark.parametrize(
    ("trusted", "said", "secure"),
    [
        (["192.0.2.0/24"], "https", True),
        (["192.0.2.0/24"], "HTTPS, http", True),
        (["192.0.2.0/24"], "http", False),
        ([], "https", False),
    ],
)
def test_so_is_one_of_a_proxy_that_is_trusted(start: Start, trusted: list[str], said: str, secure: bool) -> None:
    talk = start(sticky(), trusted_proxies=tuple(trusted))
    answer = exchange(talk, talk.client(), get(b"", f"X-Forwarded-Proto: {said}"))
    assert (b"; Secure\r\n" in answer.data) == secure


def test_the_backend_sees_the_token_as_it_sees_all_that_the_client_sends(
    start: Start, persistence: Persistence
) -> None:
    talk = start(sticky(persistence))
    client = talk.client()
    token = exchange(talk, client, GET).token
    client.sends(get(token))
    assert token in asked(talk).takes()


NO_SESSION = [b"x" * 20, b"x", b"x" * 19, b"x" * 21, b'"', b"=", b"%00"]


@pytest.mark.parametrize("shown", NO_SESSION)
def test_what_is_no_token_begins_a_session(start: Start, persistence: Persistence, shown: bytes) -> None:
    talk = start(sticky(persistence), endpoints=TWO)
    assert exchange(talk, talk.client(), get(shown)).token


def test_answers_of_the_gateway_itself_begin_none(start: Start, persistence: Persistence) -> None:
    talk = start(sticky(persistence), endpoints={"shop": ()})
    client = talk.client()
    client.sends(GET)
    answer = client.takes()
    assert (answer[:12], token_of(answer)) == (b"HTTP/1.1 503", b"")
    talk = start(sticky(persistence, filters=Filters(redirect=Redirect())))
    client = talk.client()
    client.sends(GET)
    answer = client.takes()
    assert (answer[:12], token_of(answer)) == (b"HTTP/1.1 302", b"")


def test_errors_of_the_backend_begin_one(start: Start, persistence: Persistence) -> None:
    talk = start(sticky(persistence))
    answer = exchange(talk, talk.client(), GET, message("HTTP/1.1 500 X", "content-length: 0"))
    assert (answer.data[:12], bool(answer.token)) == (b"HTTP/1.1 500", True)


def test_interim_answers_say_nothing_of_it(start: Start) -> None:
    talk = start(sticky())
    client = talk.client()
    client.sends(GET)
    backend = talk.backend()
    backend.sends(message("HTTP/1.1 103 Early Hints", "link: x"))
    assert client.takes() == message("HTTP/1.1 103 Early Hints", "link: x")
    backend.sends(OK)
    assert token_of(client.takes())


def test_rules_without_sessions_have_none(start: Start) -> None:
    talk = start(rule(), endpoints=TWO)
    assert exchange(talk, talk.client(), get(b"x" * 20)).data == OK


# -- weights and filters -----------------------------------------------------------------------------------------------

SPLIT: dict[str, Any] = {"old": (ONE,), "new": (OTHER,)}


def test_a_session_beats_the_weights(start: Start, persistence: Persistence) -> None:
    """GEP-1619, "Traffic Splitting": also when the weight has become 0."""
    talk = start(shares(("old", 1), ("new", 1), persistence=persistence), endpoints=SPLIT)
    client = talk.client()
    tokens: dict[str, bytes] = {}
    while len(tokens) < 2:
        answer = exchange(talk, client, get())
        tokens[answer.address] = answer.token
    for weights in (("old", 0), ("new", 1)), (("old", 1), ("new", 0)), (("new", 0), ("old", 0)):
        changes(talk, shares(*weights, persistence=persistence))
        for address, token in tokens.items():
            assert exchange(talk, client, get(token))[:2] == (address, OK)


def test_new_sessions_go_by_weight(start: Start) -> None:
    talk = start(shares(("old", 0), ("new", 1)), endpoints=SPLIT)
    client = talk.client()
    assert {exchange(talk, client, get()).address for _ in range(20)} == {"10.0.0.2"}


def test_a_backend_that_left_the_rule_ends_its_sessions(start: Start) -> None:
    talk = start(shares(("old", 1), ("new", 0)), endpoints=SPLIT)
    client = talk.client()
    token = exchange(talk, client, get()).token
    changes(talk, shares(("new", 1)))
    answer = exchange(talk, client, get(token))
    assert answer.address == "10.0.0.2"
    assert answer.token not in (b"", token)


def test_no_token_without_a_share(start: Start) -> None:
    talk = start(shares(("old", 0), ("new", 0)), endpoints=SPLIT)
    client = talk.client()
    client.sends(get())
    assert client.takes()[:12] == b"HTTP/1.1 500"


def test_header_modifiers_do_not_touch_it(start: Start, persistence: Persistence) -> None:
    name = b"set-cookie" if persistence is COOKIE else b"x-sid"
    edit = Edit(set=((name, b"a=b"),), remove=(b"cookie",))
    talk = start(sticky(persistence, filters=Filters(request=edit, response=edit)), endpoints=TWO)
    client = talk.client()
    first = exchange(talk, client, GET)
    assert (b": a=b\r\n" in first.data) == (persistence is COOKIE), "a field has one value, cookies are many"
    for _ in range(20):
        assert exchange(talk, client, get(first.token)).address == first.address


def test_mirrors_are_in_no_session(start: Start) -> None:
    filters = Filters(mirrors=(MirrorPlan("copies"),))
    talk = start(sticky(filters=filters), endpoints={**TWO, "copies": (THIRD,)})
    client = talk.client()
    client.sends(GET)
    backend, copies = talk.backend(), talk.backend()
    assert copies.transport.peer == "10.0.0.3"
    copies.sends(OK)
    backend.sends(OK)
    assert token_of(client.takes())


def answered_by(talk: Conversation, client: Client) -> tuple[str, bytes]:
    """The address that answers what was sent just now, and the token."""
    address = answers(talk, OK)
    return address, token_of(client.takes())


@pytest.mark.parametrize("place", ["filters", "share_filters"])
def test_who_waits_for_an_authorization_is_in_its_session_afterwards(start: Start, place: str) -> None:
    guard = Filters(auth=AuthPlan("auth"))
    places: Any = {place: guard}
    talk = start(sticky(**places), endpoints={**TWO, "auth": (THIRD,)})
    client = talk.client()

    def ask(token: bytes = b"") -> tuple[str, bytes]:
        client.sends(get(token))
        assert answers(talk, message("HTTP/1.1 200 OK", "content-length: 0")) == "10.0.0.3"
        return answered_by(talk, client)

    first, token = ask()
    assert [ask(token) for _ in range(10)] == [(first, b"")] * 10
    here, there = (ONE, OTHER) if first == "10.0.0.1" else (OTHER, ONE)
    client.sends(get(token))
    moves(talk, there, draining=(here,))  # while the service thinks
    answers(talk, message("HTTP/1.1 200 OK", "content-length: 0"))
    assert answered_by(talk, client) == (first, b"")
    client.sends(get(token))
    moves(talk, there)
    answers(talk, message("HTTP/1.1 200 OK", "content-length: 0"))
    second, new = answered_by(talk, client)
    assert second != first
    assert new not in (b"", token)
    client.sends(get(new))
    answers(talk, message("HTTP/1.1 403 Forbidden", "content-length: 0"))
    data = client.takes()
    assert (data[:12], token_of(data)) == (b"HTTP/1.1 403", b"")


# -- endpoints that come and go ----------------------------------------------------------------------------------------


def begun(talk: Conversation, address: str) -> tuple[Client, bytes]:
    """A client with a session at that endpoint."""
    client = talk.client()
    while True:
        answer = exchange(talk, client, get())
        if answer.address == address:
            return client, answer.token


def test_an_endpoint_that_is_gone(start: Start, persistence: Persistence) -> None:
    talk = start(sticky(persistence), endpoints=TWO)
    client, token = begun(talk, "10.0.0.1")
    moves(talk, OTHER)
    answer = exchange(talk, client, get(token))
    assert answer.address == "10.0.0.2"
    assert answer.token not in (b"", token)
    moves(talk, ONE, OTHER)
    assert exchange(talk, client, get(token))[:2] == ("10.0.0.1", OK), "the old token means what it meant"


def test_a_draining_endpoint_keeps_its_sessions_and_gets_no_others(start: Start, persistence: Persistence) -> None:
    talk = start(sticky(persistence), endpoints=TWO)
    client, token = begun(talk, "10.0.0.1")
    moves(talk, OTHER, draining=(ONE,))
    for _ in range(3):
        assert exchange(talk, client, get(token))[:2] == ("10.0.0.1", OK)
    assert {exchange(talk, client, get()).address for _ in range(20)} == {"10.0.0.2"}
    moves(talk, OTHER)
    assert exchange(talk, client, get(token)).address == "10.0.0.2"


@pytest.mark.parametrize("protocol", ["http1", "h2c"])
def test_connections_to_a_draining_endpoint_are_not_kept(start: Start, protocol: str) -> None:
    """A server may wait for their end before it ends itself."""
    talk = start(sticky(), endpoints={"shop": (ONE,)}, protocol=protocol)
    client = talk.client()

    def ask(token: bytes = b"") -> tuple[str, bytes]:
        """The state of the one connection to the endpoint after an exchange, and the token."""
        client.sends(get(token))
        if talk.asks:
            peers.append(talk.backend())
            speakers.append(Backend2(peers[-1]) if protocol == "h2c" else None)
        if protocol == "h2c":
            speakers[-1].settle()
            speakers[-1].answers(max(speakers[-1].messages), 200)
        else:
            peers[-1].sends(OK)
        return peers[-1].state, token_of(client.takes())

    peers: list[Backend] = []
    speakers: list[Any] = []
    state, token = ask()
    assert state == "open"
    moves(talk, OTHER, draining=(ONE,))
    assert peers[0].state == "closed"
    for number in (2, 3):
        assert ask(token) == ("closed", b"")
        assert (len(peers), peers[-1].transport.peer) == (number, "10.0.0.1")
    moves(talk, ONE)
    assert ask(token) == ("open", b"")


# -- time and keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timed", [replace(COOKIE, timeout=60.0), replace(FIELD, timeout=60.0)])
def test_a_session_ends_after_its_absolute_timeout(start: Start, wall: Wall, timed: Persistence) -> None:
    talk = start(sticky(timed), endpoints=TWO)
    client = talk.client()
    first = exchange(talk, client, get())
    wall.now += 59.0
    assert exchange(talk, client, get(first.token))[:2] == (first.address, OK), "no use of it makes it longer"
    wall.now += 1.5
    answer = exchange(talk, client, get(first.token))
    assert answer.token not in (b"", first.token)
    assert exchange(talk, client, get(answer.token)).data == OK


def test_the_key_is_that_of_the_gateway(start: Start) -> None:
    keyed, bare = (start(sticky(), session_key=key) for key in (b"k" * 32, b""))
    tokens = [exchange(talk, talk.client(), get()).token for talk in (keyed, bare)]
    assert tokens[0] != tokens[1]
    assert exchange(bare, bare.client(), get(tokens[0])).token == tokens[1]
    assert exchange(keyed, keyed.client(), get(tokens[0])).data == OK
