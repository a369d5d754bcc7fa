"""A service of authorization over HTTP, a rule that asks it, and what it says."""

from __future__ import annotations

from typing import Any

from gatewayd.routing.snapshot import AuthPlan, Filters
from tests.proxy.conversation import GET, Backend, Client, Conversation, message, rule

PLACES = {"shop": (("10.0.0.1", 80),), "auth": (("10.0.0.9", 80),), "copy": (("10.0.0.2", 80),)}
QUESTION = message("GET / HTTP/1.1", "host: a", "content-length: 0")
YES = message("HTTP/1.1 200 OK", "content-length: 0")
NO = message("HTTP/1.1 401 Unauthorized", "date: then", "www-authenticate: Basic", "content-length: 2", body=b"no")


def guarded(more: Any = None, *, share_filters: Any = None, on_share: bool = False, **plan: Any) -> Any:
    auth = AuthPlan("auth", **plan)
    if on_share:
        return rule(filters=more, share_filters=Filters(auth=auth))
    fields = {name: getattr(more, name) for name in Filters.__struct_fields__} if more is not None else {}
    return rule(filters=Filters(**{**fields, "auth": auth}), share_filters=share_filters)


def asked(talk: Conversation, request: bytes = GET) -> tuple[Client, Backend]:
    """A client that asked, and the service that is asked about it."""
    client = talk.client()
    client.sends(request)
    service = talk.backend()
    assert service.transport.peer == "10.0.0.9"
    return client, service


def outcome(talk: Conversation) -> tuple[int, str, int]:
    """Status, reason, and how many connections are asked for: none of them to the backend."""
    assert not any(connect.address == ("10.0.0.1", 80) for connect in talk.loop.connects)
    return talk.line["status"], talk.line["reason"], talk.asks


def all_is_given_back(talk: Conversation) -> None:
    """No request is counted, no body kept, no timer set."""
    backends = talk.runtime.backends.values()
    assert [endpoint.active for backend in backends for endpoint in backend.endpoints] == [0] * len(PLACES)
    assert talk.runtime.bodies.bytes == 0
    assert not talk.loop.timers
