"""GatewayClass, parametersRef and GatewayConfig: what is served, with which settings."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.api.objects import Objects
from gatewayd.plan.build import Options, Planner, Result
from gatewayd.routing.snapshot import Settings
from tests.plan.manifests import CART, document, gateway, gateway_class, route
from tests.plan.verdicts import holds, short
from tests.plan.yaml_objects import parse, world

OURS = "gatewayd.dev/gateway-controller"
FOREIGN = "example.com/other"


def plan(*texts: str, **options: Any) -> Result:
    return Planner().plan(Objects([item for text in texts for item in parse(text)]), Options(**options))


def config(name: str, ns: str = "default", **spec: Any) -> str:
    return document("gatewayd.dev/v1alpha1", "GatewayConfig", name, ns, spec=spec)


def refer(name: str, group: str = "gatewayd.dev", kind: str = "GatewayConfig", **more: str) -> dict[str, Any]:
    return {"parametersRef": {"group": group, "kind": kind, "name": name, **more}}


SERVED = [
    (OURS, None, True),
    (FOREIGN, None, True),  # a cluster's own YAML runs unmodified
    (OURS, OURS, True),
    (FOREIGN, OURS, False),
    (FOREIGN, FOREIGN, True),
]


@pytest.mark.parametrize(("controller", "wanted", "served"), SERVED)
def test_which_classes_are_served(controller: str, wanted: str | None, served: bool) -> None:
    texts = [gateway_class("edge", controller), gateway("edge", of="edge"), route(), CART]
    result = plan(*texts, controller_name=wanted)
    assert set(result.snapshot.routes) == ({"HTTPRoute/shop/cart"} if served else set())
    assert bool(result.statuses) == served
    assert result.problems == []  # what belongs to another controller is no mistake
    if served:
        assert holds("Accepted=True/Accepted", result.statuses["GatewayClass//edge"]["conditions"])
        (entry,) = result.statuses["HTTPRoute/shop/cart"]["parents"]
        assert entry["controllerName"] == controller  # status is signed as the class says


def test_supported_features_are_sorted() -> None:
    """The suite reads them to infer what is claimed, and the API wants them in order."""
    result = plan(gateway_class("edge", OURS))
    names = [one["name"] for one in result.statuses["GatewayClass//edge"]["supportedFeatures"]]
    assert names == sorted(names)
    assert {"Gateway", "HTTPRoute", "ReferenceGrant", "TCPRoute"} <= set(names)
    assert len(names) <= 64


def test_a_gateway_without_its_class_is_not_served_and_says_what_to_write() -> None:
    texts = [gateway("edge", of="gone"), route(), CART]
    result = plan(*texts)
    assert result.statuses == {}
    assert result.snapshot.ports == {}
    (problem,) = [one for one in result.problems if one.object == "Gateway shop/edge"]
    fixed = plan(*texts, problem.hint.partition(": ")[2])
    assert fixed.problems == []
    assert set(fixed.snapshot.ports) == {":80"}


def test_another_controller_name_forgets_the_first() -> None:
    planner, objects = Planner(), world(gateway(), route(), CART)
    assert planner.plan(objects, Options()).snapshot.ports
    assert planner.plan(objects, Options(controller_name=FOREIGN)).snapshot.ports == {}
    assert planner.plan(objects, Options()).snapshot.ports


SETTINGS = [
    # (spec of the class, infrastructure of the Gateway, configs, key, settings)
    ({}, {}, [], "default", Settings()),
    (refer("a"), {}, [config("a", timeouts={"idle": "5s"})], "default/a", Settings(idle_timeout=5.0)),
    (
        refer("a", namespace="infra"),
        {},
        [config("a", "infra", limits={"head": "16Ki"})],
        "infra/a",
        Settings(head_bytes=16384),
    ),
    (  # the Gateway's own config stands in its namespace
        {},
        refer("a"),
        [config("a", "shop", trustedProxies=["10.0.0.0/8"])],
        "shop/a",
        Settings(trusted_proxies=("10.0.0.0/8",)),
    ),
    (  # and wins, field by field
        refer("a"),
        refer("b"),
        [
            config("a", timeouts={"idle": "5s", "connect": "1s"}),
            config("b", "shop", timeouts={"idle": "7s"}, accessLog={"enabled": False}),
        ],
        "default/a+shop/b",
        Settings(idle_timeout=7.0, connect_timeout=1.0, access_log=False),
    ),
]


@pytest.mark.parametrize(("spec", "infrastructure", "configs", "key", "expected"), SETTINGS)
def test_settings(
    spec: dict[str, Any], infrastructure: dict[str, Any], configs: list[str], key: str, expected: Settings
) -> None:
    body: dict[str, Any] = {"infrastructure": infrastructure} if infrastructure else {}
    result = plan(gateway_class("edge", OURS, **spec), gateway("edge", of="edge", **body), *configs)
    (listener,) = result.snapshot.ports[":80"].listeners
    assert listener.settings == key
    assert result.snapshot.settings[key] == expected
    assert result.snapshot.settings["default"] == Settings()
    assert result.problems == []


INVALID = [
    (OURS, refer("gone"), {}, "GatewayClass"),
    (OURS, refer("x", "x.io", "Widget"), {}, "GatewayClass"),
    (OURS, {}, refer("gone"), "Gateway"),
    (OURS, {}, refer("x", "x.io", "Widget"), "Gateway"),
    (FOREIGN, refer("gone"), {}, "GatewayClass"),
    (FOREIGN, refer("x", kind="GatewayConfi"), {}, "GatewayClass"),  # our group: a slip, and nobody else's parameters
]


@pytest.mark.parametrize(("controller", "spec", "infrastructure", "culprit"), INVALID)
def test_parameters_that_cannot_be_found(
    controller: str, spec: dict[str, Any], infrastructure: dict[str, Any], culprit: str
) -> None:
    """InvalidParameters: the limits that somebody asked for are not replaced by others in silence."""
    body: dict[str, Any] = {"infrastructure": infrastructure} if infrastructure else {}
    texts = [gateway_class("edge", controller, **spec), gateway("edge", of="edge", **body)]
    result = plan(*texts)
    conditions = result.statuses["Gateway/shop/edge"]["conditions"]
    assert holds("Accepted=False/InvalidParameters Programmed=False/Invalid", conditions), short(conditions)
    accepted = short(result.statuses["GatewayClass//edge"]["conditions"])["Accepted"]
    assert accepted == ("False/InvalidParameters" if culprit == "GatewayClass" else "True/Accepted")
    assert [one.object.split()[0] for one in result.problems] == [culprit]


FOREIGN_PARAMETERS = [(refer("x", "x.io", "Proxy"), {}), ({}, refer("x", "x.io", "Proxy"))]


@pytest.mark.parametrize(("spec", "infrastructure"), FOREIGN_PARAMETERS)
def test_parameters_of_another_controller_are_left_alone(spec: dict[str, Any], infrastructure: dict[str, Any]) -> None:
    """A cluster's own YAML names the parameters of the controller that it was written for."""
    body: dict[str, Any] = {"infrastructure": infrastructure} if infrastructure else {}
    result = plan(gateway_class("edge", FOREIGN, **spec), gateway("edge", of="edge", **body))
    assert set(result.snapshot.ports) == {":80"}
    assert [one.severity for one in result.problems] == ["warning"]


