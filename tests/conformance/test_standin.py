"""The stand-in for a cluster: it must refuse, default and count as an API server does. Needs neither Go nor root."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.examples import GROUP, KINDS, NAMESPACES, PODS, ROUTES, SERVICES, SLICES, route
from tests.conformance.standin import selectors
from tests.conformance.standin.files import Mirror
from tests.conformance.standin.refusal import Refusal
from tests.conformance.standin.schema import default, prune, validate
from tests.conformance.standin.slices import Slices
from tests.conformance.standin.store import Store, merge


def test_a_new_object_has_an_identity_and_its_defaults(store: Store):
    made = store.create(ROUTES, "v1", "shop", route())
    assert made["apiVersion"] == f"{GROUP}/v1"
    assert made["metadata"] | {"uid": "", "resourceVersion": ""} == {
        "name": "cart",
        "namespace": "shop",
        "uid": "",
        "resourceVersion": "",
        "generation": 1,
        "creationTimestamp": "2026-01-02T03:04:05Z",
    }
    assert made["metadata"]["uid"]
    assert made["spec"]["parentRefs"] == [{"name": "web", "kind": "Gateway", "group": GROUP}]
    assert made["spec"]["rules"] == [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}]
    assert "status" not in made


def test_generation_counts_changes_of_the_spec_only(store: Store):
    made = store.create(ROUTES, "v1", "shop", route())
    labelled = store.patch(ROUTES, "v1", "shop", "cart", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["generation"] == 1
    changed = store.patch(ROUTES, "v1", "shop", "cart", {"spec": {"hostnames": ["a.example"]}})
    assert changed["metadata"]["generation"] == 2
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    again = store.patch(ROUTES, "v1", "shop", "cart", {"spec": {"hostnames": ["a.example"]}})
    assert again["metadata"]["resourceVersion"] == changed["metadata"]["resourceVersion"]


def test_an_update_of_an_old_version_is_a_conflict(store: Store):
    old = dict(store.create(ROUTES, "v1", "shop", route()))
    old["metadata"] = dict(old["metadata"])
    store.patch(ROUTES, "v1", "shop", "cart", {"spec": {"hostnames": ["a.example"]}})
    with pytest.raises(Refusal, match="has been modified") as refusal:
        store.update(ROUTES, "v1", "shop", old)
    assert (refusal.value.code, refusal.value.reason) == (409, "Conflict")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (route(parentRefs=[{"name": ""}]), "at least 1 length"),
        (route(parentRefs=[{}]), "parentRefs[0].name: required"),
        (route(parentRefs=[{"name": "a", "port": 70000}]), "at most 65535"),
        (route(parentRefs=[{"name": "a", "port": "80"}]), "type integer"),
        (route(parentRefs=[{"name": "a", "kind": "A\n"}]), "does not match"),
        (route(parentRefs=[{"name": name} for name in "abc"]), "at most 2 items"),
        (route(hostnames=["a.example", "a.example"]), "duplicate"),
        ({"metadata": {"name": "cart"}}, "spec: required"),
        (route("Upper"), "RFC 1123"),
        (route(rules=[{"matches": [{"path": {"type": "PathPrefix", "value": "no-slash"}}]}]), "path"),
    ],
)
def test_what_the_definition_refuses_is_refused(store: Store, value: dict[str, Any], says: str):
    with pytest.raises(Refusal) as refusal:
        store.create(ROUTES, "v1", "shop", value)
    assert refusal.value.code == 422
    assert says in str(refusal.value)
    assert not list(store.of(ROUTES))


def test_fields_that_the_schema_does_not_know_are_pruned(store: Store):
    assert "colour" not in store.create(ROUTES, "v1", "shop", route(colour="red"))["spec"]
    assert prune({"a": 1, "b": {"c": 2}}, {"properties": {"b": {}}}) == {"b": {"c": 2}}


def test_null_is_absent_unless_nullable():
    schema = {"properties": {"a": {"default": 1}, "b": {"nullable": True}}}
    assert default({"a": None, "b": None}, schema) == {"a": 1, "b": None}


def test_schemas_of_int_or_string_and_of_choices():
    assert not list(validate("10%", {"x-kubernetes-int-or-string": True}))
    assert list(validate(1.5, {"x-kubernetes-int-or-string": True}))
    assert list(validate(True, {"type": "integer"}))
    assert list(validate("c", {"enum": ["a", "b"]}))
    assert list(validate(5, {"oneOf": [{"minimum": 1}, {"minimum": 2}]}))
    by_name = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"]}
    assert not list(validate([{"n": 1}, {"n": 2}], by_name))
    assert list(validate([{"n": 1}, {"n": 1}], by_name))


def test_an_object_needs_its_namespace_and_goes_with_it(store: Store):
    with pytest.raises(Refusal, match="namespaces") as refusal:
        store.create(ROUTES, "v1", "elsewhere", route())
    assert refusal.value.code == 404
    store.create(ROUTES, "v1", "shop", route())
    store.delete(NAMESPACES, "", "shop")
    assert not list(store.of(ROUTES))


def test_a_name_exists_once(store: Store):
    store.create(ROUTES, "v1", "shop", route())
    with pytest.raises(Refusal) as refusal:
        store.create(ROUTES, "v1", "shop", route())
    assert (refusal.value.code, refusal.value.reason) == (409, "AlreadyExists")


@pytest.mark.parametrize(
    ("value", "patch", "result"),
    [  # RFC 7396, appendix A
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ([1], {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(value: Any, patch: Any, result: Any):
    assert merge(value, patch) == result


@pytest.mark.parametrize(
    ("text", "labels", "holds"),
    [
        ("", {}, True),
        ("a=b", {"a": "b"}, True),
        ("a==b,c!=d", {"a": "b", "c": "e"}, True),
        ("a=b,c!=d", {"a": "b", "c": "d"}, False),
        ("a in (b, c)", {"a": "c"}, True),
        ("a notin (b,c)", {"a": "c"}, False),
        ("a", {}, False),
        ("!a", {}, True),
    ],
)
def test_selectors(text: str, labels: dict[str, str], holds: bool):
    assert selectors.holds(selectors.parse(text), labels) is holds


def test_slices_follow_the_pods_that_a_service_selects(store: Store):
    Slices(KINDS, store)
    web = {"port": 80, "targetPort": "web", "name": "a", "appProtocol": "kubernetes.io/h2c"}
    spec = {"selector": {"app": "c"}, "ports": [web, {"port": 81, "name": "b"}]}
    store.create(SERVICES, "v1", "shop", {"metadata": {"name": "cart"}, "spec": spec})
    assert [one["endpoints"] for one in store.of(SLICES)] == [[]]
    container = {"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": 3000}]}
    metadata = {"name": "c-1", "labels": {"app": "c"}}
    store.create(PODS, "v1", "shop", {"metadata": metadata, "spec": {"containers": [container]}})
    status = {"podIP": "127.88.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
    store.set_status(PODS, "shop", "c-1", status)
    (made,) = store.of(SLICES)
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "cart"
    assert [(port["port"], port["name"], port.get("appProtocol")) for port in made["ports"]] == [
        (3000, "a", "kubernetes.io/h2c"),
        (81, "b", None),
    ]
    assert [(one["addresses"], one["conditions"]["ready"]) for one in made["endpoints"]] == [(["127.88.0.1"], True)]
    store.delete(PODS, "shop", "c-1")
    assert [one["endpoints"] for one in store.of(SLICES)] == [[]]
    store.delete(SERVICES, "shop", "cart")
    assert not list(store.of(SLICES))


def test_each_object_is_a_file_without_status(store: Store, tmp_path: Path):
    directory = tmp_path / "objects"
    directory.mkdir()
    store.listen(Mirror(directory))
    store.create(ROUTES, "v1", "shop", route("a" * 253))
    (path,) = directory.iterdir()
    written = yaml.safe_load(path.read_text())
    assert written["metadata"]["generation"] == 1
    assert "status" not in written
    store.delete(ROUTES, "shop", "a" * 253)
    assert not list(directory.iterdir())
