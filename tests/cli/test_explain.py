"""`gatewayd explain`: the answer that the traffic gets, the rule behind it, and why the others lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gatewayd.cli import main
from tests.manifests import (
    Folder,
    gateway,
    gateway_class,
    grpc_route,
    http_route,
    https,
    listener,
    response_header,
    rule,
    service,
    traffic_policy,
)
from tests.processes import ROOT, Echo, Gateway
from tests.talk import fetch

CONFIG = ROOT / "config"


def explain(
    capsys: pytest.CaptureFixture[str], folder: Path | str, request: str, *options: str, code: int = 0
) -> dict[str, Any]:
    assert main(["explain", str(folder), "--request", request, "-o", "json", *options]) == code
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def one(shown: dict[str, Any]) -> dict[str, Any]:
    (explanation,) = shown["explanations"]
    return dict(explanation)


def test_the_winner_with_its_filters_and_backends(capsys: pytest.CaptureFixture[str]):
    found = one(explain(capsys, CONFIG / "quickstart", "GET http://shop.example.com:8080/api/v1/items?x=1"))
    assert found["listener"]["key"] == "demo/quickstart/http"
    assert found["rule"]["route"] == "HTTPRoute/demo/shop"
    file, _, line = found["rule"]["source"].rpartition(":")
    assert Path(file).read_text().splitlines()[int(line) - 1].strip() == "- matches:"
    assert found["answer"] == {
        "status": None,
        "reason": "forwarded",
        "target": "/items?x=1",
        "host": "shop.example.com:8080",
    }
    assert "rewrite path prefix /api/v1 to /" in found["filters"]
    assert found["backends"][0]["endpoints"] == ["127.0.0.1:9001"]


def test_the_session_of_a_request(capsys: pytest.CaptureFixture[str]):
    folder, request = CONFIG / "sticky", "GET http://shop.example.com:8080/cart/7"
    found = one(explain(capsys, folder, request))["session"]
    assert found == {
        "kind": "cookie", "name": "cart", "path": "/cart", "permanent": True, "timeout": 28800.0,
        "backend": None, "endpoint": None,
    }  # fmt: skip
    assert main(["explain", str(folder), "--request", request, "-H", "Cookie: cart=nonsense"]) == 0
    said = capsys.readouterr().out
    assert "session   kept by cookie cart that outlives the browser for paths below /cart, for 28800 s at most" in said
    assert "session   the request shows no valid token: its answer begins a session" in said
    assert one(explain(capsys, CONFIG / "canary", "GET http://checkout.example.com:8080/"))["session"] is None


def test_filters_and_limits_of_a_rule(capsys: pytest.CaptureFixture[str]):
    found = one(explain(capsys, CONFIG / "resilience", "GET http://shop.example.com:8080/"))
    assert found["filters"] == [
        "CORS for https://*.example.com; methods GET, PUT; headers Authorization; credentials",
        "mirror a copy of 10 % to default/catalogue-next:80",
    ]
    assert found["limits"] == [
        "the request may take 2 s",
        "an attempt at a backend may take 0.6 s",
        "2 more attempts after a lost connection or a timeout, or status 502, 503, 504, 0.05 s apart or more",
    ]
    asks = ("-H", "Origin: https://a.example.com", "-H", "Access-Control-Request-Method: PUT")
    found = one(explain(capsys, CONFIG / "resilience", "OPTIONS http://shop.example.com:8080/", *asks))
    assert (found["rule"]["rule"], found["answer"]) == (
        "everything-else",
        {"status": 204, "reason": "cors_preflight"},
    )


def test_losers_with_the_step_at_which_they_lost(capsys: pytest.CaptureFixture[str]):
    found = one(explain(capsys, CONFIG / "quickstart", "http://shop.example.com:8080/api/v1", "-H", "X-Tester: yes"))
    outcomes = {(each["route"], each["rule"]): (each["outcome"], each["step"]) for each in found["candidates"]}
    assert outcomes["HTTPRoute/demo/shop", "1"] == ("taken", "")
    assert outcomes["HTTPRoute/demo/shop", "0"] == ("lost", "length of the path")
    assert outcomes["HTTPRoute/demo/everything", "0"] == ("lost", "hostname")
    assert outcomes["HTTPRoute/demo/shop", "2"] == ("differs", "path")


def test_weights_are_shown_as_percent(capsys: pytest.CaptureFixture[str]):
    found = one(explain(capsys, CONFIG / "canary", "GET http://checkout.example.com/"))
    assert [backend["percent"] for backend in found["backends"]] == [90.0, 10.0]


@pytest.mark.parametrize(
    ("folder", "request_", "options", "status", "reason"),
    [
        ("quickstart", "http://shop.example.com:8080/old/x", [], 301, "redirect"),
        ("canary", "http://www.example.com/", [], 404, "no_route"),
        ("cross-namespace", "http://shop.example.com/stock", [], 500, "RefNotPermitted"),
        ("quickstart", "http://shop.example.com:8080/%00", [], 400, "bad_path"),
        ("quickstart", "http://shop.example.com:8080/", ["-H", "Bad Name: x"], 400, "bad_field"),
        ("limits", f"http://a/{'x' * 2000}", [], 414, "line_too_long"),
        ("tls", "https://shop.example.com/", ["-H", "Host: blog.example.com"], 421, "misdirected"),
    ],
)
def test_answers_of_the_gateway_itself(
    capsys: pytest.CaptureFixture[str], folder: str, request_: str, options: list[str], status: int, reason: str
):
    answer = one(explain(capsys, CONFIG / folder, request_, *options))["answer"]
    assert (answer["status"], answer["reason"]) == (status, reason)


def test_a_backend_that_could_not_be_resolved_has_its_written_name(capsys: pytest.CaptureFixture[str]):
    (backend,) = one(explain(capsys, CONFIG / "cross-namespace", "http://shop.example.com/stock"))["backends"]
    assert backend["backend"] == "Service search/stock:80"
    assert backend["answer"] == {"status": 500, "reason": "RefNotPermitted"}


def test_a_refused_route_that_names_the_host_is_told(capsys: pytest.CaptureFixture[str]):
    shown = explain(capsys, CONFIG / "cross-namespace", "http://payroll.example.com/")
    assert one(shown)["answer"]["status"] == 404
    note, _ = shown["notes"]
    assert note.startswith("HTTPRoute payroll/payroll (")
    assert "NotAllowedByListeners" in note


def test_no_certificate_for_the_name(capsys: pytest.CaptureFixture[str]):
    answer = one(explain(capsys, CONFIG / "tls", "https://shop.example.org/"))["answer"]
    assert answer["status"] is None
    assert "handshake is refused" in answer["reason"]


def test_a_port_that_nobody_serves_names_those_that_are(capsys: pytest.CaptureFixture[str]):
    shown = explain(capsys, CONFIG / "tls", "https://shop.example.com:99/", code=1)
    assert shown["explanations"] == []
    assert "https 443 (default/web)" in shown["notes"][0]


def test_one_gateway_of_several(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    folder = Folder(tmp_path)
    folder.write("gateways.yaml", gateway_class(), *(gateway(listener("http", 80), name=name) for name in "ab"))
    folder.write("routes.yaml", *(http_route(name, rule("echo"), parent=name) for name in "ab"), *service("echo", 9001))
    pool = ["--address-pool", "127.0.9.0/24"]
    both = explain(capsys, tmp_path, "http://x/", *pool)["explanations"]
    assert [found["rule"]["route"] for found in both] == ["HTTPRoute/default/a", "HTTPRoute/default/b"]
    found = one(explain(capsys, tmp_path, "http://x/", *pool, "--gateway", "default/b"))
    assert found["rule"]["route"] == "HTTPRoute/default/b"


def test_text(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", str(CONFIG / "quickstart"), "--request", "http://shop.example.com:8080/old/x"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "request   GET http://shop.example.com:8080/old/x"
    assert "answer    301 to http://shop.example.com:8080/new/x" in lines


class Site:
    """Routes that compete in many ways, served; every rule marks its responses."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        backend = Echo("echo")
        stack.callback(backend.stop)
        folder = Folder(scratch / "manifests")
        self.path = folder.path
        folder.write(
            "gateway.yaml",
            gateway_class(),
            gateway(
                listener("any", 80), listener("shop", 80, hostname="shop.example.com"), https("tls", 443, "missing")
            ),
        )
        folder.write("backends.yaml", *service("echo", backend.port), *service("empty"))
        rules = {
            "exact": {"path": {"type": "Exact", "value": "/a/b"}},
            "regex": {"path": {"type": "RegularExpression", "value": "/a/[a-z]+"}},
            "long": {"path": {"type": "PathPrefix", "value": "/a/b"}},
            "short": {"path": {"type": "PathPrefix", "value": "/a"}},
            "posted": {"path": {"type": "PathPrefix", "value": "/a"}, "method": "POST"},
            "headed": {"path": {"type": "PathPrefix", "value": "/a"}, "headers": [{"name": "X-A", "value": "1"}]},
            "asked": {"path": {"type": "PathPrefix", "value": "/a"}, "queryParams": [{"name": "q", "value": "a b"}]},
        }
        marked = [
            rule("echo", filters=[response_header("x-rule", name)], name=name, matches=[match])
            for name, match in rules.items()
        ]
        other = [rule("empty", "/empty", name="empty"), rule("nowhere", "/nowhere", name="nowhere")]
        folder.write("routes.yaml", http_route("competing", *marked, *other))
        folder.write(
            "shop.yaml",
            http_route("shop", rule("echo", "/only", [response_header("x-rule", "shop")], name="shop"), section="shop"),
        )
        self.gateway = Gateway(folder.path, ports=[80, 443])
        stack.callback(self.gateway.stop)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("explain"), stack)


