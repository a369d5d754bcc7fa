"""Kinds and fields that are valid and not served yet: each says so in its status and in a problem."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner
from tests.plan.manifests import API, CART, document, gateway, http, route
from tests.plan.verdicts import holds
from tests.plan.yaml_objects import world

X = "gateway.networking.x-k8s.io/v1alpha1"
MESH = document(X, "XMesh", "mesh", spec={"controllerName": "gatewayd.dev/mesh"})
SET = document(API, "ListenerSet", "more", "shop", spec={"parentRef": {"name": "edge"}, "listeners": [http("a", 81)]})
KINDS = [
    (SET, "ListenerSet/shop/more", "Accepted=False/Invalid Programmed=False/Invalid"),
    (MESH, "XMesh//mesh", "Accepted=False/NotServed"),
]


@pytest.mark.parametrize(("text", "key", "expected"), KINDS)
def test_kind(text: str, key: str, expected: str) -> None:
    result = Planner().plan(world(gateway(), route(), CART, text), Options())
    status = result.statuses[key]
    assert holds(expected, status["conditions"])
    assert "not served yet" in status["conditions"][0]["message"]
    (problem,) = result.problems
    assert problem.object == key.replace("/", " ", 1).replace(" /", " ")
    assert set(result.snapshot.routes) == {"HTTPRoute/shop/cart"}  # the neighbours are served


def test_a_listener_set_of_nobody_has_no_status() -> None:
    text = SET.replace('"edge"', '"gone"')
    assert "ListenerSet/shop/more" not in Planner().plan(world(gateway(), text), Options()).statuses


FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"allowedListeners": {"namespaces": {"from": "All"}}}, "spec.allowedListeners"),
    ({"defaultScope": "All"}, "spec.defaultScope"),
    ({"tls": {"backend": {}}}, "spec.tls.backend"),
]


@pytest.mark.parametrize(("spec", "field"), FIELDS)
def test_fields_of_a_gateway(spec: dict[str, Any], field: str) -> None:
    result = Planner().plan(world(gateway("edge", **spec)), Options())
    conditions = result.statuses["Gateway/shop/edge"]["conditions"]
    assert holds("Accepted=True/Accepted gatewayd.dev/NotServed=True/UnsupportedField", conditions)
    assert [(one.field, one.severity) for one in result.problems] == [(field, "warning")]


def test_default_gateways_of_a_route() -> None:
    result = Planner().plan(world(gateway(), route(useDefaultGateways="All"), CART), Options())
    (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
    assert holds("Accepted=True/Accepted gatewayd.dev/NotServed=True/UnsupportedField", entry["conditions"])
    assert [one.field for one in result.problems] == ["spec.useDefaultGateways"]
