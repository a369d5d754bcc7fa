"""`gatewayd explain`: what the filters of a backend make of the request."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_explain import explain, one
from tests.manifests import Folder, Manifest, gateway, gateway_class, http_route, listener, rule, service

REWRITE: Manifest = {
    "type": "URLRewrite",
    "urlRewrite": {"hostname": "b.org", "path": {"type": "ReplaceFullPath", "replaceFullPath": "/new"}},
}
CORS: Manifest = {"type": "CORS", "cors": {"allowOrigins": ["https://a.org"]}}
PREFLIGHT = ("-H", "Origin: https://a.org", "-H", "Access-Control-Request-Method: PUT")


@pytest.mark.parametrize(
    ("backends", "asked", "expected"),
    [
        (1, ("GET http://a.org/old?q",), {"reason": "forwarded", "target": "/new?q", "host": "b.org"}),
        (2, ("GET http://a.org/old?q",), {"reason": "forwarded", "target": "/old?q", "host": "a.org"}),
        (1, ("OPTIONS http://a.org/", *PREFLIGHT), {"reason": "cors_preflight", "status": 204}),
        (1, ("OPTIONS http://a.org/",), {"reason": "forwarded", "status": None}),
    ],
)
def test_filters_of_a_backend(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, backends: int, asked: tuple[str, ...], expected: dict[str, Any]
):
    """They say where the request goes if it can go there only."""
    wanted = rule("one")
    wanted["backendRefs"][0]["filters"] = [REWRITE, CORS]
    wanted["backendRefs"] += [{"name": "one", "port": 80}] * (backends - 1)
    parts = (gateway_class(), gateway(listener("http", 80)), http_route("shop", wanted), *service("one", 9001))
    Folder(tmp_path).write("all.yaml", *parts)
    found = one(explain(capsys, tmp_path, *asked))["answer"]
    assert found | expected == found
