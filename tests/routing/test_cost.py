"""What a lookup and a change cost, counted where that is possible, and measured with generous bounds where not."""

from __future__ import annotations

import time
from typing import Any

import pytest

from gatewayd.routing.snapshot import RoutePlan
from gatewayd.routing.table import PortTable, compile_port
from tests.routing.plans import head, listener, match, port, route, table, winner


class Counted(dict[Any, Any]):
    """A dict that counts how often it was asked."""

    probes = 0

    def get(self, key: Any, default: Any = None) -> Any:
        Counted.probes += 1
        return super().get(key, default)


def _counted(ports: PortTable) -> PortTable:
    """The same tables, whose dicts count."""
    hosts = [ports.listeners]
    for listening in ports.listeners.values():
        hosts.append(listening.hosts)  # type: ignore[arg-type]
        for paths in listening.hosts.values():
            paths.exact, paths.prefix = Counted(paths.exact), Counted(paths.prefix)
    for table_of_hosts in hosts:
        table_of_hosts.exact, table_of_hosts.wildcard = Counted(table_of_hosts.exact), Counted(table_of_hosts.wildcard)
    return ports


def _many(count: int) -> list[RoutePlan]:
    return [
        route(f"r{number}", match(f"/app/{number}"), match(f"=/exact/{number}"), match("/m", headers=f"x={number}"))
        for number in range(count)
    ]


def _probes(ports: PortTable, request: str) -> int:
    asked = head(request)
    before = Counted.probes
    winner(ports, asked)
    return Counted.probes - before


REQUESTS = ["/app/3/a/b", "/exact/2", "/none", "/app/3", "/a/b/c/d/e/f/g"]


@pytest.mark.parametrize("request_line", REQUESTS)
def test_five_thousand_routes_take_as_many_probes_as_five(request_line: str):
    few, many = _counted(table(*_many(5))), _counted(table(*_many(5000)))
    assert 0 < _probes(many, request_line) <= _probes(few, request_line) + 2


def test_as_many_hosts_take_as_many_probes():
    def ports(count: int) -> PortTable:
        return _counted(table(hosts={f"h{number}.example": [one] for number, one in enumerate(_many(count))}))

    for request in ("http://h3.example/app/3/a", "http://nobody.example/app/3/a"):
        assert _probes(ports(5000), request) <= _probes(ports(5), request)


def test_a_path_of_slashes_is_cut_to_what_is_configured():
    ports = _counted(table(route("r", match("/" + "a/" * 500 + "a"), match("/b"))))
    assert _probes(ports, "/" + "/" * 16000) < 1100
    assert _probes(ports, "/b" + "/" * 16000) < 1100


def _seconds(ports: PortTable, request: str) -> float:
    asked = head(request)
    tries = []
    for _ in range(3):
        began = time.process_time()
        winner(ports, asked)
        tries.append(time.process_time() - began)
    return min(tries)


@pytest.mark.parametrize("path", ["/" * 16000, "/a" * 8000, "/a/b" * 500 + "/" * 14000, "/" + "a" * 16000])
def test_long_paths_against_long_prefixes(path: str):
    ports = table(*[route(f"r{length}", match("/" + "/".join("a" * length))) for length in range(1, 400)])
    assert _seconds(ports, path) < 0.005


def test_long_hosts_of_many_labels():
    host = ".".join(["a"] * 127) + "x"
    ports = table(
        hosts={"*." + ".".join(["a"] * length) + "y": [route(f"r{length}", match())] for length in range(1, 100)}
    )
    assert _seconds(ports, f"http://{host}/") < 0.005


def test_expressions_of_users_take_linear_time():
    ports = table(route("r", match("~/(a+)+b"), match("~/(a|a)*c"), match("~/(.*)*d")))
    assert _seconds(ports, "/" + "a" * 16000) < 0.5


@pytest.mark.parametrize("told", [True, False])
def test_a_change_compiles_what_it_touches(told: bool):
    routes = {plan.key: plan for plan in _many(200)}
    attached = {f"h{number}": [plan] for number, plan in enumerate(routes.values())}
    other = route("other", match())
    routes[other.key] = other
    plan = port(listener("one", attached), listener("two", {"": [other]}, "two"))
    before = compile_port(plan, routes)
    assert compile_port(plan, routes, before, set() if told else None) is before
    new = route("r7", match("/new"))
    after = compile_port(plan, {**routes, new.key: new}, before, {new.key} if told else None)
    one, old = after.listener(b"h7"), before.listener(b"h7")
    assert one is not None
    assert old is not None
    assert after.listener(b"two") is before.listener(b"two")
    assert [host for host, paths in one.hosts.exact.items() if paths is not old.hosts.exact[host]] == [b"h7"]
    assert one.routes["HTTPRoute/ns/r8"] is old.routes["HTTPRoute/ns/r8"]
    found = winner(after, head("http://h7/new"))
    assert found is not None
    assert found.route is new
    assert winner(before, head("http://h7/new")) is None
