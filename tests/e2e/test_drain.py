"""SIGTERM: no new connections, what is in flight ends, exit 0 within the drain time."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.manifests import Folder, gateway, gateway_class, http_route, listener, rule, service, tcp_route
from tests.processes import PATIENCE, Echo, Gateway, wait_until
from tests.talk import exchange, fetch, keep_alive, read_all


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with ExitStack() as stack:
        backend, raw = Echo("echo"), Echo("raw", "--tcp")
        stack.callback(backend.stop)
        stack.callback(raw.stop)
        made = Folder(tmp_path / "manifests")
        made.write("gateway.yaml", gateway_class(), gateway(listener("http", 80), listener("tcp", 90, "TCP")))
        made.write("routes.yaml", http_route("all", rule("echo")), tcp_route("raw", {"raw": 1}, "tcp"))
        made.write("backends.yaml", *service("echo", backend.port), *service("raw", raw.port))
        yield made.path


def start(stack: ExitStack, folder: Path, *options: str) -> Gateway:
    process = Gateway(folder, ports=[80, 90], workers=2, options=options)
    stack.callback(process.stop)
    return process


def test_requests_in_flight_end_and_new_connections_are_refused(folder: Path):
    with ExitStack() as stack:
        served = start(stack, folder)
        port = served.ports[80]
        client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=60))
        client.sendall(b"GET /?delay=1.5 HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: _in_flight(served) == 1, "the request is in flight")
        served.signal(signal.SIGTERM)
        wait_until(lambda: _refused(port), "new connections are refused")
        answer = read_all(client)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" in answer.lower()
        assert served.wait() == 0


def _in_flight(served: Gateway) -> int:
    """How many requests the workers are busy with, by their own count."""
    metrics = fetch(served.admin, "/metrics").body.decode()
    lines = [line for line in metrics.splitlines() if line.startswith("gatewayd_requests_in_flight")]
    assert lines, metrics
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines))


def _refused(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(60)
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_idle_connections_are_closed_and_the_exit_is_quick(folder: Path):
    with ExitStack() as stack:
        served = start(stack, folder)
        kept = [stack.enter_context(keep_alive(served.ports[80])) for _ in range(8)]
        assert {exchange(connection).status for connection in kept} == {200}
        began = time.monotonic()
        served.signal(signal.SIGTERM)
        assert served.wait() == 0
        assert time.monotonic() - began < 20  # nothing was in flight: the 30 s of the drain are not waited for
        assert all(connection.sock.recv(1) == b"" for connection in kept)


def test_what_does_not_end_is_cut_after_the_drain_time(folder: Path):
    with ExitStack() as stack:
        served = start(stack, folder, "--drain-timeout", "0.5")
        stream = stack.enter_context(socket.create_connection(("127.0.0.1", served.ports[90]), timeout=60))
        stream.sendall(b"x")
        assert stream.recv(1) == b"x"
        served.signal(signal.SIGTERM)
        assert served.wait() == 0
        try:
            assert stream.recv(1) == b""
        except ConnectionResetError:
            pass


def test_a_websocket_that_is_cut_is_told_1001(folder: Path):
    with ExitStack() as stack:
        served = start(stack, folder, "--drain-timeout", "0.5")
        client = stack.enter_context(connect(f"ws://127.0.0.1:{served.ports[80]}/ws", open_timeout=PATIENCE))
        client.send("hello")
        assert client.recv(PATIENCE) == "hello"
        served.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert served.wait() == 0


def test_a_gateway_config_shortens_the_drain_time(folder: Path):
    limits = {
        "apiVersion": "gatewayd.dev/v1alpha1",
        "kind": "GatewayConfig",
        "metadata": {"name": "short"},
        "spec": {"timeouts": {"drain": "500ms"}},
    }
    found = {"parametersRef": {"group": "gatewayd.dev", "kind": "GatewayConfig", "name": "short"}}
    listeners = (listener("http", 80), listener("tcp", 90, "TCP"))
    Folder(folder).write("gateway.yaml", gateway_class(), gateway(*listeners, infrastructure=found), limits)
    with ExitStack() as stack:
        served = start(stack, folder)
        stream = stack.enter_context(socket.create_connection(("127.0.0.1", served.ports[90]), timeout=60))
        stream.sendall(b"x")
        assert stream.recv(1) == b"x"
        began = time.monotonic()
        served.signal(signal.SIGTERM)
        assert served.wait() == 0
        assert time.monotonic() - began < 20  # and not the 30 s of the default


def test_a_stream_goes_on_during_the_drain(folder: Path):
    with ExitStack() as stack:
        served = start(stack, folder)
        stream = stack.enter_context(socket.create_connection(("127.0.0.1", served.ports[90]), timeout=60))
        stream.sendall(b"1")
        assert stream.recv(1) == b"1"
        served.signal(signal.SIGTERM)
        wait_until(lambda: _refused(served.ports[90]), "new connections are refused")
        stream.sendall(b"2")
        assert stream.recv(1) == b"2"
        stream.close()
        assert served.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_gateway_ends_with_0_and_without_complaint(folder: Path, number: signal.Signals):
    with ExitStack() as stack:
        served = start(stack, folder)
        served.signal(number)
        assert served.wait() == 0
        assert '"level":"error"' not in served.output
        assert "Traceback" not in served.output
