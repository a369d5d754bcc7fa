"""ExternalAuth and reloads: what waits for a verdict ends by the rule and at the backend that it came for."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from gatewayd.routing.change import difference
from tests.proxy.authorization.service import NO, PLACES, QUESTION, YES, asked, guarded, outcome
from tests.proxy.conversation import ASKED, GET, OK, Conversation, Start, message, rule


@pytest.fixture
def talk(start: Start) -> Conversation:
    return start(guarded(), endpoints=PLACES)


def reload(talk: Conversation, **changes: Any) -> None:
    old = talk.runtime.snapshot
    talk.runtime.apply(difference(old, replace(old, generation=old.generation + 1, **changes)), {})


def test_who_waits_is_judged_by_the_rule_that_it_came_for(talk: Conversation):
    client, service = asked(talk)
    (key,) = talk.runtime.snapshot.routes
    open_rule = replace(talk.runtime.snapshot.routes[key], rules=(rule(),))
    reload(talk, routes={key: open_rule})
    assert talk.asks == 0
    service.sends(NO)
    assert outcome(talk) == (401, "auth_denied", 0)
    client.sends(GET)  # the next one meets the new rule
    assert talk.asks == 1
    assert talk.backend().takes() == ASKED


def test_a_guard_that_comes_guards_the_next_request(start: Start):
    talk = start(endpoints=PLACES)
    client, backend = talk.exchange()
    (key,) = talk.runtime.snapshot.routes
    reload(talk, routes={key: replace(talk.runtime.snapshot.routes[key], rules=(guarded(),))})
    client.sends(GET)
    assert (backend.takes(), talk.asks) == (b"", 1)
    assert talk.backend().takes() == QUESTION


@pytest.mark.parametrize("body", [0, 10])
def test_who_waits_goes_where_it_came_for(start: Start, body: int):
    """A new version takes the place of the old, whose Services are gone at once: nothing is lost of what waits for a
    verdict, or for its body.
    """
    talk = start(guarded(body=body), endpoints=PLACES)
    client = talk.client()
    client.sends(message("POST / HTTP/1.1", "Host: a", "Content-Length: 2", body=b"o"))
    service = None if body else talk.backend()
    snapshot = talk.runtime.snapshot
    (key,) = snapshot.routes
    route = replace(snapshot.routes[key], rules=(rule(backend="copy"),))
    reload(talk, routes={key: route}, backends={"copy": snapshot.backends["copy"]})
    client.sends(b"k")
    service = service or talk.backend()
    assert service.transport.peer == "10.0.0.9"
    service.sends(YES)
    backend = talk.backend()
    assert backend.transport.peer == "10.0.0.1"
    assert backend.takes().endswith(b"ok")
    backend.sends(OK)
    assert client.takes() == OK
    assert (service.state, backend.state) == ("closed", "closed")
    client.sends(GET)
    assert talk.backend().transport.peer == "10.0.0.2"


def test_everything_goes_while_a_request_waits(talk: Conversation):
    client, service = asked(talk)
    reload(talk, backends={})
    service.sends(YES)
    assert client.takes().startswith(b"HTTP/1.1 503 ")
    assert outcome(talk) == (503, "no_endpoints", 0)
    client.sends(GET)
    assert outcome(talk) == (503, "auth_no_endpoints", 0)
