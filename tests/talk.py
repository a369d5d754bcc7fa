"""Small clients for the tests: one request over one connection, bytes over a socket, curl."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

TIMEOUT = 60.0


@dataclass(frozen=True)
class Reply:
    """A response; `headers` with lower-case names (the last of repeated ones), `fields` as they came."""

    status: int
    fields: list[tuple[str, str]]
    body: bytes

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.fields}

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    port: int,
    target: str = "/",
    *,
    host: str | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    address: str = "127.0.0.1",
    context: ssl.SSLContext | None = None,
) -> Reply:
    """One request on a connection of its own; redirects are not followed."""
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    connection.connect()
    if context is not None:
        connection.sock = context.wrap_socket(connection.sock, server_hostname=host or "localhost")
    try:
        return exchange(connection, target, host=host, method=method, headers=headers, body=body)
    finally:
        connection.close()


@contextmanager
def keep_alive(port: int, address: str = "127.0.0.1") -> Iterator[http.client.HTTPConnection]:
    """A connection for several calls of `exchange`."""
    connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT)
    try:
        yield connection
    finally:
        connection.close()


def exchange(
    connection: http.client.HTTPConnection,
    target: str = "/",
    *,
    host: str | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Reply:
    """One request on an open connection, which stays open if the server keeps it."""
    connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host or f"{connection.host}:{connection.port}")
    for name, value in (headers or {}).items():
        connection.putheader(name, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    return Reply(response.status, response.getheaders(), response.read())


def talk(port: int, data: bytes, address: str = "127.0.0.1") -> bytes:
    """Send bytes, close our half, and read until the end."""
    with socket.create_connection((address, port), timeout=TIMEOUT) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the peer closes."""
    received = bytearray()
    while data := connection.recv(65536):
        received += data
    return bytes(received)


def find(name: str) -> str | None:
    """The path of a program of the system, also of those that are root's by custom."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def program(name: str) -> str:
    """The path of a program of the system; the test is skipped where it is not installed."""
    found = find(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def curl(*arguments: str) -> str:
    """What curl prints; AssertionError with its complaint when it fails."""
    done = subprocess.run(
        [program("curl"), "-sS", "--max-time", str(TIMEOUT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * TIMEOUT,
    )
    assert done.returncode == 0, f"curl {arguments}: {done.stderr}"
    return done.stdout
