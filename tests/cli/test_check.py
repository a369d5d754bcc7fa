"""`gatewayd check`: every problem, with its place, its field and what to write instead."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gatewayd.cli import main

GOOD = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: gatewayd}
spec: {controllerName: gatewayd.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web}
spec:
  gatewayClassName: gatewayd
  listeners: [{name: http, port: 8080, protocol: HTTP}]
"""
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: shop
spec:
  parentRefs: [{name: web}]
  rules:
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD)
    return tmp_path


def check(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, list[str]]:
    code = main(["check", str(folder), *options])
    return code, capsys.readouterr().out.splitlines()


def test_clean(folder: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["check", str(folder)]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "2 objects in 1 file: no problems\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        pytest.param("kind: [HTTPRoute\n", 2, ["bad.yaml"], id="no YAML"),
        pytest.param("a: 1\na: 2\n", 2, ["a"], id="duplicate key"),
        pytest.param(
            ROUTE + "    - matches: [{path: {type: Prefix, value: /}}]\n",
            8,
            ["HTTPRoute default/shop", "spec.rules[0].matches[0].path.type", "PathPrefix"],
            id="unknown word",
        ),
        pytest.param(
            ROUTE + "    - matches:\n        - path: {value: cart}\n",
            9,
            ["HTTPRoute default/shop", "spec.rules[0].matches[0].path"],
            id="path without slash",
        ),
        pytest.param(
            ROUTE + "    - backendRefs: [{name: shop, port: 80, wieght: 3}]\n",
            8,
            ["HTTPRoute default/shop", "spec.rules[0].backendRefs[0]", "wieght"],
            id="unknown field",
        ),
        pytest.param(
            ROUTE + "    - backendRefs: [{name: nowhere, port: 80}]\n",
            8,
            ["HTTPRoute default/shop", "spec.rules[0].backendRefs[0]", "nowhere"],
            id="missing Service",
        ),
        pytest.param(
            ROUTE.replace("name: web", "name: other") + "    - {}\n",
            6,
            ["HTTPRoute default/shop", "other"],
            id="no parent",
        ),
    ],
)
def test_a_problem_has_place_object_field_and_remedy(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str, line: int, words: list[str]
):
    (folder / "bad.yaml").write_text(text)
    code, lines = check(folder, capsys)
    assert code == 1
    found = [
        said for said in lines if said.startswith(f"{folder}/bad.yaml:{line}: ") and all(word in said for word in words)
    ]
    assert found, lines


def test_all_problems_of_all_objects_are_reported_at_once(folder: Path, capsys: pytest.CaptureFixture[str]):
    rules = "    - matches: [{path: {type: Prefix, value: cart}}]\n    - backendRefs: [{name: a, port: 99999}]\n"
    (folder / "bad.yaml").write_text(ROUTE + rules)
    (folder / "worse.yaml").write_text("{\n")
    code, lines = check(folder, capsys)
    assert code == 1
    assert any("spec.rules[0].matches[0].path.type" in line for line in lines)
    assert any("spec.rules[1].backendRefs[0].port" in line for line in lines)
    assert any("worse.yaml" in line for line in lines)


def test_kinds_of_others_are_passed_over(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "other.yaml").write_text("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\n")
    code, lines = check(folder, capsys)
    assert code == 0
    assert len(lines) == 1
    assert "Deployment" in lines[0]
    assert lines[0].endswith("(warning)")


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "bad.yaml").write_text(ROUTE + "    - backendRefs: [{name: shop, port: 80, wieght: 3}]\n")
    assert main(["check", str(folder), "-o", "json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["objects"] == 3
    (problem,) = [one for one in shown["problems"] if "wieght" in one["field"] + one["message"]]
    assert problem["file"] == f"{folder}/bad.yaml"
    assert (problem["line"], problem["object"], problem["severity"]) == (8, "HTTPRoute default/shop", "error")


def test_binary_rubbish_is_a_problem_not_a_crash(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "bad.yaml").write_bytes(bytes(range(256)))
    (folder / "empty.yaml").write_bytes(b"")
    (folder / "scalar.yaml").write_text("hello\n")
    (folder / "list.json").write_text("[1, 2]\n")
    code, lines = check(folder, capsys)
    assert code == 1
    assert any("bad.yaml" in line for line in lines)
    assert not any("empty.yaml" in line for line in lines)
