from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from gatewayd.api.documents import load
from gatewayd.api.encode import to_plain
from gatewayd.api.objects import Object
from tests.decoding import decode_all

VALID = Path(__file__).parent / "cases" / "valid" / "all-kinds.yaml"


def read(text: bytes) -> list[Object]:
    items, problems = decode_all(load(text, "f")[0])
    assert not problems, [str(each) for each in problems]
    return items


def plain(text: str) -> dict[str, Any]:
    [item] = read(text.encode())
    return to_plain(item)


def test_defaults_are_applied_and_unset_fields_left_out():
    text = "apiVersion: gateway.networking.k8s.io/v1beta1\nkind: HTTPRoute\n"
    text += "metadata:\n  name: r\n  annotations: {a: 1e3}\n"
    assert plain(
        text + "  x: 1.5\nspec:\n  rules: [{backendRefs: [{name: a, port: 80}]}]\nstatus: {parents: []}\n"
    ) == {
        "apiVersion": "gateway.networking.k8s.io/v1beta1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r", "namespace": "default", "annotations": {"a": "1e3"}, "x": 1.5, "generation": 1},
        "spec": {
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
                    "backendRefs": [{"group": "", "kind": "Service", "name": "a", "port": 80, "weight": 1}],
                }
            ]
        },
    }


def test_secrets_are_hidden():
    again = "annotations: {kubectl.kubernetes.io/last-applied-configuration: secret, note: kept, "
    again += f'kapp.k14s.io/original: \'{{"data": {{"b": "c2VjcmV0", "a": "{"secret" * 20}"}}}}\'}}'
    text = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: s, {again}}}\n"
    shown = plain(text + "data: {b: c2VjcmV0}\nstringData: {a: secret}\n")
    assert shown["data"] == {"a": "REDACTED", "b": "REDACTED"}
    assert "secret" not in str(shown)
    assert "c2VjcmV0" not in str(shown)
    assert shown["metadata"]["annotations"] == {"note": "kept", "kapp.k14s.io/original": "REDACTED"}
    assert "stringData" not in shown
    assert shown["type"] == "Opaque"


def test_built_in_kinds_look_as_in_a_cluster():
    shown = plain("apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n")
    assert shown["spec"] == {"type": "ClusterIP", "ports": [{"protocol": "TCP", "port": 80}]}


def test_binary_data_is_base64():
    shown = plain("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nbinaryData: {a: AAE=}\n")
    assert shown["binaryData"] == {"a": "AAE="}


def test_what_is_written_reads_the_same_again():
    for item in read(VALID.read_bytes()):
        shown = to_plain(item)
        assert json.loads(json.dumps(shown)) == shown
        if item.kind == "Secret":
            continue
        [again] = read(yaml.safe_dump(shown).encode())
        assert again.key == item.key
        assert to_plain(again) == shown
        assert getattr(again.resource, "spec", None) == getattr(item.resource, "spec", None)
