"""Listening sockets: one SO_REUSEPORT socket for each worker and address, all held by the supervisor.

The kernel spreads connections over the sockets of one address. A worker that dies leaves its socket open here, so the
connections that wait in its queue are served by its successor and none is refused.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gatewayd.routing.snapshot import PortPlan

BACKLOG = 4096  # the kernel's own limit (net.core.somaxconn) cuts it where that is lower
RESERVED_DESCRIPTORS = 32  # kept free for the admin API, the files and the channels while sockets are made
KINDS = dict.fromkeys(("http", "https", "tls", "tcp"), socket.SOCK_STREAM)
BIND_STEP = 0.02  # seconds between two attempts while there is patience

Sleep = Callable[[float], None]


@dataclass(frozen=True)
class Unbound:
    """A port that cannot be served: the reason word of the specification, and what a person needs to know."""

    port: PortPlan
    reason: str
    message: str
    hint: str = ""


def addresses(address: str) -> list[tuple[socket.AddressFamily, str]]:
    """Where an address is bound. "" is every IPv4 and, where the host has it, every IPv6 address: as two sockets, so
    that an IPv4 client is seen with its IPv4 address.
    """
    if address:
        return [(socket.AF_INET6 if ":" in address else socket.AF_INET, address)]
    every = [(socket.AF_INET, "0.0.0.0")]
    return [*every, (socket.AF_INET6, "::")] if _has_ipv6() else every


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def usable(address: str) -> bool:
    """Whether this host can listen on `address`: it is one of its own."""
    ((family, name),) = addresses(address) if address else [(socket.AF_INET, "0.0.0.0")]
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((name, 0))
    except OSError:
        return False
    return True


class Sockets:
    """All listening sockets of the gateway, by port key and worker."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._held: dict[str, list[list[socket.socket]]] = {}
        self._numbers: dict[str, int] = {}

    def bind(self, ports: Iterable[PortPlan], patience: float = 0.0, sleep: Sleep = time.sleep) -> list[Unbound]:
        """Hold a socket for every worker of each port; return the ports where that is impossible.

        A port in use is tried again for `patience` seconds: the workers of a killed supervisor let go of it in a
        moment.
        """
        deadline = time.monotonic() + patience
        failures = []
        for port in ports:
            failure = self._bind_port(port)
            while failure and failure[0] == errno.EADDRINUSE and time.monotonic() < deadline:
                sleep(BIND_STEP)
                failure = self._bind_port(port)
            if failure:
                failures.append(explain(port, *failure))
        return failures

    def of(self, key: str, worker: int) -> list[socket.socket]:
        """The sockets of one worker for one port."""
        return self._held[key][worker]

    def retain(self, worker: int, keys: set[str]) -> None:
        """Close the sockets of `worker` for all ports but `keys`."""
        for key, shares in self._held.items():
            if key not in keys:
                _close(shares[worker])
                shares[worker] = []
        for key in [key for key, shares in self._held.items() if not any(shares)]:
            del self._held[key]
            del self._numbers[key]

    def close(self) -> None:
        """Close everything: nobody can connect any more once the workers have closed their copies."""
        for worker in range(self._workers):
            self.retain(worker, set())

    def _bind_port(self, port: PortPlan) -> tuple[int, str] | None:
        shares = self._held.get(port.key) or [[] for _ in range(self._workers)]
        missing = [index for index, share in enumerate(shares) if not share]
        if not missing:
            return None
        made: dict[int, list[socket.socket]] = {index: [] for index in missing}
        where = addresses(port.address)
        try:
            with _reserve():
                if port.port not in self._numbers.values():
                    _probe(where, port)
                for index in missing:
                    for family, address in where:
                        made[index].append(_listen(family, address, port))
        except OSError as error:
            for sockets in made.values():
                _close(sockets)
            return error.errno or 0, error.strerror or str(error)
        for index, sockets in made.items():
            shares[index] = sockets
        self._held[port.key] = shares
        self._numbers[port.key] = port.port
        return None


def _probe(where: list[tuple[socket.AddressFamily, str]], port: PortPlan) -> None:
    """Raise OSError when somebody else listens there: SO_REUSEPORT alone would share the port with any process of the
    same user, a second gateway for instance, and each would get half of the connections.
    """
    for family, address in where:
        with _socket(family, port) as probe:
            probe.bind((address, port.port))


def _listen(family: socket.AddressFamily, address: str, port: PortPlan) -> socket.socket:
    sock = _socket(family, port)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setblocking(False)
        sock.bind((address, port.port))
        if sock.type == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _socket(family: socket.AddressFamily, port: PortPlan) -> socket.socket:
    sock = socket.socket(family, KINDS[port.transport])
    if sock.type == socket.SOCK_STREAM:  # connections of an earlier run in TIME_WAIT are no obstacle
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


@contextmanager
def _reserve() -> Iterator[None]:
    """Hold some descriptors while sockets are made: they run out here, not where a client asks for health."""
    spare: list[int] = []
    try:
        for _ in range(RESERVED_DESCRIPTORS):
            spare.append(os.open(os.devnull, os.O_RDONLY))  # noqa: PERF401 - what was opened must be closed on failure
        yield
    finally:
        for descriptor in spare:
            os.close(descriptor)


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


# errno of bind -> (reason word of the Gateway API's conditions, what is wrong, what to do about it).
_FAULTS = {
    errno.EADDRINUSE: (
        "PortUnavailable",
        "another process uses the port",
        "stop it (ss -tanp 'sport = :{port}' shows it) or move the port: --port-map {number}=OTHER",
    ),
    errno.EACCES: (
        "PortUnavailable",
        "this user may not use the port",
        "run with --port-map {number}={free}, or give the process CAP_NET_BIND_SERVICE",
    ),
    errno.EADDRNOTAVAIL: (
        "AddressNotUsable",
        "this host has no such address",
        "add it (ip address add {address} dev lo) or use --address-pool with addresses of this host",
    ),
    errno.EMFILE: (
        "PortUnavailable",
        "the limit of open files is reached",
        "raise it: ulimit -n, or LimitNOFILE of the service",
    ),
}
_FAULTS[errno.EPERM] = _FAULTS[errno.EACCES]
_FAULTS[errno.ENFILE] = _FAULTS[errno.EMFILE]


def explain(port: PortPlan, number: int, text: str) -> Unbound:
    """The reason word (Gateway API conditions), the message and the hint for an errno of bind."""
    where = f"{f'[{port.address}]' if ':' in port.address else port.address or '*'}:{port.port}"
    reason, fault, hint = _FAULTS.get(number, ("PortUnavailable", text, ""))
    free = port.number + 8000 if port.number < 57000 else 8080
    hint = hint.format(port=port.port, number=port.number, free=free, address=port.address)
    return Unbound(port, reason, f"cannot listen on {where}: {fault}", hint)
