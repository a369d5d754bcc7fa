"""What `gatewayd check` tells about objects that are fine alone and wrong together: file, line, field and hint."""

from __future__ import annotations

import pytest

from gatewayd.api.objects import Objects
from gatewayd.plan.build import Options, Planner
from tests.plan.yaml_objects import parse

FILE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: gatewayd}
spec: {controllerName: gatewayd.dev/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  gatewayClassName: gatewayd
  listeners:
  - name: http
    port: 80
    protocol: HTTP
    hostname: "*.example.com"
  - name: https
    port: 443
    protocol: HTTPS
    tls:
      certificateRefs:
      - name: tls
        namespace: vault
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: cart
  namespace: shop
spec:
  parentRefs:
  - name: edge
    sectionName: http
  hostnames:
  - shop.example.com
  rules:
  - matches:
    - path:
        type: RegularExpression
        value: "("
    backendRefs:
    - name: cart
      port: 80
  - backendRefs:
    - name: cart
      port: 81
    - name: cart
      port: 80
---
apiVersion: v1
kind: Service
metadata:
  name: cart
  namespace: shop
spec:
  ports:
  - port: 80
"""

EXPECTED = [
    # (line, object, field, a part of the message, a part of the hint, severity)
    (
        21,
        "Gateway shop/edge",
        "spec.listeners[1].tls.certificateRefs[0]",
        "Secret vault/tls",
        "ReferenceGrant",
        "error",
    ),
    (37, "HTTPRoute shop/cart", "spec.rules[0].matches[0]", "rule dropped", "", "error"),
    (44, "HTTPRoute shop/cart", "spec.rules[1].backendRefs[0]", "has no port 81; its ports are 80", "80", "error"),
    (55, "Service shop/cart", "spec.ports", "no EndpointSlice", "addressType: IPv4", "warning"),
]


def test_problems_name_file_line_and_field() -> None:
    found = Planner().plan(Objects(parse(FILE, "shop.yaml")), Options()).problems
    assert [(one.file, one.line, one.object, one.field, one.severity) for one in found] == [
        ("shop.yaml", line, item, field, severity) for line, item, field, _, _, severity in EXPECTED
    ]
    for one, (_, _, _, message, hint, _) in zip(found, EXPECTED, strict=True):
        assert message in one.message
        assert hint in one.hint


FIXES = [
    ("sectionName: http\n", "sectionName: web\n", "NoMatchingParent"),
    ("shop.example.com", "shop.example.org", "NoMatchingListenerHostname"),
    (
        "  namespace: shop\nspec:\n  parentRefs:\n  - name: edge",
        "  namespace: b\nspec:\n  parentRefs:\n  - name: edge\n    namespace: shop",
        "NotAllowedByListeners",
    ),
]


@pytest.mark.parametrize(("before", "after", "reason"), FIXES)
def test_a_refused_route_is_told_at_its_parent_ref(before: str, after: str, reason: str) -> None:
    assert before in FILE
    found = Planner().plan(Objects(parse(FILE.replace(before, after), "shop.yaml")), Options()).problems
    (problem,) = [one for one in found if one.field == "spec.parentRefs[0]"]
    assert problem.message.startswith(reason)
    assert problem.hint
    assert problem.severity == "error"
