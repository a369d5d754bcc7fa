"""Which rule takes a request, by tables: each is (tables of routes, requests and their answers)."""

from __future__ import annotations

import pytest

from gatewayd.routing.snapshot import RoutePlan
from gatewayd.routing.table import PortTable
from tests.routing.plans import answer, head, match, route, table, winner

EXACT = table(route("r", match("=/one"), match("=/two")))
PREFIX = table(
    route(
        "r",
        [match("/"), match("/", headers="version=one")],
        [match("/v2"), match("/", headers="version=two")],
    )
)
_FIRST = route("first", [match("/"), match("/", headers="version=one")])
_SECOND = route("second", [match("/v2"), match("/", headers="version=two")])
ACROSS = table(hosts={"example.com": [_FIRST, _SECOND], "example.net": [_FIRST]})
ORDER = table(
    route(
        "r",
        match("=/match"),
        match("=/match/exact"),
        match("=/match/exact/one"),
        match("/match"),
        match("/match/prefix"),
        match("/match/prefix/one"),
    )
)
RANKS = table(
    route(
        "r",
        match("/a"),
        match("~/a/[a-z]+"),
        match("=/a/b"),
        match("/a/b/c"),
        match("~/a/.*", method="PUT"),
        match("~/a/b|/x"),
        match("~/cut"),
    )
)
HEADERS = table(
    route(
        "r",
        match(headers="version=one"),
        match(headers="version=two"),
        match(headers="version=two color=orange"),
        [match(headers="color=blue"), match(headers="color=green")],
        [match(headers="color=red"), match(headers="color=yellow")],
        match("/re", headers="version~[0-9]+"),
        match("/forwarded", headers="x-forwarded-for=1.2.3.4"),
        match("/host", headers="host=h:80"),
        match("/twice", headers="version=two version=one"),
    )
)
METHODS = table(
    route(
        "r",
        match("/", "POST"),
        match("/", "GET"),
        match("/path1", "GET"),
        match("/", "PUT", "version=one"),
        match("/path2", "POST", "version=two"),
        [match("/path3", "PATCH"), match("/path4", "DELETE", "version=three")],
        match("/path5"),
        match("/", "PATCH"),
        match("/", headers="version=four"),
    )
)
QUERIES = table(
    route(
        "r",
        match(query="animal=whale"),
        match(query="animal=dolphin"),
        [match(query="animal=dolphin color=blue"), match(query="ANIMAL=Whale")],
        match("/path1", query="animal=whale"),
        match("/", headers="version=one", query="animal=whale"),
        match("/path3", query="animal=shark"),
        match("/path4", headers="version=three", query="animal=kraken"),
        match("/re", query="animal~[a-m]+"),
        match("/odd", query="a%20b=c"),
        match("/plus", query="a=x+y"),
    )
)