@pytest.mark.parametrize("host", ["www.example.com", "shop.example.com"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("headers", [{}, {"X-A": "1"}])
@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/a",
        "/a/b",
        "/a/b/",
        "/a/bb",
        "/ab",
        "/a/x?q=a+b",
        "/a?q=a%20b",
        "/a/./b",
        "/a/B",
        "/empty",
        "/nowhere",
        "/only",
        "/%00",
    ],
)
def test_the_traffic_does_what_is_explained(
    site: Site, capsys: pytest.CaptureFixture[str], host: str, method: str, headers: dict[str, str], target: str
):
    options = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    found = one(explain(capsys, site.path, f"{method} http://{host}{target}", *options))
    reply = fetch(site.gateway.ports[80], target, host=host, method=method, headers=headers)
    expected = found["answer"]["status"] or 200
    assert reply.status == expected
    if expected == 200:
        assert reply.headers["x-rule"] == found["rule"]["rule"]


CALL = ("-H", "content-type: application/grpc")


def test_a_call(capsys: pytest.CaptureFixture[str]):
    asked = "POST http://shop.example.com/shop.v1.Cart/Add"
    found = one(explain(capsys, CONFIG / "grpc", asked, *CALL, "-H", "x-release: next"))
    assert (found["rule"]["route"], found["rule"]["rule"]) == ("GRPCRoute/shop/cart", "asked-for")
    assert found["rule"]["match"] == ["Exact /shop.v1.Cart/Add", "gRPC", "header x-release = next"]
    assert [(part["backend"], part["protocol"]) for part in found["backends"]] == [("shop/cart-next:50051/h2c", "h2c")]
    lost = {candidate["rule"]: candidate["step"] for candidate in found["candidates"] if candidate["outcome"] == "lost"}
    assert lost == {"cart": "kind of path (Exact goes before PathPrefix)"}


