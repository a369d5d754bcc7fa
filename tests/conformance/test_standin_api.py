"""The stand-in for a cluster as its clients see it: its API, pods, names, and what is made of the results."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.examples import (
    DEPLOYMENTS,
    GROUP,
    KINDS,
    PODS,
    ROUTES,
    route,
)
from tests.conformance.report import passed, results, table
from tests.conformance.standin import http
from tests.conformance.standin.api import Api
from tests.conformance.standin.deployments import Deployments
from tests.conformance.standin.dns import reply
from tests.conformance.standin.http import Request
from tests.conformance.standin.pod import listens
from tests.conformance.standin.store import Store


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
            {"name": "HTTPRouteWeight", "features": ["Gateway", "HTTPRoute"]},
            {"name": "MeshBasic", "features": ["Mesh"]},
            {"name": "TCPRouteWeight", "features": ["TCPRoute"]},
            {"name": "NotRun", "features": []},
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
