"""A cluster's own YAML, as kubectl prints it, needs no change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gatewayd.cli import main

DUMP = Path(__file__).parent / "data" / "cluster.yaml"


def test_check_finds_nothing_to_complain_of(capsys: pytest.CaptureFixture[str]):
    assert main(["check", str(DUMP)]) == 0, capsys.readouterr().out
    assert capsys.readouterr().out == ""


def test_the_status_is_ours_not_the_written_one(capsys: pytest.CaptureFixture[str]):
    assert main(["status", str(DUMP), "-o", "json"]) == 0
    items = {item["kind"]: item for item in json.loads(capsys.readouterr().out)["items"]}
    listener = items["Gateway"]["status"]["listeners"][0]
    assert listener["attachedRoutes"] == 1
    assert {found["type"]: found["status"] for found in listener["conditions"]}["Programmed"] == "True"
    assert items["Gateway"]["status"]["addresses"][0]["value"] != "172.18.255.200"


def test_the_request_goes_to_the_pods(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", str(DUMP), "--request", "GET http://shop.example.com/x", "-o", "json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["explanations"]
    assert found["backends"][0]["endpoints"] == ["10.244.0.12:3000"]


def test_a_cluster_can_be_served_as_one_of_several_controllers(capsys: pytest.CaptureFixture[str]):
    arguments = ["status", str(DUMP), "-o", "json", "--controller-name", "gatewayd.dev/gateway-controller"]
    assert main(arguments) == 0
    items = {item["kind"]: item for item in json.loads(capsys.readouterr().out)["items"]}
    assert "status" not in items["Gateway"]
