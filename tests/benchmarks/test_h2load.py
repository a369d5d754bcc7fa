"""What h2load prints, and what becomes of it; and the one request over HTTP/2 that comes before it."""

from __future__ import annotations

import dataclasses
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from benchmarks import backend, client, driver, h2load, http2
from benchmarks.outcome import GIB, Target, percentiles
from benchmarks.peers.peer import find
from benchmarks.site import GREETING, LAYERS, Ports, Site, write_certificate
from benchmarks.workloads import WORKLOADS
from tests.processes import free_port, wait_until

PRINTED = """\
finished in {time}, 58221.95 req/s, 3.94MB/s
requests: {total} total, 60667 started, 60603 done, {succeeded} succeeded, 39397 failed, 39397 errored, 0 timeout
status codes: 60603 2xx, 0 3xx, 0 4xx, 0 5xx
"""
NEEDS = pytest.mark.skipif(not (find("h2load") and find("nginx")), reason="h2load and nginx are not installed")


@pytest.mark.parametrize(("time", "seconds"), [("290us", 0.00029), ("340.91ms", 0.34091), ("8.04s", 8.04)])
def test_the_summary_tells_time_and_requests(time: str, seconds: float) -> None:
    outcome = h2load.parse(PRINTED.format(time=time, total=100000, succeeded=60603))
    assert (outcome.count, outcome.errors) == (60603, 39397)
    assert outcome.seconds == pytest.approx(seconds)


def test_a_summary_without_figures_is_no_result() -> None:
    with pytest.raises(ValueError, match="no result"):
        h2load.parse("starting benchmark...\n")


def test_the_log_gives_the_time_of_each_request_that_was_answered() -> None:
    assert h2load.times("1795\t200\t1313\n1796\t-1\t7\n1797\t503\t9\n1798\t200\t1336\n") == [1313, 1336]


def test_percentiles_are_those_of_the_sorted_times() -> None:
    assert percentiles(range(100, 0, -1)) == (51, 100)
    assert percentiles([]) == (0, 0)


@pytest.fixture
def site(start: Callable[..., Any], tmp_path: Path) -> Site:
    """The backend, with HTTP/2 on its second port."""
    made = Site(tmp_path, free_port(), free_port(), free_port())
    launch = backend.launch(made, tmp_path, body=100)
    start(*launch.command)

    def listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", made.backend_h2)) == 0

    wait_until(listening, "the backend listens")
    return made


@NEEDS
def test_requests_are_counted_and_timed(site: Site) -> None:
    outcome = h2load.run(Target(site.backend_h2, http2=True), 0.2, h2load.Load(4, 16))
    assert outcome.count >= 64
    assert outcome.errors == 0
    assert outcome.seconds > h2load.PACE
    assert 0 < outcome.p50 <= outcome.p99


@NEEDS
def test_a_backend_that_is_away_is_an_error_for_each_stream() -> None:
    outcome = h2load.run(Target(free_port(), http2=True), 0.2, h2load.Load(2, 3))
    assert (outcome.count, outcome.errors, outcome.p99) == (0, 6, 0)


@NEEDS
def test_one_body_is_counted_in_gib(site: Site) -> None:
    target = Target(site.backend_h2, http2=True)
    for move in (h2load.download, h2load.upload):
        outcome = move(target, 100)
        assert (outcome.count * GIB, outcome.errors) == (100, 0)


@NEEDS
def test_a_body_of_another_length_is_an_error(site: Site) -> None:
    outcome = h2load.download(Target(site.backend_h2, http2=True), 101)
    assert (outcome.count, outcome.errors) == (0, 1)


@NEEDS
def test_the_question_before_the_load_speaks_http2(site: Site) -> None:
    target = Target(site.backend_h2, http2=True)
    assert http2.get(target, "/api/") == (200, len(GREETING))
    assert http2.get(target, "/files/body") == (200, 100)
    with pytest.raises(driver.WrongError, match="envoy: localhost/files/body was answered with status 200 and 100"):
        driver.expect(target, "/files/body", "envoy")


@pytest.mark.parametrize("protocols", [["http/1.1"], ["h2", "http/1.1"]], ids=["h1", "h2"])
def test_over_tls_the_other_side_must_select_h2(protocols: list[str], tmp_path: Path) -> None:
    site = Site(tmp_path, 0, 0, 0)
    write_certificate(site)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.certificate, site.private_key)
    context.set_alpn_protocols(protocols)
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(lambda: context.wrap_socket(listener.accept()[0], server_side=True))
        target = Target(listener.getsockname()[1], tls=True, http2=True)
        with nullcontext() if "h2" in protocols else pytest.raises(ConnectionError, match="ALPN"):
            client.connect(target).close()
        accepted.result().close()


def test_every_layer_has_a_port_and_every_workload_a_layer() -> None:
    assert {layer.port for layer in LAYERS.values()} == {field.name for field in dataclasses.fields(Ports)}
    assert {workload.layer for workload in WORKLOADS.values()} == set(LAYERS)
