"""gRPC calls: which match of a GRPCRoute takes them (Gateway API, GRPCRouteRule.matches)."""

from __future__ import annotations

import pytest

from gatewayd.routing.explain import explain
from gatewayd.routing.table import PortTable
from tests.routing.plans import answer, call, head, match, route, table

GRPC = "content-type: application/grpc"
CALLS = table(
    route("a", call("shop.Cart", "Add"), call("shop.Cart"), call(method="Add"), call(headers="v=2"), call("shop.Cat")),
    route("b", call("shop.Cart", "Add", headers="v=2"), call(method="Check", headers="v=2"), call(method="Check")),
)
BOTH = table(
    route("calls", call("shop.Cart", "Add"), call()),
    route("pages", match("=/shop.Cart/Add", "POST", "v=2"), match("=/shop.Cart/Get"), match("/")),
)

CASES = [  # table, path, fields, rule
    (CALLS, "/shop.Cart/Add", [GRPC], "a/0"),
    (CALLS, "/shop.Cart/Add", [GRPC, "v: 2"], "b/0"),  # more headers go first
    (CALLS, "/shop.Cart/Get", [GRPC, "v: 2"], "a/1"),  # a service goes before headers
    (CALLS, "/shop.Cart/Check", [GRPC], "a/1"),  # and before a method
    (CALLS, "/shop.CartX/Add", [GRPC, "v: 2"], "a/2"),  # a method goes before headers
    (CALLS, "/shop.CartX/Check", [GRPC, "v: 2"], "b/1"),
    (CALLS, "/shop.CartX/Check", [GRPC], "b/2"),
    (CALLS, "/shop.CartX/ReAdd", [GRPC, "v: 2"], "a/3"),
    (CALLS, "/shop.cart/add", [GRPC], "404"),  # names are case-sensitive
    (CALLS, "/x/y/Add", [GRPC], "404"),  # a path of three segments is no call
    (CALLS, "/Add", [GRPC], "404"),
    (CALLS, "//Add", [GRPC], "404"),
    (CALLS, "/shop.Cart/Add", ["content-type: application/grpc+proto"], "a/0"),
    (CALLS, "/shop.Cart/Add", ["content-type: application/grpc; charset=utf-8"], "a/0"),
    (CALLS, "/shop.Cart/Add", ["content-type: application/grpc-web"], "404"),
    (CALLS, "/shop.Cart/Add", ["content-type: application/json"], "404"),
    (CALLS, "/shop.Cart/Add", [], "404"),
    (BOTH, "/shop.Cart/Add", [GRPC, "v: 2"], "calls/0"),  # a call goes to the GRPCRoute
    (BOTH, "/shop.Cart/Add", ["v: 2"], "pages/0"),
    (BOTH, "/shop.Cart/Add", [], "pages/2"),
    (BOTH, "/shop.Cart/Get", [GRPC], "pages/1"),  # of the more specific path
    (BOTH, "/shop.Cart/Put", [GRPC], "calls/1"),
]


@pytest.mark.parametrize(("ports", "path", "fields", "expected"), CASES)
def test_who_takes_a_call(ports: PortTable, path: str, fields: list[str], expected: str):
    assert answer(ports, f"POST http://h{path}", *fields) == expected


def test_only_post_calls():
    assert answer(CALLS, "GET http://h/shop.Cart/Add", GRPC) == "404"


def test_what_differs():
    ports = table(route("a", call("shop.Cart"), call(method="Add"), call()))
    candidates = explain(ports, head("POST http://h/shop.Cart/Get", "content-type: application/grpc-web")).candidates
    assert [(one.match.rule.plan.index, one.step) for one in candidates] == [
        (0, "content-type (no gRPC)"),
        (1, "path"),
        (2, "content-type (no gRPC)"),
    ]
