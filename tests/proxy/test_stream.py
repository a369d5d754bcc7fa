"""Raw TCP streams over real sockets: endpoints that refuse, and running out of descriptors."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Iterator

import pytest

from gatewayd.observe.access import AccessLog
from gatewayd.proxy import stream
from gatewayd.proxy.accept import Acceptor
from gatewayd.proxy.direction import Direction
from gatewayd.proxy.runtime import Runtime
from gatewayd.routing.change import difference
from gatewayd.routing.snapshot import BackendPlan, ListenerPlan, PortPlan, RoutePlan, RulePlan, SharePlan, Snapshot
from tests.processes import PATIENCE, free_port


class Site:
    """A runtime with one TCP port, on a loop that runs while a client waits."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.null = os.open(os.devnull, os.O_WRONLY)
        self.runtime = Runtime(self.loop, 0, AccessLog(self.null))

    def serve(self, *ports: int) -> None:
        """Serve a route to a backend on these ports of this machine."""
        rule = RulePlan(index=0, shares=(SharePlan(backend="b"),))
        route = RoutePlan(key="r", kind="TCPRoute", namespace="n", name="r", rules=(rule,))
        listener = ListenerPlan(key="l", gateway="g", name="l", protocol="TCP", hosts={b"": ("r",)})
        port = PortPlan(key="p", address="", port=1, number=1, transport="tcp", listeners=(listener,))
        backend = BackendPlan(key="b", endpoints=tuple(("127.0.0.1", number) for number in ports))
        snapshot = Snapshot(generation=1, ports={"p": port}, routes={"r": route}, backends={"b": backend})
        self.runtime.apply(difference(Snapshot(), snapshot), {})

    def client(self) -> socket.socket:
        """A client whose connection was accepted."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = socket.create_connection(listening.getsockname(), timeout=PATIENCE)
            accepted, peer = listening.accept()
        accepted.setblocking(False)
        port = self.runtime._ports["p"][0]
        stream.Stream(port, accepted, peer, port.table.listeners.default).start()
        return client

    def ending(self, client: socket.socket) -> type[BaseException] | bytes:
        """What the client reads."""
        client.setblocking(False)
        try:
            return self.loop.run_until_complete(asyncio.wait_for(self.loop.sock_recv(client, 100), PATIENCE))
        except ConnectionResetError as error:
            return type(error)


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()
    yield site
    site.runtime.abort()
    site.loop.close()
    os.close(site.null)


def counts(site: Site) -> tuple[int, int, int]:
    backend = site.runtime.backends["b"]
    return backend.open, sum(endpoint.active for endpoint in backend.endpoints), len(site.runtime.connections)


def test_a_refused_connection_is_tried_on_one_other_endpoint(site: Site):
    site.serve(*(free_port() for _ in range(4)))
    with site.client() as client:
        assert site.ending(client) is ConnectionResetError
    assert site.runtime.counts.upstream_connect_failures == 2
    assert site.runtime.counts.upstream_retries == 1
    assert counts(site) == (0, 0, 0)


def test_the_other_endpoint_serves(site: Site):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        site.serve(free_port(), listening.getsockname()[1])
        for _ in range(8):
            with site.client() as client:
                listening.setblocking(False)
                accepted, _ = site.loop.run_until_complete(site.loop.sock_accept(listening))
                with accepted:
                    accepted.sendall(b"hello")
                    assert site.ending(client) == b"hello"


def test_out_of_descriptors_ends_the_stream_and_leaks_nothing(site: Site, monkeypatch: pytest.MonkeyPatch):
    site.serve(free_port())

    def none_left(*_: object) -> socket.socket:
        raise OSError(24, "Too many open files")

    real: Callable[..., socket.socket] = socket.socket
    with socket.create_server(("127.0.0.1", 0)) as listening:
        client = socket.create_connection(listening.getsockname(), timeout=PATIENCE)
        accepted, peer = listening.accept()
    with client:
        monkeypatch.setattr(socket, "socket", none_left)
        port = site.runtime._ports["p"][0]
        stream.Stream(port, accepted, peer, port.table.listeners.default).start()
        monkeypatch.setattr(socket, "socket", real)
        assert site.ending(client) is ConnectionResetError
    assert counts(site) == (0, 0, 0)


def test_a_half_closed_stream_lasts_as_long_as_it_is_used(site: Site):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        site.serve(listening.getsockname()[1])
        with site.client() as client:
            listening.setblocking(False)
            accepted, _ = site.loop.run_until_complete(site.loop.sock_accept(listening))
            with accepted:
                (connection,) = site.runtime.connections
                accepted.setblocking(False)
                client.shutdown(socket.SHUT_WR)
                ended = site.loop.run_until_complete(asyncio.wait_for(site.loop.sock_recv(accepted, 1), PATIENCE))
                assert ended == b""
                for _ in range(3):
                    accepted.sendall(b"more")
                    assert site.ending(client) == b"more"
                    connection.expire(connection.deadline)
                    assert len(site.runtime.connections) == 1, "it was in use"
                connection.expire(connection.deadline)
                assert (len(site.runtime.connections), connection.reason) == (0, b"stream_timeout")


def test_the_collector_has_nothing_to_do(site: Site):
    with socket.create_server(("127.0.0.1", 0)) as backend:
        site.serve(backend.getsockname()[1])
        gc.collect()
        gc.disable()
        try:
            with site.client() as client:
                server = backend.accept()[0]
                client.shutdown(socket.SHUT_WR)
                server.close()
                assert site.ending(client) == b""
            assert counts(site) == (0, 0, 0)
            kinds = (stream.Stream, Direction)
            assert [type(each).__name__ for each in gc.get_objects() if isinstance(each, kinds)] == []
        finally:
            gc.enable()


def test_a_drain_takes_all_that_waits_in_the_queue(site: Site):
    site.serve(free_port())
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    clients = [socket.create_connection(listening.getsockname(), timeout=PATIENCE) for _ in range(100)]
    Acceptor(site.runtime._ports["p"][0], listening).drain()
    assert site.runtime.counts.connections_accepted == 100
    for client in clients:
        client.close()


def test_a_port_that_comes_while_no_connection_is_taken_takes_none_either(site: Site):
    site.serve(free_port())
    site.runtime.admission.pause()
    listening = socket.create_server(("127.0.0.1", 0))
    acceptor = Acceptor(site.runtime._ports["p"][0], listening)
    with socket.create_connection(listening.getsockname(), timeout=PATIENCE):
        for _ in range(3):  # what is readable when a turn begins is read in it
            site.loop.run_until_complete(asyncio.sleep(0))
        assert site.runtime.counts.connections_accepted == 0
        acceptor.resume()
        for _ in range(3):
            site.loop.run_until_complete(asyncio.sleep(0))
        assert site.runtime.counts.connections_accepted == 1
    acceptor.close()
