"""The stand-in for a cluster: it must refuse, default and count as an API server does. Needs neither Go nor root."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.report import passed, results, table
from tests.conformance.standin import http, selectors
from tests.conformance.standin.api import Api
from tests.conformance.standin.deployments import Deployments
from tests.conformance.standin.dns import reply
from tests.conformance.standin.files import Mirror
from tests.conformance.standin.http import Request
from tests.conformance.standin.kinds import Kinds
from tests.conformance.standin.pod import listens
from tests.conformance.standin.refusal import Refusal
from tests.conformance.standin.schema import default, prune, validate
from tests.conformance.standin.slices import Slices
from tests.conformance.standin.store import Store, merge

GROUP = "gateway.networking.k8s.io"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROUTE_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        "spec": {
            "type": "object",
            "properties": {
                "parentRefs": {
                    "type": "array",
                    "maxItems": 2,
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {
                            "name": {"type": "string", "minLength": 1},
                            "kind": {"type": "string", "default": "Gateway", "pattern": "^[a-zA-Z]+$"},
                            "group": {"type": "string", "default": GROUP},
                            "port": {"type": "integer", "minimum": 1, "maximum": 65535},
                        },
                    },
                },
                "rules": {
                    "type": "array",
                    "default": [{"matches": [{"path": {"type": "PathPrefix", "value": "/"}}]}],
                    "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
                "hostnames": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            },
        },
        "status": {"type": "object", "default": {"parents": []}},
    },
}


def definition(plural: str, kind: str, *versions: str) -> dict[str, Any]:
    return {
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [
                {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": ROUTE_SCHEMA}}
                for name in versions
            ],
        },
    }


KINDS = Kinds([definition("httproutes", "HTTPRoute", "v1", "v1beta1")])
ROUTES = KINDS.by_name[GROUP, "HTTPRoute"]
SERVICES = KINDS.by_name["", "Service"]
NAMESPACES = KINDS.by_name["", "Namespace"]
PODS = KINDS.by_name["", "Pod"]
SLICES = KINDS.by_name["discovery.k8s.io", "EndpointSlice"]
DEPLOYMENTS = KINDS.by_name["apps", "Deployment"]


def route(name: str = "cart", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"parentRefs": [{"name": "web"}], **spec}}


@pytest.fixture
def store() -> Store:
    made = Store(lambda: NOW)
    made.create(NAMESPACES, "v1", "", {"metadata": {"name": "shop"}})
    return made


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


class Reported:
    def __init__(self) -> None:
        self.by_uid: dict[str, dict[str, Any]] = {}

    async def read(self) -> dict[str, dict[str, Any]]:
        return self.by_uid


def ask(api: Api, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str) -> Any:
    request = Request(method, tuple(path.strip("/").split("/")), query, kind, body)
    response = asyncio.run(api.answer(request))
    return response.code, response.body


def test_the_api_shows_what_the_gateway_reports_and_nothing_of_its_own(store: Store):
    reported = Reported()
    api = Api(KINDS, store, reported, lambda *_: "")
    path = f"apis/{GROUP}/v1/namespaces/shop/httproutes"
    code, made = ask(api, "POST", path, {**route(), "status": {"parents": [{"made": "up"}]}})
    assert code == 201
    assert "status" not in ask(api, "GET", f"{path}/cart")[1]
    reported.by_uid[made["metadata"]["uid"]] = {"parents": []}
    assert ask(api, "GET", f"{path}/cart")[1]["status"] == {"parents": []}
    assert ask(api, "GET", path)[1]["items"][0]["status"] == {"parents": []}
    assert ask(api, "DELETE", f"{path}/cart")[0] == 200
    ask(api, "POST", path, route())
    assert "status" not in ask(api, "GET", f"{path}/cart")[1]


def test_one_object_in_every_served_version(store: Store):
    api = Api(KINDS, store, Reported(), lambda *_: "")
    ask(api, "POST", f"apis/{GROUP}/v1beta1/namespaces/shop/httproutes", route())
    for version in ("v1", "v1beta1"):
        shown = ask(api, "GET", f"apis/{GROUP}/{version}/namespaces/shop/httproutes/cart")[1]
        assert shown["apiVersion"] == f"{GROUP}/{version}"
    assert store.get(ROUTES, "shop", "cart")["apiVersion"] == f"{GROUP}/v1"


@pytest.mark.parametrize(
    ("method", "path", "kind", "code"),
    [
        ("GET", "apis/nobody/v1/things", "", 404),
        ("GET", f"apis/{GROUP}/v2/httproutes", "", 404),
        ("GET", "api/v1/namespaces/shop/services/none", "", 404),
        ("PUT", "api/v1/namespaces/shop/services", "", 405),
        ("PATCH", "api/v1/namespaces/shop", "application/json-patch+json", 415),
        ("POST", "api/v1/namespaces/shop/services", "", 400),
    ],
)
def test_what_the_api_does_not_serve(store: Store, method: str, path: str, kind: str, code: int):
    api = Api(KINDS, store, Reported(), lambda *_: "")
    assert ask(api, method, path, None, kind)[0] == code


def test_discovery_names_groups_versions_and_kinds(store: Store):
    api = Api(KINDS, store, Reported(), lambda *_: "")
    group = next(one for one in ask(api, "GET", "apis")[1]["groups"] if one["name"] == GROUP)
    assert [one["version"] for one in group["versions"]] == ["v1", "v1beta1"]
    resources = ask(api, "GET", f"apis/{GROUP}/v1")[1]["resources"]
    assert [(one["name"], one["kind"], one["namespaced"]) for one in resources] == [("httproutes", "HTTPRoute", True)]


def test_lists_take_selectors(store: Store):
    api = Api(KINDS, store, Reported(), lambda *_: "")
    for name, app in (("a", "x"), ("b", "y")):
        ask(api, "POST", "api/v1/namespaces/shop/configmaps", {"metadata": {"name": name, "labels": {"app": app}}})
    listed = ask(api, "GET", "api/v1/configmaps", labelSelector="app=y")[1]["items"]
    assert [one["metadata"]["name"] for one in listed] == ["b"]


PROGRAM = """
import os, socket, sys, time
server = socket.create_server((os.environ["POD_IP"], 3000))
print("serving as", os.environ["POD_NAME"], open(os.environ["KEY"]).read(), flush=True)
time.sleep(600)
"""


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_deployment_is_processes_with_addresses_volumes_and_logs(store: Store, tmp_path: Path):
    asyncio.run(deploy(store, tmp_path))


async def deploy(store: Store, directory: Path) -> None:
    program = directory / "program.py"
    program.write_text(PROGRAM)
    pods = Deployments(KINDS, store, directory, {"echo": ("python3", str(program))}, "127.89")
    mount = {"name": "keys", "mountPath": "/etc/keys"}
    container = {
        "name": "c",
        "image": "registry/echo:1",
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "KEY", "value": "/etc/keys/key"},
        ],
        "volumeMounts": [mount],
    }
    volume = {"name": "keys", "secret": {"secretName": "s", "items": [{"key": "tls.key", "path": "key"}]}}
    template = {"metadata": {"labels": {"app": "c"}}, "spec": {"containers": [container], "volumes": [volume]}}
    deployment = {"metadata": {"name": "cart-v1"}, "spec": {"replicas": 2, "template": template}}
    store.create(DEPLOYMENTS, "v1", "shop", deployment)
    try:
        made = list(store.of(PODS))
        names = [one["metadata"]["name"] for one in made]
        assert [name.rsplit("-", 2)[0] for name in names] == ["cart-v1", "cart-v1"]
        assert {one["status"]["phase"] for one in made} == {"Pending"}  # the Secret is not there yet
        secret = {"metadata": {"name": "s"}, "stringData": {"tls.key": "K"}}
        store.create(KINDS.by_name["", "Secret"], "v1", "shop", secret)
        await until(lambda: all(one["status"]["phase"] == "Running" for one in store.of(PODS)))
        addresses = [one["status"]["podIP"] for one in store.of(PODS)]
        assert len(set(addresses)) == 2
        assert all(listens(address) for address in addresses)
        assert pods.logs("shop", names[0], None) == f"serving as {names[0]} K\n"
        assert pods.logs("shop", names[0], datetime.now(UTC) + timedelta(hours=1)) == ""
        store.delete(DEPLOYMENTS, "shop", "cart-v1")
        assert not list(store.of(PODS))
        await until(lambda: not any(listens(address) for address in addresses))
    finally:
        await pods.stop()


def test_the_server_speaks_http(store: Store):
    async def converse() -> tuple[Any, int]:
        server = await http.serve("127.0.0.1", 0, Api(KINDS, store, Reported(), lambda *_: "").answer)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api/v1/namespaces/shop"

        def fetch() -> tuple[Any, int]:
            with urllib.request.urlopen(url) as response:
                found = json.load(response)
            try:
                urllib.request.urlopen(url + "x")
            except urllib.error.HTTPError as error:
                with error:
                    return found, error.code
            return found, 200

        try:
            return await asyncio.to_thread(fetch)
        finally:
            server.close()
            await server.wait_closed()

    found, code = asyncio.run(converse())
    assert found["metadata"]["name"] == "shop"
    assert code == 404


def test_dns_answers_questions_only():
    query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03foo\x03bar\x00\x00\x01\x00\x01"
    answer = reply(query)
    assert answer is not None
    assert answer[:4] == b"\x12\x34\x81\x80"
    assert answer[12:] == query[12:]
    assert reply(answer) is None
    assert reply(b"short") is None


def test_results_and_table():
    listing = {
        "tests": [
            {"name": "HTTPRouteWeight", "features": ["Gateway", "HTTPRoute"], "provisional": False},
            {"name": "MeshBasic", "features": ["Mesh"], "provisional": False},
            {"name": "TCPRouteWeight", "features": ["TCPRoute"], "provisional": True},
            {"name": "NotRun", "features": [], "provisional": False},
        ]
    }
    lines = [
        "--- FAIL: TestConformance (1.00s)",
        "    --- PASS: TestConformance/HTTPRouteWeight (0.20s)",
        "        --- PASS: TestConformance/HTTPRouteWeight/Requests_have_weights (1.20s)",
        "    --- FAIL: TestConformance/TCPRouteWeight (2.00s)",
        "        --- FAIL: TestConformance/TCPRouteWeight/part_one (2.00s)",
        "    --- SKIP: TestConformance/MeshBasic (0.00s)",
    ]
    found = results(listing, lines)
    assert [(one.name, one.outcome, one.failed_parts) for one in found] == [
        ("HTTPRouteWeight", "passed", ()),
        ("MeshBasic", "skipped", ()),
        ("TCPRouteWeight", "failed", ("part_one",)),
    ]
    text = table(found, suite="v1", gateway="0", date="2026-01-01")
    assert "1 passed, 1 failed, 1 skipped" in text
    assert "| HTTPRouteWeight | Gateway, HTTPRoute | passed | 1.2 |" in text
    assert passed(text) == ("HTTPRouteWeight",)
