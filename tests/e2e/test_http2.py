"""HTTP/2 through real processes, with real clients: curl, h2load; to backends with HTTP/1.1 and with HTTP/2."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.manifests import Folder, Manifest, gateway, gateway_class, http_route, https, listener, rule, secret, service
from tests.processes import Echo, Gateway, wait_until
from tests.talk import curl, fetch, program

BACKENDS = ["one", "two"]  # by HTTP/1.1, and by HTTP/2
LENGTH = 5_000_000


class Site:
    """A gateway before two echo backends: `/one` is asked by HTTP/1.1, `/two` by HTTP/2."""

    def __init__(self, scratch: Path, stack: ExitStack) -> None:
        self._stack = stack
        self.echoes = {name: self._start(name) for name in BACKENDS}
        certificate, key = scratch / "c.pem", scratch / "k.pem"
        self_signed("shop.test", certificate, key)
        folder = Folder(scratch / "manifests")
        rules = [rule(name, f"/{name}", [_strip()]) for name in BACKENDS]
        folder.write(
            "web.yaml",
            gateway_class(),
            gateway(listener("http", 80), https("https", 443, "web")),
            secret("web", certificate.read_bytes(), key.read_bytes()),
            http_route("all", *rules),
            *service("one", self.echoes["one"].port),
            *_h2c(service("two", self.echoes["two"].port)),
        )
        self.gateway = Gateway(folder.path, ports=[80, 443])
        stack.callback(self.gateway.stop)
        self.urls = [f"http://127.0.0.1:{self.gateway.ports[80]}", f"https://shop.test:{self.gateway.ports[443]}"]

    def _start(self, name: str, port: int = 0) -> Echo:
        echo = Echo(name, port=port)
        self._stack.callback(echo.stop)
        return echo

    def restart(self, name: str) -> None:
        """Kill a backend, and start it anew on its port."""
        self.echoes[name].signal(signal.SIGKILL)
        self.echoes[name].wait()
        self.echoes[name] = self._start(name, self.echoes[name].port)
        self._stack.callback(self.echoes[name].stop)

    def curl(self, url: str, path: str, *options: str) -> str:
        version = "--http2-prior-knowledge" if url.startswith("http:") else "--http2"
        resolve = f"shop.test:{self.gateway.ports[443]}:127.0.0.1"
        return curl(version, "-k", "--resolve", resolve, *options, url + path)

    def metric(self, name: str) -> float:
        metrics = fetch(self.gateway.admin, "/metrics").body.decode()
        found = re.findall(rf"^{name}(?:{{.*}})? (.*)$", metrics, re.MULTILINE)
        assert found, metrics
        return sum(map(float, found))


def _strip() -> Manifest:
    path = {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/"}
    return {"type": "URLRewrite", "urlRewrite": {"path": path}}


def _h2c(objects: list[Manifest]) -> list[Manifest]:
    for found in objects:
        if found["kind"] == "Service":
            for port in found["spec"]["ports"]:
                port["appProtocol"] = "kubernetes.io/h2c"
    return objects


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(tmp_path_factory.mktemp("http2"), stack)


def test_curl_by_prior_knowledge_and_by_alpn(site: Site):
    for url in site.urls:
        for name in BACKENDS:
            shown = site.curl(url, f"/{name}/hello", "-o", "/dev/null", "-w", "%{http_version} %{http_code}")
            assert shown == "2 200"
            assert name in site.curl(url, f"/{name}/hello")


def test_an_offer_to_upgrade_is_passed_over(site: Site):
    """RFC 9113 section 3.1: the upgrade of HTTP/1.1 to h2c is no more."""
    shown = curl("--http2", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", site.urls[0] + "/one/")
    assert shown == "1.1 200"


def test_large_bodies_in_both_directions(site: Site, tmp_path: Path):
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(range(256)) * (LENGTH // 256))
    size = upload.stat().st_size
    for url in site.urls:
        for name in BACKENDS:
            shown = site.curl(url, f"/{name}/bytes/{LENGTH}", "-o", "/dev/null", "-w", "%{size_download}")
            assert int(shown) == LENGTH
            shown = site.curl(
                url,
                f"/{name}/upload",
                "--data-binary",
                f"@{upload}",
                "-o",
                "/dev/null",
                "-w",
                "%{http_code} %{size_upload}",
            )
            assert shown == f"200 {size}"


def test_several_streams_of_one_connection(site: Site):
    url = site.urls[1]
    paths = [part for number in range(20) for part in (f"{url}/{BACKENDS[number % 2]}/bytes/100000", "-o", "/dev/null")]
    shown = site.curl(url, "/one/", "-Z", "-o", "/dev/null", "-w", "%{http_version} %{http_code}\n", *paths)
    assert shown.splitlines() == ["2 200"] * 21


@pytest.mark.parametrize("name", BACKENDS)
def test_h2load(site: Site, name: str):
    for url in site.urls:
        target = url.replace("shop.test", "127.0.0.1") + f"/{name}/"
        command = [program("h2load"), "-n", "1000", "-c", "4", "-m", "16", target]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        assert "1000 succeeded, 0 failed" in done.stdout, done.stdout
    wait_until(lambda: site.metric("gatewayd_requests_in_flight") == 0, "nothing is in flight")


def test_nothing_is_left_and_nothing_failed(site: Site):
    wait_until(lambda: site.metric("gatewayd_requests_in_flight") == 0, "nothing is in flight")
    assert not [line for line in site.gateway.lines if "exception" in line.lower() or "traceback" in line.lower()]


@pytest.mark.parametrize("name", BACKENDS)
def test_a_backend_that_starts_anew_is_not_noticed(site: Site, name: str):
    site.curl(site.urls[0], f"/{name}/")
    site.restart(name)
    assert name in site.curl(site.urls[0], f"/{name}/")


def test_a_drain_lets_streams_finish(tmp_path: Path):
    with ExitStack() as stack:
        site = Site(tmp_path, stack)
        shown: list[str] = []

        def ask(url: str, name: str) -> None:
            shown.append(site.curl(url, f"/{name}/?delay=1.5", "-o", "/dev/null", "-w", "%{http_version} %{http_code}"))

        asking = [threading.Thread(target=ask, args=(url, name)) for url in site.urls for name in BACKENDS]
        for thread in asking:
            thread.start()
        wait_until(lambda: site.metric("gatewayd_requests_in_flight") == 4, "all are in flight")
        site.gateway.signal(signal.SIGTERM)
        for thread in asking:
            thread.join(60)
        assert shown == ["2 200"] * 4
        assert site.gateway.wait() == 0