CASES: list[tuple[PortTable, str, list[str], str]] = [
    (EXACT, "/one", [], "r/0"),
    (EXACT, "/two", [], "r/1"),
    (EXACT, "/", [], "404"),
    (EXACT, "/one/example", [], "404"),
    (EXACT, "/two/", [], "404"),
    (EXACT, "/Two", [], "404"),
    (EXACT, "/one?x", [], "r/0"),
    (EXACT, "/%6fne", [], "r/0"),
    (EXACT, "/x/../one", [], "r/0"),
    (EXACT, "//one", [], "404"),
    (PREFIX, "/", [], "r/0"),
    (PREFIX, "/example", [], "r/0"),
    (PREFIX, "/", ["version: one"], "r/0"),
    (PREFIX, "/v2", [], "r/1"),
    (PREFIX, "/v2/example", [], "r/1"),
    (PREFIX, "/", ["version: two"], "r/1"),
    (PREFIX, "/v2/", [], "r/1"),
    (PREFIX, "/v2example", [], "r/0"),
    (PREFIX, "/foo/v2/example", [], "r/0"),
    (PREFIX, "/v2?x=/", [], "r/1"),
    (PREFIX, "/v2%2Fx", [], "r/0"),
    (PREFIX, "/v2;x", [], "r/0"),
    (PREFIX, "/v2//", [], "r/1"),
    (PREFIX, "//v2", [], "r/0"),
    (PREFIX, "/v2/../x", [], "r/0"),
    (ACROSS, "http://example.com/", [], "first/0"),
    (ACROSS, "http://example.com/example", [], "first/0"),
    (ACROSS, "http://example.net/example", [], "first/0"),
    (ACROSS, "http://example.com/example", ["version: one"], "first/0"),
    (ACROSS, "http://example.com/v2", [], "second/0"),
    (ACROSS, "http://example.com/v2/example", [], "second/0"),
    (ACROSS, "http://example.net/v2", [], "first/0"),
    (ACROSS, "http://example.com/", ["version: two"], "second/0"),
    (ACROSS, "http://example.org/", [], "404"),
    (ORDER, "/match/exact/one", [], "r/2"),
    (ORDER, "/match/exact", [], "r/1"),
    (ORDER, "/match", [], "r/0"),
    (ORDER, "/match/prefix/one/any", [], "r/5"),
    (ORDER, "/match/prefix/any", [], "r/4"),
    (ORDER, "/match/any", [], "r/3"),
    (ORDER, "/matchless", [], "404"),
    (RANKS, "/a/b", [], "r/2"),
    (RANKS, "/a/c", [], "r/1"),
    (RANKS, "/a/b/c", [], "r/3"),
    (RANKS, "PUT http://h/a/b/c", [], "r/4"),
    (RANKS, "/a/B", [], "r/0"),
    (RANKS, "/a", [], "r/0"),
    (RANKS, "/x", [], "r/5"),
    (RANKS, "/cut", [], "r/6"),
    (RANKS, "/cutlery", [], "404"),
    (RANKS, "/x/cut", [], "404"),
    (HEADERS, "/", ["Version: one"], "r/0"),
    (HEADERS, "/", ["version: two"], "r/1"),
    (HEADERS, "/", ["version: two", "COLOR: orange"], "r/2"),
    (HEADERS, "/", ["version: two", "color: blue"], "r/1"),
    (HEADERS, "/", ["color: orange"], "404"),
    (HEADERS, "/", ["some-other: one"], "404"),
    (HEADERS, "/", ["color: blue"], "r/3"),
    (HEADERS, "/", ["color: green"], "r/3"),
    (HEADERS, "/", ["color: red"], "r/4"),
    (HEADERS, "/", ["color: yellow"], "r/4"),
    (HEADERS, "/", ["color: purple"], "404"),
    (HEADERS, "/", ["color: Blue"], "404"),
    (HEADERS, "/", ["color:\t blue \t"], "r/3"),
    (HEADERS, "/", ["color: blue", "color: blue"], "404"),
    (HEADERS, "/re", ["version: 12"], "r/5"),
    (HEADERS, "/re", ["version: 12x"], "404"),
    (HEADERS, "/re", ["version: 1", "version: 2"], "404"),
    (HEADERS, "/forwarded", ["X-Forwarded-For: 1.2.3.4"], "404"),
    (HEADERS, "http://h:80/host", [], "r/7"),
    (HEADERS, "http://h/host", [], "404"),
    (HEADERS, "/twice", ["version: two"], "r/8"),
    (HEADERS, "/twice", ["version: one"], "r/0"),
    (METHODS, "POST http://h/", [], "r/0"),
    (METHODS, "/", [], "r/1"),
    (METHODS, "HEAD http://h/", [], "404"),
    (METHODS, "post http://h/", [], "404"),
    (METHODS, "/path1", [], "r/2"),
    (METHODS, "PUT http://h/", ["version: one"], "r/3"),
    (METHODS, "POST http://h/path2", ["version: two"], "r/4"),
    (METHODS, "POST http://h/path2", [], "r/0"),
    (METHODS, "PATCH http://h/path3", [], "r/5"),
    (METHODS, "DELETE http://h/path4", ["version: three"], "r/5"),
    (METHODS, "PUT http://h/", [], "404"),
    (METHODS, "DELETE http://h/path4", [], "404"),
    (METHODS, "PATCH http://h/path5", [], "r/6"),
    (METHODS, "PATCH http://h/", ["version: four"], "r/7"),
    (METHODS, "HEAD http://h/", ["version: four"], "r/8"),
    (METHODS, "OPTIONS http://h/path5", [], "r/6"),
    (QUERIES, "/?animal=whale", [], "r/0"),
    (QUERIES, "/?animal=dolphin", [], "r/1"),
    (QUERIES, "/?animal=dolphin&color=blue", [], "r/2"),
    (QUERIES, "/?color=blue&animal=dolphin", [], "r/2"),
    (QUERIES, "/?ANIMAL=Whale", [], "r/2"),
    (QUERIES, "/?animal=whale&otherparam=irrelevant", [], "r/0"),
    (QUERIES, "/?animal=dolphin&color=yellow", [], "r/1"),
    (QUERIES, "/?color=blue", [], "404"),
    (QUERIES, "/?animal=dog", [], "404"),
    (QUERIES, "/?animal=whaledolphin", [], "404"),
    (QUERIES, "/?animal=Whale", [], "404"),
    (QUERIES, "/?Animal=whale", [], "404"),
    (QUERIES, "/", [], "404"),
    (QUERIES, "/?animal=whale&animal=dolphin", [], "r/0"),
    (QUERIES, "/?animal=dog&animal=whale", [], "404"),
    (QUERIES, "/?%61nimal=%77hale", [], "r/0"),
    (QUERIES, "/path1?animal=whale", [], "r/3"),
    (QUERIES, "/?animal=whale", ["version: one"], "r/4"),
    (QUERIES, "/path3?animal=shark", [], "r/5"),
    (QUERIES, "/path4?animal=kraken", ["version: three"], "r/6"),
    (QUERIES, "/?animal=shark", [], "404"),
    (QUERIES, "/path4?animal=kraken", [], "404"),
    (QUERIES, "/re?animal=deal", [], "r/7"),
    (QUERIES, "/re?animal=deals", [], "404"),
    (QUERIES, "/odd?a%2520b=c", [], "r/8"),
    (QUERIES, "/plus?a=x%2By", [], "r/9"),
    (QUERIES, "/plus?a=x+y", [], "404"),
]