def test_conditions_repeat_the_generation_of_their_object() -> None:
    """observedGeneration is metadata.generation: a status for an older one counts as stale."""
    texts = [gateway_class("edge", OURS), gateway("edge", of="edge"), route()]
    numbered = [text.replace('"name":', f'"generation": {number}, "name":', 1) for number, text in enumerate(texts, 4)]
    statuses = plan(*numbered, CART).statuses
    own = statuses["Gateway/shop/edge"]
    entries = {
        4: statuses["GatewayClass//edge"]["conditions"],
        5: [*own["conditions"], *own["listeners"][0]["conditions"]],
        6: statuses["HTTPRoute/shop/cart"]["parents"][0]["conditions"],
    }
    for number, conditions in entries.items():
        assert {one["observedGeneration"] for one in conditions} == {number}


def keyed(name: str, ns: str = "shop") -> str:
    return config("keyed", ns, sessions={"keySecretRef": {"name": name}})


def secret(ns: str = "shop", **data: str) -> str:
    return document("v1", "Secret", "session-key", ns, stringData=data)


LONG = "0123456789abcdef"
KEYS = [
    # (documents, what is said where it is of no use)
    ([keyed("session-key"), secret(key=LONG)], ""),
    ([keyed("session-key"), secret(key=LONG * 20)], ""),
    ([keyed("gone")], "Secret shop/gone of spec.sessions.keySecretRef of GatewayConfig shop/keyed does not exist"),
    ([keyed("session-key"), secret(ns="other", key=LONG)], "does not exist"),
    ([keyed("session-key"), secret(key=LONG[1:])], "has no value `key` of 16 bytes or more"),
    ([keyed("session-key"), secret(token=LONG)], "has no value `key` of 16 bytes or more"),
]


@pytest.mark.parametrize(("documents", "message"), KEYS)
def test_the_key_of_sessions(documents: list[str], message: str) -> None:
    """Nothing is served without the key that is asked for: it would be with tokens that anybody can make."""
    result = plan(gateway_class("gatewayd", OURS), gateway("edge", infrastructure=refer("keyed")), *documents)
    keys = {settings.session_key for settings in result.snapshot.settings.values()} - {b""}
    assert (len(keys), bool(result.snapshot.ports)) == ((0, False) if message else (1, True))
    assert all(len(key) == 32 and LONG.encode() not in key for key in keys)
    assert [message in problem.message for problem in result.problems] == ([True] if message else [])


def test_the_key_of_the_gateway_goes_before_that_of_its_class() -> None:
    def key(*names: str) -> bytes:
        outer = refer("keyed") if "class" in names else {}
        inner: dict[str, Any] = {"infrastructure": refer("keyed")} if "gateway" in names else {}
        documents = [keyed("session-key", ns) for ns in ("default", "shop")]
        documents += [secret("default", key=LONG), secret("shop", key=LONG.upper())]
        result = plan(gateway_class("gatewayd", OURS, **outer), gateway("edge", **inner), *documents)
        (listener,) = result.snapshot.ports[":80"].listeners
        return result.snapshot.settings[listener.settings].session_key

    assert key() == b""
    assert key("class", "gateway") == key("gateway") != key("class") != b""


def test_a_key_that_changes_is_followed() -> None:
    planner = Planner()
    documents = [gateway_class("gatewayd", OURS), gateway("edge", infrastructure=refer("keyed")), keyed("session-key")]
    found = []
    for value in (LONG, LONG.upper()):
        objects = Objects([item for text in (*documents, secret(key=value)) for item in parse(text)])
        found.append(planner.plan(objects, Options()).snapshot.settings["shop/keyed"].session_key)
    assert found[0] != found[1]
