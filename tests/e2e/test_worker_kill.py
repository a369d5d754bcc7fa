"""A worker that is killed costs its own open connections, nothing else."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.load import Load
from tests.manifests import Folder, gateway, gateway_class, http_route, listener, rule, service
from tests.processes import Echo, Gateway, wait_until, workers
from tests.talk import exchange, fetch, keep_alive


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Gateway]:
    with ExitStack() as stack:
        backend = Echo("echo")
        stack.callback(backend.stop)
        folder = Folder(tmp_path / "manifests")
        route = http_route("all", rule("echo"))
        folder.write("all.yaml", gateway_class(), gateway(listener("http", 80)), *service("echo", backend.port), route)
        process = Gateway(folder.path, ports=[80], workers=2)
        stack.callback(process.stop)
        yield process


def inodes(pid: int) -> set[str]:
    """The sockets that a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except FileNotFoundError:  # closed meanwhile
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def owner(connection: socket.socket, pids: list[int]) -> int:
    """The worker that serves a client's connection, found by the socket with the addresses the other way round."""
    local, remote = connection.getsockname()[1], connection.getpeername()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        if (int(words[1].split(":")[1], 16), int(words[2].split(":")[1], 16)) == (remote, local):
            return next(pid for pid in pids if words[9] in inodes(pid))
    raise AssertionError(f"no worker has the connection {local} -> {remote}")


def test_only_the_killed_workers_connections_are_lost(served: Gateway):
    port = served.ports[80]
    with ExitStack() as stack:
        kept = [stack.enter_context(keep_alive(port)) for _ in range(16)]
        assert {exchange(connection).status for connection in kept} == {200}
        before = workers(served.pid)
        assert len(before) == 2
        victim = before[0]
        lost = [owner(connection.sock, before) == victim for connection in kept]
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{victim}").exists(), "the killed worker is gone")
        assert [_fails(connection) for connection in kept] == lost
    wait_until(lambda: len(workers(served.pid)) == 2, "there are two workers again")
    successor = next(pid for pid in workers(served.pid) if pid not in before)
    wait_until(lambda: _serves(port, successor, served), "the new worker serves")


def _fails(connection: http.client.HTTPConnection) -> bool:
    connection.auto_open = 0
    try:
        return exchange(connection).status != 200
    except (OSError, http.client.HTTPException):
        return True


def _serves(port: int, pid: int, served: Gateway) -> bool:
    with keep_alive(port) as connection:
        assert exchange(connection).status == 200
        return owner(connection.sock, workers(served.pid)) == pid


def test_connections_that_wait_for_a_killed_worker_are_served_by_its_successor(served: Gateway):
    """New connections fail at no moment: the listening sockets, and what waits in them, outlive the worker."""
    port = served.ports[80]
    for _ in range(3):
        os.kill(workers(served.pid)[0], signal.SIGKILL)
        assert {fetch(port).status for _ in range(30)} == {200}
        wait_until(lambda: len(workers(served.pid)) == 2, "there are two workers again")


def test_under_load_failures_stay_with_the_killed_workers_connections(served: Gateway):
    with Load(served.ports[80], clients=6) as load:
        wait_until(lambda: load.served > 50, "the load runs")
        os.kill(workers(served.pid)[0], signal.SIGKILL)
        reached = load.served
        wait_until(lambda: load.served > reached + 200, "the load goes on")
    assert len(load.failures) <= 6  # each client had at most one request in flight there
    assert fetch(served.admin, "/readyz").status == 200