@pytest.mark.parametrize(("ports", "request_line", "fields", "expected"), CASES)
def test_who_takes_it(ports: PortTable, request_line: str, fields: list[str], expected: str):
    assert answer(ports, request_line, *fields) == expected


def test_the_asterisk_is_below_no_path():
    asked = head("/")
    asked.method, asked.path = b"OPTIONS", b"*"
    for ports in (table(route("r", match("/"))), table(route("r", match("/a/b"))), table(route("r", match("=/")))):
        assert winner(ports, asked) is None


TIES = [  # routes in the order of the files, name of the one that wins
    (
        "the oldest",
        [route("b", match(), created="2024-01-02T00:00:00Z"), route("c", match(), created="2024-01-01T00:00:00Z")],
        "c",
    ),
    ("a dated one before an undated", [route("a", match()), route("b", match(), created="2024-01-01T00:00:00Z")], "b"),
    ("the first by name", [route("b", match()), route("a", match())], "a"),
    ("namespace before name", [route("a", match(), namespace="y"), route("b", match(), namespace="x")], "b"),
    ("the same age, the first by name", [route(name, match(), created="2024-01-01T00:00:00Z") for name in "ba"], "a"),
    ("a method before a header", [route("a", match(headers="x=1")), route("b", match(method="GET"))], "b"),
    (
        "two headers before one",
        [route("a", match(headers="x=1", query="q=1")), route("b", match(headers="x=1 y=2"))],
        "b",
    ),
    ("a header before queries", [route("a", match(query="q=1 r=2")), route("b", match(headers="x=1"))], "b"),
    ("two queries before one", [route("a", match(query="q=1")), route("b", match(query="q=1 r=2"))], "b"),
    ("a repeated header counts once", [route("a", match(headers="x=1")), route("b", match(headers="x=1 x=1"))], "a"),
    ("a query before age", [route("a", match(), created="2000-01-01T00:00:00Z"), route("b", match(query="q=1"))], "b"),
    ("a longer path before a method", [route("a", match("/", "GET")), route("b", match("/p"))], "b"),
    ("exact before headers", [route("a", match("/p", headers="x=1 y=2")), route("b", match("=/p"))], "b"),
    ("an expression before a prefix", [route("a", match("/p", "GET")), route("b", match("~/."))], "b"),
    ("exact before an expression", [route("a", match("~/p|/longer", "GET")), route("b", match("=/p"))], "b"),
    ("the longer expression", [route("a", match("~/.", "GET")), route("b", match("~/p.*"))], "b"),
]


@pytest.mark.parametrize(("routes", "expected"), [row[1:] for row in TIES], ids=[row[0] for row in TIES])
def test_who_goes_first(routes: list[RoutePlan], expected: str):
    for order in (routes, routes[::-1]):
        found = winner(table(*order), head("/p?q=1&r=2", "x: 1", "y: 2"))
        assert found is not None
        assert found.route.name == expected


def test_the_first_rule_and_the_first_match_win_a_tie():
    ports = table(route("r", [match("/a"), match("/a")], match("/a")))
    found = winner(ports, head("/a"))
    assert found is not None
    assert (found.rule.plan.index, found.index) == (0, 0)
