"""Session persistence through real gateways of two workers, and clients that keep what they are given: curl with a jar,
websockets, grpcio. Sessions know nothing of workers, restarts and replicas.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.sync.client import connect

from gatewayd.cli import main
from tests.certificates import self_signed
from tests.e2e.call_server import CallServer, channel
from tests.manifests import (
    Folder,
    Manifest,
    gateway,
    gateway_class,
    grpc_route,
    http_route,
    https,
    listener,
    rule,
    secret,
    service,
)
from tests.processes import PATIENCE, Echo, Gateway, wait_until, workers
from tests.talk import curl, fetch

COOKIE = {"cookie": {"name": "sid"}}
FIELD = {"type": "Header", "header": {"name": "X-Session"}}
SHORT = {"type": "Header", "header": {"name": "X-Session"}, "absoluteTimeout": "300ms"}
CALLS = "calls.test"
GOING = {"ready": False, "serving": True, "terminating": True}


def routes(**weights: int) -> list[Manifest]:
    """The routes; `weights` are those of the Services behind `/split`."""
    return [
        http_route(
            "site",
            rule("shop", "/cart", name="cart", sessionPersistence=COOKIE),
            rule("shop", "/api", name="api", sessionPersistence=FIELD),
            rule("shop", "/short", name="short", sessionPersistence=SHORT),
            rule(weights or {"old": 1, "new": 1}, "/split", name="split", sessionPersistence={"cookie": {}}),
            rule("shop", "/ws", name="ws", sessionPersistence={"cookie": {"name": "wid"}}),
            hostnames=["localhost"],
        ),
        grpc_route("calls", rule("calls", sessionPersistence=FIELD), hostnames=[CALLS]),
    ]


class Site:
    """Two endpoints of the Service shop, each of which is also a Service of its own; and the same for calls."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self.scratch = scratch
        self.echoes = [Echo(name) for name in ("one", "two")]
        self.callees = [CallServer(name) for name in ("one", "two")]
        for stop in (*(one.stop for one in self.echoes), *(one.stop for one in self.callees)):
            stack.callback(stop)
        self.folder = Folder(scratch / "manifests")
        listeners = [listener("http", 80), https("https", 443, "cert")]
        pair = scratch / "tls.crt", scratch / "tls.key"
        self_signed("localhost", *pair)
        certificate = secret("cert", *(path.read_bytes() for path in pair))
        self.folder.write("gateway.yaml", gateway_class(), gateway(*listeners), certificate)
        ports = [one.port for one in self.echoes]
        self.folder.write("backends.yaml", *service("old", ports[0]), *service("new", ports[1]))
        self.folder.write("calls.yaml", *service("calls", *(one.port for one in self.callees)))
        self.folder.write("shop.yaml", *service("shop", *ports))
        self.folder.write("routes.yaml", *routes())
        self.gateway = self.start(stack)

    def start(self, stack: ExitStack) -> Gateway:
        """One more gateway with these files."""
        started = Gateway(self.folder.path, ports=[80, 443], workers=2)
        stack.callback(started.stop)
        return started

    @property
    def port(self) -> int:
        return self.gateway.ports[80]

    def browser(self, name: str) -> Browser:
        """A browser that was never here before."""
        jar = self.scratch / f"{name}.jar"
        jar.unlink(missing_ok=True)
        return Browser(jar)

    def drains(self, number: int) -> None:
        """One endpoint of shop is terminating and still serves."""
        slices = service("shop", *(one.port for one in self.echoes))
        slices[1 + number]["endpoints"][0]["conditions"] = GOING
        self.folder.write("shop.yaml", *slices)


