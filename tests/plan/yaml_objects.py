"""Objects of a test, written as YAML."""

from __future__ import annotations

from pathlib import Path

from gatewayd.api.documents import load
from gatewayd.api.objects import Object, Objects
from tests.decoding import decode_all

SHARED = Path(__file__).parents[3] / "shared" / "gateway-api"
OUR_CLASS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: gatewayd}
spec: {controllerName: gatewayd.dev/gateway-controller}
---
"""


def parse(text: str, file: str = "test.yaml") -> list[Object]:
    """The objects of `text`; a test that writes an invalid one fails here."""
    documents, problems = load(text.encode(), file)
    objects, found = decode_all(documents)
    errors = [str(problem) for problem in (*problems, *found) if problem.severity == "error"]
    assert not errors, errors
    return objects


def world(*texts: str) -> Objects:
    """An index of the objects of all texts, with a GatewayClass called gatewayd."""
    return Objects([item for text in (OUR_CLASS, *texts) for item in parse(text)])