def test_what_the_gateway_answers_to_a_call_is_a_grpc_status(capsys: pytest.CaptureFixture[str]):
    asked = "POST http://shop.example.com/shop.v1.Orders/Add"
    found = one(explain(capsys, CONFIG / "grpc", asked, *CALL))
    assert found["answer"] == {"status": 404, "reason": "no_route", "grpc_status": 12}
    assert main(["explain", str(CONFIG / "grpc"), "--request", asked, *CALL]) == 0
    assert "answer    grpc-status 12 no_route" in capsys.readouterr().out
    assert one(explain(capsys, CONFIG / "grpc", asked))["answer"] == {"status": 404, "reason": "no_route"}


def test_who_authorizes(capsys: pytest.CaptureFixture[str]):
    found = one(explain(capsys, CONFIG / "auth", "GET http://shop.example.com/cart"))
    (line,) = found["filters"]
    parts = ["shown headers cookie", "headers x-backend are its own", "shown bodies, of 65536 bytes at most"]
    assert line == "; ".join(["ask identity/identity:80 by HTTP to authorize", *parts])
    assert (found["answer"]["reason"], found["answer"]["allowed_by"]) == ("forwarded", "identity/identity:80")
    assert main(["explain", str(CONFIG / "auth"), "--request", "GET http://shop.example.com/orders"]) == 0
    shown = capsys.readouterr().out
    assert "filter    ask shop/orders-policy:9191/h2c by gRPC to authorize" in shown
    assert "answer    if shop/orders-policy:9191/h2c allows it, the backend's" in shown


@pytest.mark.parametrize("on_share", [True, False])
def test_a_service_without_endpoints(capsys: pytest.CaptureFixture[str], tmp_path: Path, on_share: bool):
    asks = {"protocol": "HTTP", "backendRef": {"name": "a", "port": 80}, "http": {}}
    auth = {"type": "ExternalAuth", "externalAuth": asks}
    made = rule("x", filters=() if on_share else [auth])
    made["backendRefs"][0] |= {"filters": [auth]} if on_share else {}
    folder = Folder(tmp_path)
    folder.write("a.yaml", gateway_class(), gateway(listener("http", 80)), *service("x", 1), *service("a"))
    folder.write("b.yaml", http_route("r", made))
    found = one(explain(capsys, tmp_path, "GET http://a.test/"))
    assert found["answer"] == {"status": 503, "reason": "auth_no_endpoints"}


