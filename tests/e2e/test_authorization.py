"""ExternalAuth end to end: a real gateway, real services by HTTP and gRPC, clients of HTTP/1.1, HTTP/2 and gRPC."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.e2e.auth_services import CallService, HttpService
from tests.e2e.call_server import CallServer, channel
from tests.manifests import Folder, Manifest, gateway, gateway_class, http_route, listener, rule, service
from tests.processes import PATIENCE, Echo, Gateway, free_port, wait_until
from tests.talk import curl, exchange, fetch, keep_alive

KINDS = ["http", "grpc"]
REQUESTS = 400
COUNTS = r"^gatewayd_authorizations_(\w+)_total (\S+)$"


def by_http(name: str = "http", body: int = 0, **fields: Any) -> Manifest:
    return _filter(name, body, {"protocol": "HTTP", "http": fields})


def by_grpc(name: str = "grpc", body: int = 0) -> Manifest:
    return _filter(name, body, {"protocol": "GRPC", "grpc": {}})


def _filter(name: str, body: int, spec: Manifest) -> Manifest:
    spec |= {"backendRef": {"name": name, "port": 80}, "forwardBody": {"maxSize": body}}
    return {"type": "ExternalAuth", "externalAuth": spec}


TAKEN: dict[str, Any] = {"allowedResponseHeaders": ["X-User", "X-Asked"]}
CALLS: dict[str, Any] = {"matches": [{"path": {"type": "PathPrefix", "value": "/test.Echo"}}]}
RULES = [
    rule("shop", "/http", [by_http(path="/check", **TAKEN)]),
    rule("shop", "/grpc", [by_grpc()]),
    rule("shop", "/http/body", [by_http(body=1000, **TAKEN)]),
    rule("shop", "/grpc/body", [by_grpc(body=1000)]),
    rule("shop", "/gone", [by_http("gone")]),
    rule("shop", "/gone-grpc", [by_grpc("gone")]),
    rule("calls", filters=[by_grpc()], **CALLS),
]


class Site:
    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.http, self.grpc = HttpService(), CallService()
        self.calls = CallServer("calls")
        shop = Echo("shop")
        for one in (self.http, self.grpc, self.calls, shop):
            stack.callback(one.stop)
        folder = Folder(scratch / "manifests")
        config = {"apiVersion": "gatewayd.dev/v1alpha1", "kind": "GatewayConfig", "metadata": {"name": "short"},
                  "spec": {"timeouts": {"authorization": "2s"}}}  # fmt: skip
        parameters = {"parametersRef": {"group": "gatewayd.dev", "kind": "GatewayConfig", "name": "short"}}
        folder.write("web.yaml", gateway_class(), config, gateway(listener("http", 80), infrastructure=parameters))
        ports = {"shop": shop.port, "http": self.http.port, "grpc": self.grpc.port, "gone": free_port()}
        folder.write("backends.yaml", *(one for name, port in ports.items() for one in service(name, port)))
        calls = service("calls", self.calls.port)
        calls[0]["spec"]["ports"][0]["appProtocol"] = "kubernetes.io/h2c"
        folder.write("calls.yaml", *calls)
        folder.write("routes.yaml", http_route("all", *RULES))
        self.gateway = Gateway(folder.path, ports=[80], workers=2)
        stack.callback(self.gateway.stop)
        self.port = self.gateway.ports[80]

    def reason(self, path: str) -> str:
        """The word of the access line of a request for this path."""
        line = self.gateway.line(f'"path":"{re.escape(path)}"')[0]
        found = next(text for text in self.gateway.lines if line in text)
        return str(json.loads(found)["reason"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("auth"), stack)


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_known_passes(site: Site, kind: str):
    headers = {"Authorization": "Bearer ann", "X-User": "root", "X_User": "root", "x-user": "root"}
    reply = fetch(site.port, f"/{kind}/a?x=1", headers=headers)
    assert reply.status == 200
    seen = reply.json["headers"]
    asked = {"http": "GET /check/http/a?x=1", "grpc": "GET /grpc/a?x=1"}
    assert (seen["x-user"], seen["x-asked"], "x_user" in seen) == (["ann"], [asked[kind]], False)
    left = {"http": (True, None), "grpc": (False, "ann")}
    assert ("authorization" in seen, reply.headers.get("x-seen")) == left[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_not_known_does_not(site: Site, kind: str):
    path = f"/{kind}/denied"
    reply = fetch(site.port, path, headers={"X-User": "root"})
    assert (reply.status, reply.body) == (401, b"who are you?")
    assert reply.headers["www-authenticate"] == "Bearer"
    assert site.reason(path) == "auth_denied"


@pytest.mark.parametrize("kind", KINDS)
def test_clients_of_http2(site: Site, kind: str):
    ask = ["--http2-prior-knowledge", "-w", "%{http_code} %{http_version}", f"http://127.0.0.1:{site.port}/{kind}/two"]
    assert curl("-o", "/dev/null", "-H", "Authorization: Bearer ann", *ask) == "200 2"
    assert curl(*ask) == "who are you?401 2"


def test_what_a_grpc_service_is_told(site: Site):
    fetch(site.port, "/grpc/told?x=1", host="shop.test", headers={"Authorization": "Bearer ann", "Cookie": "a=b"})
    http = wait_until(lambda: site.grpc.newest if site.grpc.newest.path == "/grpc/told?x=1" else None, "it was asked")
    assert (http.method, http.host, http.scheme, http.protocol) == ("GET", "shop.test", "http", "HTTP/1.1")
    assert http.headers["cookie"] == "a=b"
    assert http.headers["x-forwarded-for"] == "127.0.0.1"
    assert http.headers["x-request-id"] == http.id


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 1000])
def test_bodies_are_shown(site: Site, kind: str, size: int):
    body = bytes(range(256)) * 4
    reply = fetch(site.port, f"/{kind}/body", method="POST", headers={"Authorization": "Bearer ann"}, body=body[:size])
    assert reply.json["body"]["length"] == size
    shown = site.http.bodies[-1] if kind == "http" else site.grpc.newest.raw_body or site.grpc.newest.body.encode()
    assert shown == body[:size]


@pytest.mark.parametrize("kind", KINDS)
def test_longer_bodies_do_not_pass(site: Site, kind: str):
    reply = fetch(site.port, f"/{kind}/body", method="POST", headers={"Authorization": "Bearer ann"}, body=b"x" * 1001)
    assert reply.status == 413
    url = f"http://127.0.0.1:{site.port}/{kind}/body"
    chunked = ["-H", "Transfer-Encoding: chunked", "-H", "Authorization: Bearer ann", "-d", "x" * 1001]
    assert curl("-o", "/dev/null", "-w", "%{http_code}", *chunked, url) == "413"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", ["--http1.1", "--http2-prior-knowledge"])
def test_long_bodies_wait_for_the_verdict(site: Site, kind: str, version: str, tmp_path: Path):
    long = tmp_path / "long"
    long.write_bytes(b"x" * 3_000_000)
    url = f"http://127.0.0.1:{site.port}/{kind}"
    passed = curl(version, "-H", "Authorization: Bearer ann", "--data-binary", f"@{long}", url)
    assert json.loads(passed)["body"]["length"] == 3_000_000
    if version == "--http1.1":  # curl 7.88 does not take an answer by HTTP/2 while it sends
        assert curl("-o", "/dev/null", "-w", "%{http_code}", "--data-binary", f"@{long}", url) == "401"


CLOSED = [
    ("/gone", "Bearer ann", 503, "auth_unreachable"),
    ("/gone-grpc", "Bearer ann", 503, "auth_unreachable"),
    ("/http/slow", "Bearer slow", 504, "auth_timeout"),
    ("/grpc/broken", "Bearer broken", 502, "auth_call_failed_13"),
]


@pytest.mark.parametrize(("path", "token", "status", "reason"), CLOSED)
def test_fails_closed(site: Site, path: str, token: str, status: int, reason: str):
    assert fetch(site.port, path, headers={"Authorization": token}).status == status
    assert site.reason(path) == reason


def test_calls(site: Site):
    with channel(site.port, "calls.test") as opened:
        call = opened.unary_unary("/test.Echo/Unary")
        answer, done = call.with_call(b"hello", timeout=PATIENCE, metadata=(("authorization", "Bearer ann"),))
        assert answer == b"hello"
        assert ("x-seen", "ann") in [(entry.key, entry.value) for entry in done.initial_metadata()]
        assert ("x-user", "ann") in site.calls.metadata
        with pytest.raises(grpc.RpcError) as denied:
            call(b"hello", timeout=PATIENCE)
        assert denied.value.code() == grpc.StatusCode.UNAUTHENTICATED
        with pytest.raises(grpc.RpcError) as broken:
            call(b"hello", timeout=PATIENCE, metadata=(("authorization", "Bearer broken"),))
        assert broken.value.code() == grpc.StatusCode.UNAVAILABLE
        talk = opened.stream_stream("/test.Echo/Talk")
        words = [b"one", b"two", b"three"]
        assert list(talk(iter(words), timeout=PATIENCE, metadata=(("authorization", "Bearer ann"),))) == words


def asks(site: Site, kind: str, numbers: range) -> list[str]:
    """Requests on one connection, every third of somebody unknown; what went wrong."""
    wrong = []
    with keep_alive(site.port) as connection:
        for number in numbers:
            headers = {"Authorization": f"Bearer user-{number}"} if number % 3 else {}
            reply = exchange(connection, f"/{kind}/{number}", headers=headers, method="POST", body=b"x" * (number % 7))
            found = reply.json["headers"]["x-user"] if reply.status == 200 else reply.status
            if found != ([f"user-{number}"] if number % 3 else 401):
                wrong.append(f"{number}: {found}")
    return wrong


@pytest.mark.parametrize("kind", KINDS)
def test_each_of_many_gets_its_own_verdict(site: Site, kind: str):
    parts = [range(start, REQUESTS, 20) for start in range(20)]
    with ThreadPoolExecutor(len(parts)) as pool:
        assert [wrong for found in pool.map(lambda part: asks(site, kind, part), parts) for wrong in found] == []


def test_they_are_counted(site: Site):
    metrics = fetch(site.gateway.admin, "/metrics").body.decode()
    counts = {name: float(value) for name, value in re.findall(COUNTS, metrics, re.MULTILINE)}
    assert set(counts) == {"asked", "denied", "failed"}
    assert counts["asked"] >= counts["denied"] + counts["failed"] > 0
    assert "Traceback" not in site.gateway.output
    assert re.search(r"^gatewayd_exceptions_total 0\.0$", metrics, re.MULTILINE)
