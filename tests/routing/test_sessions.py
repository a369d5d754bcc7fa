"""Tokens of sessions: what they lead to, what they say, who can make them, and when they end (GEP-1619)."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewayd.routing.rule import Rule
from gatewayd.routing.sessions import SKEW, Place, Sessions
from gatewayd.routing.snapshot import Persistence, RoutePlan, RulePlan, SharePlan

KEY = b"k" * 32
NOW = 1_800_000_000.25


class Endpoint:
    """What sessions know of an endpoint."""

    def __init__(self, label: str) -> None:
        self.label = label.encode()
        self.gone = False
        self.ejected_until = 0.0


class Backend:
    """A backend that counts how often its endpoints are asked for."""

    def __init__(self, *labels: str) -> None:
        self.version = self.asked = 0
        self.live = self.endpoints = tuple(Endpoint(label) for label in labels)

    def bindable(self) -> tuple[Endpoint, ...]:
        self.asked += 1
        return self.endpoints

    def becomes(self, *labels: str) -> None:
        """Other addresses; those that stay are the same endpoints."""
        known = {endpoint.label.decode(): endpoint for endpoint in self.endpoints}
        self.endpoints = tuple(known.pop(label) if label in known else Endpoint(label) for label in labels)
        for endpoint in known.values():
            endpoint.gone = True
        self.live = self.endpoints
        self.version += 1


def rule(
    persistence: Persistence | None = None, *keys: str, name: str = "", index: int = 0, route: str = "shop"
) -> Rule:
    """A rule with a share for each key, and no backends yet."""
    plan = RoutePlan(key=f"HTTPRoute/ns/{route}", kind="HTTPRoute", namespace="ns", name=route)
    shares = tuple(SharePlan(backend=key) for key in keys or ("ns/a:80",))
    made = RulePlan(index=index, name=name, shares=shares, persistence=persistence or Persistence())
    return Rule(plan, made)


def bind(one: Rule, *backends: Backend | None) -> tuple[Rule, Sessions]:
    for share, backend in zip(one.shares, backends, strict=True):
        share.backend = backend
    assert one.sessions is not None
    return one, one.sessions


def token(sessions: Sessions, place: Place, key: bytes = b"", now: float = NOW) -> bytes:
    """The token by itself."""
    told = sessions.tell(b"", place, key, now, False)
    return told.partition(b"=")[2].partition(b";")[0] if b"=" in told else told.partition(b": ")[2]


def block(sessions: Sessions, *tokens: bytes) -> bytes:
    """The field lines of a request that shows these."""
    if sessions.plan.kind == "header":
        return b"".join(b"\r\n%b: %b" % (sessions.name, one) for one in tokens)
    return b"\r\nhost: a\r\ncookie: " + b"; ".join(b"%b=%b" % (sessions.name, one) for one in tokens)


KINDS = [
    Persistence(),
    Persistence(name=b"sid"),
    Persistence(kind="header", name=b"x-sid"),
    Persistence(timeout=60.0),
    Persistence(timeout=60.0, permanent=True),
    Persistence(kind="header", name=b"x-sid", timeout=60.0),
]


@pytest.mark.parametrize("persistence", KINDS)
@pytest.mark.parametrize("key", [b"", KEY])
def test_a_token_leads_back_to_its_endpoint(persistence: Persistence, key: bytes) -> None:
    backend = Backend("10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80")
    one, sessions = bind(rule(persistence), backend)
    for endpoint in backend.endpoints:
        place = Place(one.shares[0], endpoint)
        shown = block(sessions, token(sessions, place, key))
        assert sessions.find(shown, key, NOW) == place
    assert sessions.find(block(sessions), key, NOW) is None


@pytest.mark.parametrize("persistence", KINDS)
def test_workers_and_replicas_make_the_same_tokens(persistence: Persistence) -> None:
    (one, first), (_, second) = (bind(rule(persistence), Backend("10.0.0.1:80", "10.0.0.2:80")) for _ in range(2))
    made = token(first, Place(one.shares[0], one.shares[0].backend.endpoints[1]))
    found = second.find(block(second, made), b"", NOW)
    assert found is not None
    assert found.endpoint.label == b"10.0.0.2:80"


TOLD = [
    (Persistence(name=b"sid"), False, "set-cookie: sid={}; Path=/; HttpOnly; SameSite=Lax"),
    (Persistence(name=b"sid"), True, "set-cookie: sid={}; Path=/; HttpOnly; SameSite=Lax; Secure"),
    (Persistence(name=b"sid", path=b"/cart"), False, "set-cookie: sid={}; Path=/cart; HttpOnly; SameSite=Lax"),
    # A Session cookie has neither Max-Age nor Expires, whatever the gateway's own limit; a Permanent one has.
    (Persistence(name=b"sid", timeout=90.0), False, "set-cookie: sid={}; Path=/; HttpOnly; SameSite=Lax"),
    (
        Persistence(name=b"sid", timeout=90.0, permanent=True), True,
        "set-cookie: sid={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=90; Secure",
    ),
    (  # 0 would delete it
        Persistence(name=b"sid", timeout=0.5, permanent=True), False,
        "set-cookie: sid={}; Path=/; HttpOnly; SameSite=Lax; Max-Age=1",
    ),
    (Persistence(kind="header", name=b"x-sid"), False, "x-sid: {}"),
    (Persistence(kind="header", name=b"x-sid", timeout=90.0), True, "x-sid: {}"),
]  # fmt: skip


@pytest.mark.parametrize(("persistence", "secure", "line"), TOLD)
def test_what_a_response_carries(persistence: Persistence, secure: bool, line: str) -> None:
    one, sessions = bind(rule(persistence), Backend("10.0.0.1:80"))
    place = Place(one.shares[0], one.shares[0].backend.endpoints[0])
    told = sessions.tell(b"\r\nx: y", place, b"", NOW, secure)
    assert told == b"\r\nx: y\r\n" + line.format(token(sessions, place).decode()).encode()


def test_a_field_of_the_backends_with_the_name_of_ours_goes() -> None:
    one, sessions = bind(rule(Persistence(kind="header", name=b"x-sid")), Backend("10.0.0.1:80"))
    place = Place(one.shares[0], one.shares[0].backend.endpoints[0])
    told = sessions.tell(b"\r\nX-Sid: 1\r\nx: y\r\nx-sid: 2", place, b"", NOW, False)
    assert told == b"\r\nx: y\r\nx-sid: " + token(sessions, place)


def test_a_cookie_of_the_backends_stays() -> None:
    one, sessions = bind(rule(Persistence(name=b"sid")), Backend("10.0.0.1:80"))
    place = Place(one.shares[0], one.shares[0].backend.endpoints[0])
    told = sessions.tell(b"\r\nset-cookie: own=1", place, b"", NOW, False)
    assert told.startswith(b"\r\nset-cookie: own=1\r\nset-cookie: sid=")


# -- what a token says -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("persistence", KINDS)
def test_a_token_shows_no_address_and_needs_no_quotes(persistence: Persistence) -> None:
    one, sessions = bind(rule(persistence), Backend("10.0.0.1:80"))
    made = token(sessions, Place(one.shares[0], one.shares[0].backend.endpoints[0])).decode()
    assert set(made) <= set(string.ascii_letters + string.digits + "-_")
    assert len(made) == (52 if persistence.timeout else 20)


SCOPES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {"index": 1}),
    ({}, {"route": "other"}),
    ({"name": "a"}, {"name": "b"}),
    ({"name": "1"}, {"index": 1}),
    ({"name": "a"}, {}),
]


@pytest.mark.parametrize(("scope", "other"), SCOPES)
@pytest.mark.parametrize("name", [b"", b"sid"])
def test_two_rules_never_share_a_session(scope: dict[str, Any], other: dict[str, Any], name: bytes) -> None:
    """Not even with one cookie name and one Service (GEP-1619, "Two Routes Rules have Session Persistence ...")."""
    backend = Backend("10.0.0.1:80")
    one, sessions = bind(rule(Persistence(name=name), **scope), backend)
    _, others = bind(rule(Persistence(name=name), **other), backend)
    made = token(sessions, Place(one.shares[0], backend.endpoints[0]))
    assert sessions.find(block(sessions, made), b"", NOW)
    assert others.find(block(others, made), b"", NOW) is None
    assert (sessions.name == others.name) == bool(name)


def test_a_named_rule_keeps_its_sessions_wherever_it_stands() -> None:
    backend = Backend("10.0.0.1:80")
    one, before = bind(rule(name="cart", index=0), backend)
    _, after = bind(rule(name="cart", index=3), backend)
    made = token(before, Place(one.shares[0], backend.endpoints[0]))
    assert after.find(block(after, made), b"", NOW)


def test_the_names_that_are_made_can_be_names() -> None:
    sessions = rule().sessions
    assert sessions is not None
    assert sessions.name.startswith(b"gatewayd-")
    assert len(sessions.name) == 19


# -- which endpoints it reaches ----------------------------------------------------------------------------------------


def test_only_endpoints_of_the_rules_own_shares() -> None:
    mine, foreign = Backend("10.0.0.1:80"), Backend("10.0.0.9:80")
    one, sessions = bind(rule(None, "ns/a:80"), mine)
    place = Place(one.shares[0], foreign.endpoints[0])
    assert sessions.find(block(sessions, token(sessions, place)), b"", NOW) is None


def test_the_backend_counts_and_not_the_address_alone() -> None:
    """Two Services may name one address; the session is with one of them, and has its filters."""
    one, sessions = bind(rule(None, "ns/a:80", "ns/b:80"), Backend("10.0.0.1:80"), Backend("10.0.0.1:80"))
    places = [Place(share, share.backend.endpoints[0]) for share in one.shares]
    assert [sessions.find(block(sessions, token(sessions, place)), b"", NOW) for place in places] == places


def test_the_same_backend_twice() -> None:
    backend = Backend("10.0.0.1:80")
    one, sessions = bind(rule(None, "ns/a:80", "ns/b:80", "ns/a:80"), backend, Backend(), backend)
    places = [Place(share, backend.endpoints[0]) for share in (one.shares[0], one.shares[2])]
    assert [sessions.find(block(sessions, token(sessions, place)), b"", NOW) for place in places] == places


def test_the_order_of_backends_does_not_count() -> None:
    a, b = Backend("10.0.0.1:80"), Backend("10.0.0.2:80")
    one, before = bind(rule(None, "ns/a:80", "ns/b:80"), a, b)
    _, after = bind(rule(None, "ns/b:80", "ns/a:80"), b, a)
    found = after.find(block(after, token(before, Place(one.shares[1], b.endpoints[0]))), b"", NOW)
    assert found is not None
    assert found.endpoint is b.endpoints[0]


def test_a_share_that_cannot_be_used() -> None:
    one, sessions = bind(rule(None, "ns/a:80", ""), Backend("10.0.0.1:80"), None)
    place = Place(one.shares[0], one.shares[0].backend.endpoints[0])
    assert sessions.find(block(sessions, token(sessions, place)), b"", NOW) == place


def test_endpoints_come_and_go() -> None:
    backend = Backend("10.0.0.1:80", "10.0.0.2:80")
    one, sessions = bind(rule(), backend)
    first, second = (block(sessions, token(sessions, Place(one.shares[0], one_of))) for one_of in backend.endpoints)
    assert sessions.find(second, b"", NOW)
    backend.becomes("10.0.0.1:80")
    assert sessions.find(second, b"", NOW) is None
    assert sessions.find(first, b"", NOW)
    backend.becomes("10.0.0.1:80", "10.0.0.2:80")
    found = sessions.find(second, b"", NOW)
    assert found is not None
    assert found.endpoint is backend.endpoints[1]


def test_another_backend_takes_the_place() -> None:
    old, new = Backend("10.0.0.1:80"), Backend("10.0.0.1:80")
    one, sessions = bind(rule(), old)
    shown = block(sessions, token(sessions, Place(one.shares[0], old.endpoints[0])))
    assert sessions.find(shown, b"", NOW)
    old.becomes()
    bind(one, new)
    found = sessions.find(shown, b"", NOW)
    assert found is not None
    assert found.endpoint is new.endpoints[0]


def test_endpoints_that_cannot_be_connected_to() -> None:
    backend = Backend("10.0.0.1:80", "10.0.0.2:80")
    one, sessions = bind(rule(), backend)
    shown = block(sessions, token(sessions, Place(one.shares[0], backend.endpoints[0])))
    assert sessions.find(shown, b"", NOW)
    backend.endpoints[0].ejected_until = 1.0
    backend.live = backend.endpoints[1:]
    assert sessions.find(shown, b"", NOW) is None
    backend.live = ()  # all of them failed: one is as good as the other
    assert sessions.find(shown, b"", NOW)


def test_the_endpoints_are_looked_through_once_for_each_change() -> None:
    backend = Backend("10.0.0.1:80", "10.0.0.2:80")
    one, sessions = bind(rule(), backend)
    shown = block(sessions, token(sessions, Place(one.shares[0], backend.endpoints[0])))
    assert backend.asked == 0  # nobody showed a token yet
    for _ in range(3):
        assert sessions.find(shown, b"", NOW)
        assert sessions.find(block(sessions, b"x" * 20), b"", NOW) is None  # nor do strangers cost more
    assert backend.asked == 1
    backend.becomes("10.0.0.1:80", "10.0.0.3:80")
    assert sessions.find(shown, b"", NOW)
    assert backend.asked == 1  # what is still there needs no look
    assert sessions.find(block(sessions, b"x" * 20), b"", NOW) is None
    assert backend.asked == 2


def test_each_key_has_tokens_of_its_own_and_costs_one_look() -> None:
    """A route may belong to several Gateways: who talks to them in turns must not have the endpoints looked through."""
    backend = Backend("10.0.0.1:80", "10.0.0.2:80")
    one, sessions = bind(rule(), backend)
    place = Place(one.shares[0], backend.endpoints[0])
    for _ in range(3):
        for key in (b"", KEY):
            assert sessions.find(block(sessions, token(sessions, place, key)), key, NOW) == place
            assert sessions.find(block(sessions, b"x" * 20), key, NOW) is None
    assert backend.asked == 2
    for number in range(100):
        sessions.find(block(sessions, b"x" * 20), b"%d" % number, NOW)
    assert len(sessions._known) <= 16


def test_the_first_valid_one_counts() -> None:
    backend = Backend("10.0.0.1:80", "10.0.0.2:80")
    one, sessions = bind(rule(Persistence(name=b"sid")), backend)
    first, second = (token(sessions, Place(one.shares[0], endpoint)) for endpoint in backend.endpoints)
    found = sessions.find(block(sessions, b"y" * 20, second, first), b"", NOW)
    assert found is not None
    assert found.endpoint is backend.endpoints[1]


# -- time and keys -----------------------------------------------------------------------------------------------------

AGES = [(0.0, True), (59.9, True), (60.0, False), (1e6, False), (-SKEW + 0.5, True), (-SKEW - 0.5, False)]


@pytest.mark.parametrize(("age", "valid"), AGES)
@pytest.mark.parametrize("persistence", [one for one in KINDS if one.timeout])
def test_a_session_ends_with_its_time(persistence: Persistence, age: float, valid: bool) -> None:
    backend = Backend("10.0.0.1:80")
    one, sessions = bind(rule(persistence), backend)
    shown = block(sessions, token(sessions, Place(one.shares[0], backend.endpoints[0]), KEY))
    assert (sessions.find(shown, KEY, NOW + age) is not None) == valid


def test_only_those_with_the_key_make_tokens() -> None:
    backend = Backend("10.0.0.1:80")
    one, sessions = bind(rule(Persistence(timeout=60.0)), backend)
    place = Place(one.shares[0], backend.endpoints[0])
    real = token(sessions, place, KEY)
    forged = [
        token(sessions, place, b""),
        token(sessions, place, b"j" * 32),
        real[:20] + token(sessions, place, b"", NOW + 30)[20:],
        real[:20] + b"%012x" % int((NOW + 30) * 1000) + real[32:],  # younger than it is
        real[:-1] + (b"a" if real[-1:] != b"a" else b"b"),
        real[:32],
        real + b"a",
        real[:20],
        real[:20] + b"-%011x" % 5 + real[32:],
        real.upper(),
    ]
    for one_of in forged:
        assert sessions.find(block(sessions, one_of), KEY, NOW + 1) is None, one_of
    assert sessions.find(block(sessions, real), KEY, NOW + 1) == place


def test_another_key_ends_all_sessions() -> None:
    backend = Backend("10.0.0.1:80")
    one, sessions = bind(rule(), backend)
    place = Place(one.shares[0], backend.endpoints[0])
    old, new = (block(sessions, token(sessions, place, key)) for key in (b"", KEY))
    assert sessions.find(old, b"", NOW)
    assert sessions.find(new, b"", NOW) is None
    assert sessions.find(old, KEY, NOW) is None
    assert sessions.find(new, KEY, NOW)


HOSTILE = st.one_of(
    st.binary(max_size=80),
    st.text("AZaz09-_", min_size=20, max_size=20).map(str.encode),
    st.from_regex(rb"[A-Za-z0-9_-]{20}[0-9a-f]{12}[A-Za-z0-9_-]{20}", fullmatch=True),
)


@given(st.sampled_from(KINDS), HOSTILE, st.sampled_from([b"", KEY]))
def test_nothing_that_was_not_given_out_leads_anywhere(persistence: Persistence, shown: bytes, key: bytes) -> None:
    _, sessions = bind(rule(persistence), Backend("10.0.0.1:80"))
    assert sessions.find(block(sessions, shown), key, NOW) is None