class Browser:
    """curl with a cookie jar: a new connection for each request, so whichever worker."""

    def __init__(self, jar: Path) -> None:
        self.jar = jar

    def asks(self, port: int, path: str, scheme: str = "http") -> str:
        """The name of the backend that answered."""
        options = ("-k", "-b", str(self.jar), "-c", str(self.jar))
        name: str = json.loads(curl(*options, f"{scheme}://localhost:{port}{path}"))["name"]
        return name

    def begins_at(self, name: str, port: int, path: str) -> None:
        """Forget all cookies until the session is at that backend."""
        while self.asks(port, path) != name:
            self.jar.unlink()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """For tests that change nothing."""
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("sticky"), stack)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


def begins(port: int, path: str = "/cart") -> set[str]:
    """The backends at which twenty clients without a session are answered."""
    return {fetch(port, path, host="localhost").json["name"] for _ in range(20)}


def test_a_browser_stays_at_its_endpoint(shared: Site):
    assert begins(shared.port) == {"one", "two"}
    for name in ("one", "two"):
        browser = shared.browser(name)
        browser.begins_at(name, shared.port, "/cart")
        kept = browser.jar.read_text()
        assert {browser.asks(shared.port, "/cart/more") for _ in range(15)} == {name}
        assert browser.jar.read_text() == kept, "no answer gave it another token"


def test_explain_follows_a_token(shared: Site, capsys: pytest.CaptureFixture[str]):
    reply = fetch(shared.port, "/cart", host="localhost")
    (port,) = [one.port for one in shared.echoes if one.name == reply.json["name"]]
    cookie = reply.headers["set-cookie"].partition(";")[0]
    options = ("--request", "GET http://localhost/cart", "-H", f"Cookie: {cookie}")
    assert main(["explain", str(shared.folder.path), *options]) == 0
    said = capsys.readouterr().out
    assert f"the request's token leads to 127.0.0.1:{port} of default/shop:80, whatever the weights" in said


def test_two_rules_have_two_sessions(shared: Site):
    browser = shared.browser("one")
    browser.begins_at("one", shared.port, "/cart")
    browser.begins_at("two", shared.port, "/split")  # forgets both where it has to
    browser.asks(shared.port, "/cart")
    assert sum("sid" in line or "gatewayd-" in line for line in browser.jar.read_text().splitlines()) == 2
    assert {browser.asks(shared.port, "/split") for _ in range(10)} == {"two"}


def test_sessions_outlive_workers_and_gateways(site: Site, tmp_path: Path):
    browser = site.browser("two")
    browser.begins_at("two", site.port, "/cart")
    for victim in workers(site.gateway.pid):
        _kill(site, victim)
        assert {browser.asks(site.port, "/cart") for _ in range(10)} == {"two"}
    with ExitStack() as stack:
        replica = site.start(stack)
        assert {browser.asks(replica.ports[80], "/cart") for _ in range(10)} == {"two"}
        site.gateway.stop()
        again = site.start(stack)
        assert {browser.asks(again.ports[80], "/cart") for _ in range(10)} == {"two"}


def _kill(site: Site, victim: int) -> None:
    """End a worker, and wait until another has taken its place."""
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{victim}").exists(), "the killed worker is gone")
    wait_until(lambda: len(workers(site.gateway.pid)) == 2, "there is another one")
    wait_until(lambda: _answers(site.port), "the port is served")


def _answers(port: int) -> bool:
    try:
        return fetch(port, "/cart", host="localhost").status == 200
    except OSError:
        return False


def test_a_session_beats_weights_that_change(site: Site):
    browser = site.browser("one")
    browser.begins_at("one", site.port, "/split")
    site.folder.write("routes.yaml", *routes(old=0, new=1))
    wait_until(lambda: begins(site.port, "/split") == {"two"}, "new sessions go to the new Service only")
    assert {browser.asks(site.port, "/split") for _ in range(10)} == {"one"}


def test_draining_and_gone(site: Site):
    browser = site.browser("one")
    browser.begins_at("one", site.port, "/cart")
    site.drains(0)
    wait_until(lambda: begins(site.port) == {"two"}, "new sessions go elsewhere")
    assert {browser.asks(site.port, "/cart") for _ in range(10)} == {"one"}
    site.echoes[0].stop()
    assert {browser.asks(site.port, "/cart") for _ in range(10)} == {"two"}, "and no request was lost on the way"


