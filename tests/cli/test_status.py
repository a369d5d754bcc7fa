"""`gatewayd status`: what a cluster would show, from files and from a running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatewayd.cli import main
from tests.manifests import Folder, gateway, gateway_class, https
from tests.processes import ROOT, Gateway

QUICKSTART = str(ROOT / "config" / "quickstart")


def test_table(capsys: pytest.CaptureFixture[str]):
    assert main(["status", QUICKSTART]) == 0
    lines = capsys.readouterr().out.splitlines()
    (gateway,) = [line for line in lines if line.strip().startswith("Gateway demo/quickstart")]
    assert gateway.split()[2:4] == ["True", "True"]
    (listener,) = [line for line in lines if "listener http" in line]
    assert listener.endswith("2 routes")


def test_table_says_what_is_wrong(capsys: pytest.CaptureFixture[str]):
    assert main(["status", str(ROOT / "config" / "cross-namespace")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "HTTPRoute payroll/payroll parent infra/shared False True NotAllowedByListeners" in said
    assert "RefNotPermitted" in said


@pytest.mark.parametrize(("output", "load"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_one_kubernetes_list_with_defaults_and_status(
    output: str, load: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
):
    assert main(["status", QUICKSTART, "-o", output]) == 0
    shown = load(capsys.readouterr().out)
    assert (shown["apiVersion"], shown["kind"]) == ("v1", "List")
    items = {(item["kind"], item["metadata"]["name"]): item for item in shown["items"]}
    gateway = items["Gateway", "quickstart"]
    assert gateway["spec"]["listeners"][0]["allowedRoutes"]["namespaces"]["from"] == "Same"  # a default
    assert gateway["status"]["listeners"][0]["attachedRoutes"] == 2
    shop = items["HTTPRoute", "shop"]
    conditions = {found["type"]: found for found in shop["status"]["parents"][0]["conditions"]}
    assert conditions["Accepted"]["status"] == "True"
    assert conditions["Accepted"]["lastTransitionTime"].endswith("Z")
    assert shop["spec"]["parentRefs"][0]["kind"] == "Gateway"
    assert "status" not in items["Service", "echo-a"]


def test_a_running_gateway_says_the_same(gateway: Callable[..., Gateway], capsys: pytest.CaptureFixture[str]):
    running = gateway(QUICKSTART, ports=[8080])
    assert main(["status", "--admin", f"127.0.0.1:{running.admin}", "-o", "json"]) == 0
    asked = json.loads(capsys.readouterr().out)
    assert main(["status", QUICKSTART, "-o", "json", "--port-map", f"8080={running.ports[8080]}"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert _without_times(asked["items"]) == _without_times(planned["items"])


def _without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_times(member) for key, member in value.items() if key != "lastTransitionTime"}
    if isinstance(value, list):
        return [_without_times(member) for member in value]
    return value


def test_secrets_are_not_shown(capsys: pytest.CaptureFixture[str]):
    assert main(["status", str(ROOT / "config" / "tls"), "-o", "yaml"]) == 0
    said = capsys.readouterr().out
    assert "kind: Secret" in said
    assert "LS0tLS1CRUdJTiB" not in said  # how the base64 of PEM begins


def test_a_gateway_that_does_not_run_is_one_line_and_exit_1(port: int, capsys: pytest.CaptureFixture[str]):
    assert main(["status", "--admin", f"127.0.0.1:{port}"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"127.0.0.1:{port}" in line


def test_a_controller_name_that_no_class_has_is_said(capsys: pytest.CaptureFixture[str]):
    said = "no GatewayClass has the controllerName 'example.com/x'; there are: gatewayd.dev/gateway-controller"
    wanted = ["--controller-name", "example.com/x"]
    assert main(["status", QUICKSTART, *wanted]) == 0
    assert capsys.readouterr().err == f"gatewayd: {said}\n"
    assert main(["check", QUICKSTART, *wanted]) == 0
    assert said in capsys.readouterr().err
    assert main(["explain", QUICKSTART, *wanted, "--request", "GET http://a.test/"]) == 1
    assert f"note      {said}" in capsys.readouterr().out
    assert main(["status", QUICKSTART, "--controller-name", "gatewayd.dev/gateway-controller"]) == 0
    assert capsys.readouterr().err == ""


def test_one_fault_is_told_once_with_all_its_reasons(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    folder = Folder(tmp_path)
    folder.write("a.yaml", gateway_class(), gateway(https("https", 443, "nowhere")))
    assert main(["status", str(tmp_path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Invalid, InvalidCertificateRef: Secret default/nowhere does not exist" in said


def test_a_narrow_terminal_gets_lines_in_place_of_a_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gatewayd.cli.tables.WIDTH", 80)
    assert main(["status", str(ROOT / "config" / "cross-namespace")]) == 0
    assert capsys.readouterr().out.splitlines()[:10] == [
        "HTTPRoute payroll/payroll",
        "  parent infra/shared Accepted False ResolvedRefs True",
        "    NotAllowedByListeners: allowedRoutes.namespaces of Gateway infra/shared does not admit namespace payroll",
        "GatewayClass gatewayd",
        "  Accepted True",
        "Gateway infra/shared",
        "  Accepted True Programmed True ResolvedRefs True  at 127.0.0.1",
        "  listener http Accepted True Programmed True ResolvedRefs True  1 route",
        "HTTPRoute shop/shop",
        "  parent infra/shared Accepted True ResolvedRefs False",
    ]
    assert main(["status", QUICKSTART]) == 0  # little is said there: the table fits
    assert "GatewayClass gatewayd" in capsys.readouterr().out
