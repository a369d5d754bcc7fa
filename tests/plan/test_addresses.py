"""Addresses and ports of Gateways: asked for, from the pool, or the wildcard that they share."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from tests.plan.manifests import gateway, http, https
from tests.plan.secrets import good_secret
from tests.plan.verdicts import holds, listener, short
from tests.plan.yaml_objects import world

TLS = good_secret("tls", "shop", "a.com")


def plan(*texts: str, **options: Any) -> Result:
    return Planner().plan(world(TLS, *texts), Options(**options))


def addresses(result: Result, name: str = "edge") -> list[str]:
    found = result.statuses[f"Gateway/shop/{name}"]["addresses"]
    assert all(one["type"] == "IPAddress" for one in found)
    return [one["value"] for one in found]


def usable(address: str) -> bool:
    return address.startswith("127.") or address == "::1"


def ip(*values: str) -> list[dict[str, str]]:
    return [{"value": value} for value in values]


READY = "Accepted=True/Accepted Programmed=True/Programmed"
PLACES = [
    # (spec.addresses, options, Gateway conditions, status.addresses, sockets)
    ([], {}, READY, ["127.0.0.1"], [":80"]),
    ([], {"default_address": "192.0.2.7"}, READY, ["192.0.2.7"], [":80"]),
    ([], {"address_pool": "127.64.0.0/24"}, READY, ["127.64.0.1"], ["127.64.0.1:80"]),
    (ip("127.0.0.9"), {}, READY, ["127.0.0.9"], ["127.0.0.9:80"]),
    (ip("127.0.0.9"), {"address_pool": "127.64.0.0/24"}, READY, ["127.0.0.9"], ["127.0.0.9:80"]),
    (ip("::1"), {}, READY, ["::1"], ["[::1]:80"]),
    (ip("127.0.0.9", "::1"), {}, READY, ["127.0.0.9", "::1"], ["127.0.0.9:80", "[::1]:80"]),
    ([{"type": "IPAddress"}], {"address_pool": "127.64.0.0/24"}, READY, ["127.64.0.1"], ["127.64.0.1:80"]),
    (ip("192.0.2.1"), {}, "Accepted=True/Accepted Programmed=False/AddressNotUsable", [], []),
    (  # what can be had is served
        ip("192.0.2.1", "127.0.0.9"),
        {},
        "Accepted=True/Accepted Programmed=False/AddressNotUsable",
        ["127.0.0.9"],
        ["127.0.0.9:80"],
    ),
    (
        [{"type": "Hostname", "value": "a.com"}],
        {},
        "Accepted=False/UnsupportedAddress Programmed=False/Invalid",
        [],
        [],
    ),
    (
        [*ip("127.0.0.9"), {"type": "example.com/own", "value": "x"}],
        {},
        "Accepted=False/UnsupportedAddress Programmed=False/Invalid",
        [],
        [],
    ),
]


@pytest.mark.parametrize(("asked", "options", "expected", "shown", "sockets"), PLACES)
def test_place(
    asked: list[dict[str, str]], options: dict[str, Any], expected: str, shown: list[str], sockets: list[str]
) -> None:
    result = plan(gateway("edge", addresses=asked), usable=usable, **options)
    conditions = result.statuses["Gateway/shop/edge"]["conditions"]
    assert holds(expected, conditions), short(conditions)
    assert addresses(result) == shown
    assert sorted(result.snapshot.ports) == sorted(sockets)
    assert bool(result.problems) == ("False" in expected)


def test_the_pool_keeps_what_it_gave() -> None:
    """A Gateway that comes or goes moves no other."""
    planner, options = Planner(), Options(address_pool="127.64.0.0/29")
    first = planner.plan(world(gateway("b"), gateway("c")), options)
    assert (addresses(first, "b"), addresses(first, "c")) == (["127.64.0.1"], ["127.64.0.2"])
    second = planner.plan(world(gateway("a"), gateway("b"), gateway("c")), options)
    assert [addresses(second, name) for name in "abc"] == [["127.64.0.3"], ["127.64.0.1"], ["127.64.0.2"]]
    third = planner.plan(world(gateway("a"), gateway("c"), gateway("d")), options)
    assert [addresses(third, name) for name in "acd"] == [["127.64.0.3"], ["127.64.0.2"], ["127.64.0.1"]]


def test_the_pool_does_not_give_what_a_gateway_asks_for() -> None:
    options = Options(address_pool="127.64.0.0/29")
    result = Planner().plan(world(gateway("a"), gateway("b", addresses=ip("127.64.0.1"))), options)
    assert (addresses(result, "a"), addresses(result, "b")) == (["127.64.0.2"], ["127.64.0.1"])


def test_an_empty_pool_is_told() -> None:
    result = plan(gateway("a"), gateway("b"), gateway("c"), address_pool="127.64.0.0/30")
    conditions = result.statuses["Gateway/shop/c"]["conditions"]
    assert holds("Accepted=True/Accepted Programmed=False/AddressNotAssigned", conditions)
    assert [one.object for one in result.problems] == ["Gateway shop/c"]


def test_ports_are_mapped() -> None:
    result = plan(gateway("edge", http("a", 80), http("b", 8000)), port_map={80: 8080})
    found = {key: (port.port, port.number) for key, port in result.snapshot.ports.items()}
    assert found == {":8080": (8080, 80), ":8000": (8000, 8000)}


OLD, NEW = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
CLASHES = [
    # (listener of the older Gateway, of the younger one, options, both served)
    (http(), http(), {}, False),  # the same hostname, here any
    (http(hostname="a.com"), http(hostname="b.com"), {}, True),  # one socket, told apart by hostname
    (http(hostname="a.com"), http(), {}, True),
    (http(), https("https", "tls", 80), {}, False),  # one socket speaks one protocol
    (http(), {"name": "tcp", "port": 80, "protocol": "TCP"}, {}, False),
    (http(), http(port=81), {}, True),
    (http(), http(), {"address_pool": "127.64.0.0/24"}, True),
    (http(), http("b", 8080), {"port_map": {80: 8080}}, False),  # two ports, one socket
]


@pytest.mark.parametrize(("older", "younger", "options", "both"), CLASHES)
def test_the_older_gateway_keeps_the_port(
    older: dict[str, Any], younger: dict[str, Any], options: dict[str, Any], both: bool
) -> None:
    texts = [gateway("young", younger, http("own", 9000), created=NEW), gateway("zold", older, created=OLD)]
    result = plan(*texts, **options)
    winner = listener(result.statuses["Gateway/shop/zold"], older["name"])
    loser = listener(result.statuses["Gateway/shop/young"], younger["name"])
    assert holds("Accepted=True/Accepted Programmed=True/Programmed", winner["conditions"])
    expected = READY if both else "Accepted=False/PortUnavailable Programmed=False/Invalid"
    assert holds(expected, loser["conditions"])
    served = {one.key for port in result.snapshot.ports.values() for one in port.listeners}
    assert (f"shop/young/{younger['name']}" in served) == both
    assert "shop/young/own" in served  # the Gateway's other listeners stay
    if not both:
        (problem,) = result.problems
        assert "Gateway shop/zold" in problem.message


def test_without_ages_the_name_decides() -> None:
    result = plan(gateway("b"), gateway("a"))
    assert [one.gateway for one in result.snapshot.ports[":80"].listeners] == ["shop/a"]
    (problem,) = result.problems
    assert "--address-pool" in problem.message


def test_a_listener_that_cannot_be_served_keeps_its_hostname() -> None:
    """A broken certificate of one team must not hand its hostname to another."""
    texts = [
        gateway("a", https("https", "gone", hostname="a.com")),
        gateway("b", https("https", "tls", hostname="a.com")),
    ]
    result = plan(*texts)
    assert result.snapshot.ports == {}
