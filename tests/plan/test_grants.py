"""ReferenceGrant (GEP-709): one grant must name both ends; grants never add up."""

from __future__ import annotations

import pytest

from gatewayd.plan.build import Options, Planner
from tests.plan.manifests import API, backend, document, gateway, grant, route, rule, service
from tests.plan.verdicts import short
from tests.plan.yaml_objects import world

HTTP_ROUTE = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}
SERVICE = {"group": "", "kind": "Service"}

GRANTS = [
    ([grant()], True),  # without a name: every Service of the namespace
    ([grant(name="one") + grant(name="two", kind="Gateway")], True),
    ([grant(target="cart")], True),
    ([grant(target="other")], False),
    ([grant(ns="shop")], False),  # it must stand beside the target
    ([grant(kind="TCPRoute")], False),
    ([grant(of="elsewhere")], False),
    ([grant(to="Secret")], False),
    (  # two halves in two grants
        [grant("one", kind="TCPRoute"), grant("two", to="Secret")],
        False,
    ),
    (  # any pair of one grant is enough
        [
            document(
                API,
                "ReferenceGrant",
                "many",
                "stock",
                spec={
                    "from": [{**HTTP_ROUTE, "namespace": "elsewhere"}, {**HTTP_ROUTE, "namespace": "shop"}],
                    "to": [{"group": "", "kind": "Secret"}, {**SERVICE, "name": "cart"}],
                },
            )
        ],
        True,
    ),
    (  # the group of the referrer counts
        [
            document(
                API,
                "ReferenceGrant",
                "foreign",
                "stock",
                spec={"from": [{"group": "x.io", "kind": "HTTPRoute", "namespace": "shop"}], "to": [SERVICE]},
            )
        ],
        False,
    ),
]


@pytest.mark.parametrize(("grants", "permitted"), GRANTS)
def test_grant(grants: list[str], permitted: bool) -> None:
    texts = [gateway(), route("cart", rule(backend(namespace="stock"))), service(ns="stock"), *grants]
    result = Planner().plan(world(*texts), Options())
    (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
    expected = "True/ResolvedRefs" if permitted else "False/RefNotPermitted"
    assert short(entry["conditions"])["ResolvedRefs"] == expected


def test_a_missing_grant_says_what_to_write() -> None:
    """The hint is the grant: with it the reference is permitted."""
    texts = [gateway(), route("cart", rule(backend(namespace="stock"))), service(ns="stock")]
    (problem,) = Planner().plan(world(*texts), Options()).problems
    written = problem.hint.partition(": ")[2]
    result = Planner().plan(world(*texts, written), Options())
    assert not [one for one in result.problems if one.severity == "error"]
