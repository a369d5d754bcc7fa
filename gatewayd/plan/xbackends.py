"""XBackend (GEP-4894): what is spoken to it, for which kinds of routes, and its status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.conditions import Status, Verdict, judged
from gatewayd.plan.parts import generation, spec
from gatewayd.plan.problems import report
from gatewayd.plan.targets import X_GROUP
from gatewayd.plan.users import Users, crowded, entry, known

Spoken = Literal["http1", "h2c"]

PARENTS = 32  # entries that status.parents may have

# spec.protocol, by what a kind of route sends. In clear text there is nothing to negotiate a version with, so HTTP is
# HTTP/1.1 unless the route needs more, and HTTP2 is H2C. MCP travels in HTTP messages, which pass as they are. A stream
# of bytes is passed on whatever it says; nothing here takes datagrams.
_HTTP: Mapping[str | None, Spoken] = {
    None: "http1", "HTTP": "http1", "HTTP11": "http1", "MCP": "http1", "HTTP2": "h2c", "H2C": "h2c",
}  # fmt: skip
_GRPC: Mapping[str | None, Spoken] = {None: "h2c", "HTTP": "h2c", "HTTP2": "h2c", "H2C": "h2c"}
_TCP: Mapping[str | None, Spoken] = {**_HTTP, "TCP": "http1"}
_SPOKEN: Mapping[str, Mapping[str | None, Spoken]] = {"http": _HTTP, "grpc": _GRPC, "tcp": _TCP, "udp": {}}


def spoken(wanted: Any, traffic: str) -> Spoken | None:
    """What to speak to an XBackend with the spec `wanted`, or None where it cannot take such traffic."""
    return _SPOKEN[traffic].get(wanted.protocol)


def protocol_of(wanted: Any) -> Spoken:
    """What it speaks unless the route needs more."""
    return _TCP[wanted.protocol]


def needs_tls(wanted: Any) -> str:
    """The mode of TLS that it asks for, "" for none."""
    return "" if wanted.tls is None or wanted.tls.mode == "None" else str(wanted.tls.mode)


def status(item: Object, users: Users, views: Mapping[str, GatewayView]) -> Status:
    """One entry for each Gateway that uses it through any route."""
    conditions = [judged("Accepted", _verdict(item), generation(item))]
    gateways = known(_gateways(item, users), views, PARENTS)
    return {"parents": [entry("parentRef", view, conditions) for view in gateways]}


def problems(item: Object, users: Users) -> list[Problem]:
    """What is wrong with it, and with its use."""
    verdict = _verdict(item)
    found = [] if verdict is None else [report(item, ("spec", "tls", "mode"), verdict.message)]
    return found + crowded(item, _gateways(item, users), PARENTS)


def _gateways(item: Object, users: Users) -> list[str]:
    return users.of((X_GROUP, "XBackend", item.namespace, item.name))


def _verdict(item: Object) -> Verdict | None:
    mode = needs_tls(spec(item))
    if not mode:
        return None
    return Verdict("Invalid", f"tls.mode {mode} is not served yet: whatever goes here is refused, not sent in clear")
