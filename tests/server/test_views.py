from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from gatewayd.api.encode import REDACTED
from gatewayd.api.problem import Problem
from gatewayd.routing.snapshot import CertificatePlan, ListenerPlan, PortPlan, Settings, Snapshot
from gatewayd.server.views import configuration, listing
from gatewayd.sources.files import FileSource

OBJECTS = """
apiVersion: v1
kind: Secret
metadata:
  name: key
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"data": {"tls.key": "VE9QU0VDUkVU"}}'
    note: kept
type: kubernetes.io/tls
data: {tls.crt: Y2VydA==, tls.key: VE9QU0VDUkVU}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{name: web}]
  rules: [{backendRefs: [{name: cart, port: 80}]}]
"""


def test_the_list_has_every_object_with_defaults_and_status_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(OBJECTS)
    loaded = FileSource([tmp_path]).load()
    status: dict[str, Any] = {"parents": [{"conditions": []}]}
    problem = Problem("a.yaml", 3, "HTTPRoute shop/cart", "spec", "wrong")
    shown = listing(loaded.objects, {"HTTPRoute/shop/cart": status}, [problem])
    text = orjson.dumps(shown).decode()
    assert (shown["apiVersion"], shown["kind"]) == ("v1", "List")
    assert shown["problems"][0]["message"] == "wrong"
    items = {item["kind"]: item for item in shown["items"]}
    assert "VE9QU0VDUkVU" not in text
    assert items["Secret"]["data"] == {"tls.crt": REDACTED, "tls.key": REDACTED}
    assert items["Secret"]["metadata"]["annotations"] == {"note": "kept"}
    assert "status" not in items["Secret"]
    route = items["HTTPRoute"]
    assert route["apiVersion"] == "gateway.networking.k8s.io/v1"
    assert route["metadata"] == {"name": "cart", "namespace": "shop", "generation": 1}
    assert route["status"] == status
    (match,) = route["spec"]["rules"][0]["matches"]
    assert match["path"] == {"type": "PathPrefix", "value": "/"}
    assert route["spec"]["rules"][0]["backendRefs"][0]["weight"] == 1


def test_the_configuration_is_readable_and_has_no_private_key() -> None:
    listener = ListenerPlan("shop/web/https", "shop/web", "https", "HTTPS", hosts={b"*.example.com": ("r",), b"": ()})
    snapshot = Snapshot(
        3,
        ports={":443": PortPlan(":443", "", 8443, 443, "https", (listener,))},
        certificates={"shop/key": CertificatePlan("shop/key", b"-----BEGIN CERTIFICATE", b"PRIVATE", (b"\xff",))},
        settings={"default": Settings(), "shop/keyed": Settings(session_key=b"PRIVATE")},
    )
    shown = configuration(snapshot)
    assert b"PRIVATE" not in orjson.dumps(shown)
    assert shown["certificates"]["shop/key"]["private_key"] == REDACTED
    assert shown["settings"]["shop/keyed"]["session_key"] == REDACTED
    assert "session_key" not in shown["settings"]["default"]
    assert shown["ports"][":443"]["listeners"][0]["hosts"] == {"*.example.com": ["r"], "": []}
    assert snapshot.certificates["shop/key"].private_key == b"PRIVATE"