def test_a_route_for_calls_that_is_not_attached_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    folder = Folder(tmp_path)
    folder.write("a.yaml", gateway_class(), gateway(listener("http", 80, hostname="a.test")))
    folder.write("b.yaml", grpc_route("calls", rule("x"), hostnames=["b.test"]), *service("x", 1))
    notes = explain(capsys, tmp_path, "POST http://b.test/S/M", *CALL)["notes"]
    assert any(note.startswith("GRPCRoute default/calls") for note in notes)


def test_a_rule_that_was_dropped_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    folder = Folder(tmp_path)
    change = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "Host", "value": "x.test"}]}}
    rules = (rule("x"), rule("x", "/a", [change]))
    folder.write("a.yaml", gateway_class(), gateway(listener("http", 80)), *service("x", 1))
    folder.write("b.yaml", http_route("r", *rules, hostnames=["a.test"]))
    (note,) = explain(capsys, tmp_path, "GET http://a.test/a")["notes"]
    assert note.startswith(f"HTTPRoute default/r ({tmp_path}/b.yaml:")
    assert note.endswith(
        "is served without some of its rules: Dropped Rule: spec.rules[1].filters[0]: "
        "field host cannot be changed: the gateway writes it itself (a URLRewrite with `hostname` changes it)"
    )
    assert explain(capsys, tmp_path, "GET http://b.test/a")["notes"] == [
        "the files have 1 problem, which gatewayd check tells"
    ]


@pytest.mark.parametrize("name", ["quickstart", "demo/quickstrat"])
def test_a_gateway_that_does_not_exist_is_wrong_usage(capsys: pytest.CaptureFixture[str], name: str):
    asked = ["--request", "GET http://a.test/", "--gateway", name]
    assert main(["explain", str(CONFIG / "quickstart"), *asked]) == 2
    assert capsys.readouterr().err == (
        f"gatewayd: --gateway {name!r}: there is no such Gateway; write NAMESPACE/NAME of one of: demo/quickstart\n"
    )


def test_a_miss_says_when_the_files_have_problems(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    folder = Folder(tmp_path)
    folder.write("a.yaml", gateway_class(), gateway(listener("http", 80)))
    asked = "GET http://a.test/"
    assert explain(capsys, tmp_path, asked)["notes"] == []
    (tmp_path / "b.yaml").write_text("kind: [")
    assert explain(capsys, tmp_path, asked)["notes"] == ["the files have 1 problem, which gatewayd check tells"]


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("GET http://a.test/%00", "400 bad_path: the path holds %00"),
        ("GET http://a_\u00fc.test/", "400 bad_host: the host must be a name"),
        ("GET http://a.test/\u00fc", "400 bad_request_line: method, path and query must be printable ASCII"),
        ("CONNECT http://a.test/", "501 connect: the gateway is no forward proxy"),
    ],
)
def test_a_refused_request_says_what_is_wrong_with_it(capsys: pytest.CaptureFixture[str], request_: str, answer: str):
    assert main(["explain", str(CONFIG / "quickstart"), "--request", request_.replace("test/", "test:8080/")]) == 0
    assert f"answer    {answer}" in capsys.readouterr().out


def test_policies_are_named_at_what_they_change(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    constraint = {"budget": {"percent": 5, "interval": "1m"}, "minRetryRate": {"count": 3, "interval": "500ms"}}
    sessions = {"type": "Header", "header": {"name": "x-seat"}}
    policy = traffic_policy("calm", "shop", retryConstraint=constraint, sessionPersistence=sessions)
    route = http_route("site", rule("shop"))
    folder = Folder(tmp_path / "manifests")
    folder.write("all.yaml", gateway_class(), gateway(listener("http", 80)), route, *service("shop", 9001), policy)
    found = one(explain(capsys, folder.path, "GET http://a/"))
    budget = "retries are at most 5 % of what Service default/shop gets in 60 s, but 3 in 0.5 s in any case"
    assert found["backends"][0]["policies"] == [f"{budget} (XBackendTrafficPolicy default/calm)"]
    assert "sessions are kept as XBackendTrafficPolicy default/calm says" in found["limits"]
    assert main(["explain", str(folder.path), "--request", "GET http://a/"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"          policy {budget} (XBackendTrafficPolicy default/calm)" in lines


def test_a_host_outside(capsys: pytest.CaptureFixture[str]):
    found = one(explain(capsys, CONFIG / "external", "GET http://a:8080/"))
    (backend,) = found["backends"]
    assert (backend["backend"], backend["endpoints"]) == (
        "XBackend/default/weather:9001",
        ["localhost:9001 (by DNS)"],
    )
    assert found["answer"]["host"] == "weather.example.com"
    refused = one(explain(capsys, CONFIG / "external", "GET http://a:8080/secured"))
    assert refused["answer"] == {"status": 500, "reason": "BackendTLSNotServed"}
    assert refused["backends"][0]["backend"] == "XBackend default/weather-secured"