def test_an_endpoint_dies_without_a_word(site: Site):
    browser = site.browser("one")
    browser.begins_at("one", site.port, "/cart")
    site.echoes[0].signal(signal.SIGKILL)
    site.echoes[0].wait()
    assert {browser.asks(site.port, "/cart") for _ in range(10)} == {"two"}


def test_a_program_with_a_field(shared: Site):
    first = fetch(shared.port, "/api", host="localhost")
    shown = {"X-Session": first.headers["x-session"]}
    for _ in range(15):
        reply = fetch(shared.port, "/api", host="localhost", headers=shown)
        assert (reply.json["name"], reply.headers.get("x-session")) == (first.json["name"], None)


def test_a_session_ends_with_its_time(shared: Site):
    token = fetch(shared.port, "/short", host="localhost").headers["x-session"]

    def new() -> str | None:
        return fetch(shared.port, "/short", host="localhost", headers={"X-Session": token}).headers.get("x-session")

    assert wait_until(new, "the session is over") != token


def test_tls_and_http2(shared: Site):
    port = shared.gateway.ports[443]
    answer = curl("-k", "-i", "--http2", f"https://localhost:{port}/cart")
    assert answer.startswith("HTTP/2 200")
    (cookie,) = [line for line in answer.splitlines() if line.lower().startswith("set-cookie: sid=")]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")
    browser = shared.browser("tls")
    first = browser.asks(port, "/cart", "https")
    assert {browser.asks(port, "/cart", "https") for _ in range(10)} == {first}


def test_a_websocket_begins_and_shows_a_session(shared: Site):
    url = f"ws://localhost:{shared.port}/ws"

    def opened(**shown: str) -> tuple[str, str]:
        """The token of the 101, and what was sent back."""
        with connect(url, additional_headers=shown) as client:
            client.send("hello")
            assert client.response is not None
            return (client.response.headers.get("Set-Cookie") or "").partition(";")[0], str(client.recv())

    cookie, said = opened()
    assert (cookie[:4], said) == ("wid=", "hello")
    name = fetch(shared.port, "/ws", host="localhost", headers={"Cookie": cookie}).json["name"]
    (port,) = [one.port for one in shared.echoes if one.name == name]
    for _ in range(5):
        assert opened(Cookie=cookie) == ("", "hello")
    shared.gateway.line(rf'"path":"/ws","status":101,.*"backend":"127.0.0.1:{port}"', count=6)


def test_calls_of_grpc(shared: Site):
    def called(*shown: tuple[str, str]) -> tuple[str, str | None]:
        """Over a connection of its own: the server, and the token."""
        with channel(shared.port, CALLS) as opened:
            call = opened.unary_unary("/a.Service/Unary").future(b"hello", timeout=PATIENCE, metadata=shown)
            first = {entry.key: entry.value for entry in call.initial_metadata()}
            assert call.result() == b"hello"
            return first["server"], first.get("x-session")

    tokens: dict[str, str | None] = {}
    while len(tokens) < 2:
        server, token = called()
        tokens[server] = token
    for server, token in tokens.items():
        assert token
        assert {called(("x-session", token)) for _ in range(8)} == {(server, None)}


def test_calls_over_one_connection(shared: Site):
    with channel(shared.port, CALLS) as opened:
        ask = opened.unary_unary("/a.Service/Unary")
        first: dict[str, str] = dict(ask.with_call(b"", timeout=PATIENCE)[1].initial_metadata())
        shown = (("x-session", first["x-session"]),)
        calls = [ask.future(b"", timeout=PATIENCE, metadata=shown) for _ in range(20)]
        assert {dict(call.initial_metadata())["server"] for call in calls} == {first["server"]}
