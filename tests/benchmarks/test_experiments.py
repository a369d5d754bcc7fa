"""The experiments: memory for connections and bodies, starts and reloads; and how they are shown."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
import yaml

from benchmarks import idle, reload, report
from benchmarks.estate import Estate
from benchmarks.experiments import EXPERIMENTS, Column
from benchmarks.measure import raise_open_files
from benchmarks.peers import PEERS, gatewayd
from benchmarks.reload import Asked, Change
from benchmarks.start import size
from tests.benchmarks.test_command import benchmarks

ROW = {"size": "quickstart", "change": "route added", "changes": 2, "median_ms": 20.04, "max_ms": 1031.0}
RELOADS = {"reload": [{**ROW, "supervisor_ms": 2.5}]}
DOCUMENT: dict[str, Any] = {
    "started": "2026-01-01T00:00:00+00:00",
    "machine": {"kernel": "6.1"},
    "versions": {"gatewayd": "0.1"},
    "settings": {"gatewayd": "one worker; " + "and more of it " * 20},
    "options": {"rounds": 3, "seconds": 1.0, "access_log": False},
    "omission": "grpc is left out: no Go",
    "rows": [],
    "experiments": RELOADS,
}


@pytest.mark.timeout(900)
def test_the_smoke_run_makes_every_experiment() -> None:
    finished = benchmarks("--smoke", "--only", ",".join(EXPERIMENTS))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    for experiment in EXPERIMENTS.values():
        assert experiment.title in finished.stdout
    for kind in ("route added", "route changed", "route removed", "endpoint changed"):
        assert finished.stdout.count(kind) == 4  # two sizes, told twice


def test_the_report_shows_experiments_and_settings_and_what_is_missing() -> None:
    text = report.markdown(DOCUMENT)
    assert "| size | change | changes | median ms | max ms | supervisor ms |" in text
    assert "| --- | --- | ---: | ---: | ---: | ---: |" in text
    assert "| quickstart | route added | 2 | 20.0 | 1,031.0 | 2.5 |" in text
    assert "- **gatewayd**: one worker; and more" in text
    assert "grpc is left out: no Go" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_terminal_shows_experiments() -> None:
    lines = report.text(DOCUMENT).splitlines()
    assert lines[1] == EXPERIMENTS["reload"].title
    assert lines[3].split() == ["quickstart", "route", "added", "2", "20.0", "1,031.0", "2.5"]


def test_a_later_run_replaces_the_experiments_that_it_has() -> None:
    later = {**DOCUMENT, "experiments": {"start": []}, "settings": {"envoy": "as shipped"}}
    both = report.merged([DOCUMENT, later])
    assert both["experiments"] == {**RELOADS, "start": []}
    assert set(both["settings"]) == {"gatewayd", "envoy"}


def test_every_proxy_tells_its_settings() -> None:
    assert all(peer.settings for peer in PEERS.values())


def test_a_column_scales_numbers_and_leaves_words() -> None:
    assert Column("kB", "bytes", 1, 0.001).cell({"bytes": 1_234_567}) == "1,234.6"
    assert Column("size", "size").cell({"size": "small"}) == "small"


def test_a_worker_more_where_one_has_too_few_descriptors() -> None:
    limit = raise_open_files()
    assert gatewayd.workers(1) == 1
    assert gatewayd.workers(limit) == 3


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    theirs.settimeout(60)
    with ours, theirs:
        yield ours, theirs


def serve(connection: socket.socket) -> list[h2.events.Event]:
    """A server by the h2 library; what it saw until a request was answered."""
    made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
    made.initiate_connection()
    connection.sendall(made.data_to_send())
    seen: list[h2.events.Event] = []
    while not any(isinstance(event, h2.events.RequestReceived) for event in seen):
        seen += made.receive_data(connection.recv(65536))
        connection.sendall(made.data_to_send())
    made.send_headers(1, [(":status", "200")])
    made.send_data(1, b"x" * 100, end_stream=True)
    connection.sendall(made.data_to_send())
    return seen


def test_settings_go_both_ways_and_a_request_is_answered(pair: tuple[socket.socket, socket.socket]) -> None:
    with ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve, pair[1])
        idle.greet(pair[0])
        idle.request2(pair[0], idle.block(tls=False))
    kinds = [type(event) for event in served.result()]
    assert h2.events.SettingsAcknowledged in kinds
    asked = next(event for event in served.result() if isinstance(event, h2.events.RequestReceived))
    assert (b":path", b"/api/") in (asked.headers or ())


def test_a_connection_that_was_closed_does_not_stand(pair: tuple[socket.socket, socket.socket]) -> None:
    assert idle.standing([pair[0]]) == 1
    pair[1].close()
    assert idle.standing([pair[0]]) == 0
    assert idle.each(idle.request, [pair[0]]) == 1


def test_a_frame_has_nine_bytes_before_its_payload() -> None:
    assert idle.frame(1, 5, 3, b"ab") == b"\0\0\2\1\5" + struct.pack(">L", 3) + b"ab"


def test_an_estate_has_a_file_for_each_route(tmp_path: Path) -> None:
    estate = Estate(tmp_path / "estate", 250, 9)
    routes = sorted(estate.folder.glob("routes-*/*.yaml"))
    assert len(routes) == 250
    assert {path.parent.name for path in routes} == {"routes-0", "routes-1", "routes-2"}
    assert json.loads(routes[0].read_text())["spec"]["parentRefs"] == [{"name": "quickstart"}]
    assert [*yaml.safe_load_all((estate.folder / "gateway.yaml").read_text())][-1]["metadata"]["name"] == "quickstart"
    assert not [*(estate.folder / ".aside").iterdir()]


def test_a_round_changes_what_the_one_before_left(tmp_path: Path) -> None:
    estate = Estate(tmp_path / "estate", 0, 1001)
    for number in range(3):
        before = (estate.folder / reload.PLACE).read_text()
        for change in reload.round_of(estate, number, (1001, 1002)):
            change.make()
            assert not change.reached((503, 0))
            if change.name == "route removed":
                assert not (estate.folder / reload.CHANGING).exists()
        assert (estate.folder / reload.PLACE).read_text() != before


def test_a_change_is_in_force_when_every_worker_says_so() -> None:
    class Worker:
        def __init__(self, *answers: int) -> None:
            self.answers = list(answers)

        def ask(self, _: str) -> tuple[int, int]:
            return self.answers.pop(0), 0

    made: list[bool] = []
    change = Change("", lambda: made.append(True), "/", lambda answer: answer[0] == 200)
    workers: list[Any] = [Worker(404, 200), Worker(404, 404, 200), Worker(200)]
    waiting: list[Asked] = workers
    assert 0 < reload.seconds(change, waiting) < reload.PATIENCE
    assert made == [True]
    assert [worker.answers for worker in workers] == [[], [], []]


def test_sizes_have_names() -> None:
    assert (size(0), size(10_000)) == ("quickstart", "10,000 routes")
