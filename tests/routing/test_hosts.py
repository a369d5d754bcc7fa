from __future__ import annotations

import pytest

from gatewayd.routing.hosts import HostTable
from gatewayd.routing.table import compile_port
from tests.routing.plans import answer, head, listener, match, port, route, table, winner

HOSTS = HostTable({host: host for host in (b"a.b", b"*.b", b"*.a.b", b"*.x.y.z", b"", b"c")})
FINDS = [  # host, the pattern that takes it, all that fit in order
    (b"a.b", b"a.b", [b"a.b", b"*.b", b""]),
    (b"b", b"", [b""]),
    (b"x.b", b"*.b", [b"*.b", b""]),
    (b"x.a.b", b"*.a.b", [b"*.a.b", b"*.b", b""]),
    (b"y.x.a.b", b"*.a.b", [b"*.a.b", b"*.b", b""]),
    (b"xa.b", b"*.b", [b"*.b", b""]),
    (b"x.y.z", b"", [b""]),
    (b"w.x.y.z", b"*.x.y.z", [b"*.x.y.z", b""]),
    (b"c", b"c", [b"c", b""]),
    (b"x.c", b"", [b""]),
    (b".b", b"", [b""]),
    (b"", b"", [b""]),
    (b"*.b", b"*.b", [b"*.b", b""]),
    (b"[::1]", b"", [b""]),
]


@pytest.mark.parametrize(("host", "expected", "fitting"), FINDS)
def test_the_most_specific_pattern(host: bytes, expected: bytes, fitting: list[bytes]):
    assert HOSTS.find(host) == expected
    assert list(HOSTS.each(host)) == fitting


def test_no_default_no_answer():
    hosts = HostTable({b"a": 1})
    assert hosts.find(b"b") is None
    assert list(hosts.each(b"b")) == []
    assert hosts.values() == [1]


ISOLATED = {name: route(name, match(f"/{name}")) for name in ("empty", "wildcard", "longer", "exact")}
ISOLATED_PORT = compile_port(
    port(
        listener("empty", {"": [ISOLATED["empty"]]}),
        listener("wildcard", {"*.example.com": [ISOLATED["wildcard"]]}, "*.example.com"),
        listener("longer", {"*.foo.example.com": [ISOLATED["longer"]]}, "*.foo.example.com"),
        listener("exact", {"abc.foo.example.com": [ISOLATED["exact"]]}, "abc.foo.example.com"),
    ),
    {plan.key: plan for plan in ISOLATED.values()},
)
OWNERS = {
    "bar.com": "empty",
    "bar.example.com": "wildcard",
    "bar.foo.example.com": "longer",
    "abc.foo.example.com": "exact",
    "ABC.foo.example.com:8080": "exact",
    "example.com": "empty",
    "foo.example.com": "wildcard",
    "x.abc.foo.example.com": "longer",
}


@pytest.mark.parametrize("path", ISOLATED)
@pytest.mark.parametrize(("host", "owner"), OWNERS.items())
def test_only_the_most_specific_listener_is_asked(host: str, owner: str, path: str):
    expected = f"{owner}/0" if path == owner else "404"
    assert answer(ISOLATED_PORT, f"http://{host}/{path}") == expected


LISTENED = [route(name, match()) for name in ("one", "two", "three")]
LISTENED_PORT = compile_port(
    port(
        listener("one", {"bar.com": [LISTENED[0]]}, "bar.com"),
        listener("two", {"foo.bar.com": [LISTENED[1]]}, "foo.bar.com"),
        listener("three", {"*.bar.com": [LISTENED[2]]}, "*.bar.com"),
        listener("four", {"*.foo.com": [LISTENED[2]]}, "*.foo.com"),
    ),
    {plan.key: plan for plan in LISTENED},
)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("bar.com", "one/0"),
        ("foo.bar.com", "two/0"),
        ("baz.bar.com", "three/0"),
        ("boo.bar.com", "three/0"),
        ("multiple.prefixes.bar.com", "three/0"),
        ("multiple.prefixes.foo.com", "three/0"),
        ("foo.com", "404"),
        ("no.matching.host", "404"),
    ],
)
def test_listeners_by_hostname(host: str, expected: str):
    assert answer(LISTENED_PORT, f"http://{host}/") == expected


FALL_THROUGH = table(
    hosts={
        "a.b.c": [route("exact", match("/exact"), match("/all", method="PUT"))],
        "*.b.c": [route("near", match("/near"), match("/all", headers="x=1"))],
        "*.c": [route("far", match("/far"), match("/near"))],
        "": [route("any", match("/all"), match("=/exact/1"))],
    }
)


@pytest.mark.parametrize(
    ("request_line", "fields", "expected"),
    [
        ("http://a.b.c/exact/1", [], "exact/0"),
        ("http://a.b.c/near", [], "near/0"),
        ("http://a.b.c/far", [], "far/0"),
        ("http://a.b.c/all", [], "any/0"),
        ("PUT http://a.b.c/all", ["x: 1"], "exact/1"),
        ("http://a.b.c/all", ["x: 1"], "near/1"),
        ("http://x.b.c/exact/1", [], "any/1"),
        ("http://x.c/near", [], "far/1"),
        ("http://b.c/near", [], "far/1"),
        ("http://c/far", [], "404"),
        ("http://a.b.c/none", [], "404"),
    ],
)
def test_within_a_listener_a_less_specific_host_may_still_take_it(request_line: str, fields: list[str], expected: str):
    assert answer(FALL_THROUGH, request_line, *fields) == expected


def test_an_owner_without_routes_takes_nothing():
    ports = compile_port(
        port(listener("one", {}, "a"), listener("two", {"": [LISTENED[0]]})), {LISTENED[0].key: LISTENED[0]}
    )
    assert ports.listener(b"a") is not None
    assert winner(ports, head("http://a/")) is None
    assert winner(ports, head("http://b/")) is not None
