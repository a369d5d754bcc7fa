"""Every folder of config/ does what its comments say: served by a real gateway before real backends."""

from __future__ import annotations

import errno
import json
import re
import socket
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from gatewayd.cli import main
from tests.certificates import self_signed
from tests.config.expectation import FOLDERS, Expectation, Request, expectation, folders
from tests.e2e.call_server import CallServer, channel
from tests.processes import PATIENCE, Echo, Gateway
from tests.talk import Reply, fetch, read_all


class Served:
    """One folder, served: its files with the endpoints moved to the ports of the backends that were started."""

    def __init__(self, name: str, scratch: Path, stack: ExitStack) -> None:
        self.expected = expectation(name)
        moved = {}
        for port, backend in self.expected.backends.items():
            transport = self.expected.transports.get(backend, self.expected.transport)
            moved[port] = _backend(backend, transport, scratch)
            stack.callback(moved[port].stop)
        self.folder = scratch / name
        self.folder.mkdir()
        for path in (FOLDERS / name).iterdir():
            text = path.read_text()
            for port, echo in moved.items():
                text = re.sub(rf"\b(port|targetPort): {port}\b", rf"\1: {echo.port}", text)
            (self.folder / path.name).write_text(text)
        self.gateway = Gateway(self.folder, ports=self.expected.ports)
        stack.callback(self.gateway.stop)


def _backend(name: str, transport: str, scratch: Path) -> Echo | CallServer:
    if transport == "grpc":
        return CallServer(name)
    options = ["--tcp", "--greet"] if transport in {"tcp", "tls"} else []
    if transport == "tls":
        certificate, key = scratch / f"{name}.crt", scratch / f"{name}.key"
        self_signed(f"{name}.backend", certificate, key)
        options += ["--tls-cert", str(certificate), "--tls-key", str(key)]
    return Echo(name, *options)


@pytest.fixture(scope="module", params=folders())
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with ExitStack() as stack:
        yield Served(request.param, tmp_path_factory.mktemp("config"), stack)


def test_requests(served: Served):
    for expected in served.expected.requests:
        reply = _send(served, expected)
        assert reply.status == expected.status, expected
        _check_response(expected, reply)
        if expected.backend or expected.seen or expected.seen_headers or expected.unseen_headers:
            _check_backend(expected, reply)


def _send(served: Served, expected: Request) -> Reply:
    port = served.gateway.ports[expected.to]
    headers = {name: _spelt_out(value) for name, value in expected.headers.items()}
    if not expected.tls:
        path, host = _spelt_out(expected.path), _host(served, expected)
        return fetch(port, path, host=host, method=expected.method, headers=headers)
    context = _trusting_all()
    if expected.certificate:
        assert expected.certificate in _names(port, expected.host or "", context)
    return fetch(port, expected.path, host=expected.host, headers=headers, context=context)


def _trusting_all() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # self-signed; names are compared
    return context


def _host(served: Served, expected: Request) -> str | None:
    return f"{expected.host}:{served.gateway.ports[expected.to]}" if expected.host else None


def _names(port: int, host: str, context: ssl.SSLContext) -> list[str]:
    """The DNS names of the certificate that is shown to a client that asks for `host`."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname=host) as connection,
    ):
        shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    extension = x509.load_der_x509_certificate(shown).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return extension.value.get_values_for_type(x509.DNSName)


def _spelt_out(text: str) -> str:
    return re.sub(r"\{x\*(\d+)\}", lambda found: "x" * int(found[1]), text)


def _check_response(expected: Request, reply: Reply) -> None:
    for name, value in expected.response_headers.items():
        assert reply.headers.get(name) == value, expected
    for name in expected.absent_headers:
        assert name not in reply.headers, expected


def _check_backend(expected: Request, reply: Reply) -> None:
    seen = reply.json
    assert expected.backend in {None, seen["name"]}, expected
    for key, value in expected.seen.items():
        assert seen[key] == value, expected
    for name, values in expected.seen_headers.items():
        got = [part.strip() for line in seen["headers"].get(name, []) for part in line.split(",")]
        assert got == [part.strip() for line in values for part in line.split(",")], expected
    for name in expected.unseen_headers:
        assert name not in seen["headers"], expected


def test_shares(served: Served):
    for expected in served.expected.shares:
        port = served.gateway.ports[expected.to]
        counted = Counter(fetch(port, expected.path, host=expected.host).json["name"] for _ in range(expected.requests))
        for name, share in expected.backends.items():
            assert abs(counted[name] / expected.requests - share) <= 0.05, counted


def test_sessions(served: Served):
    for expected in served.expected.sessions:
        port = served.gateway.ports[expected.to]
        begun: dict[str, str] = {}
        while set(begun) != set(expected.backends):
            reply = fetch(port, expected.path, host=expected.host)
            begun[reply.json["name"]] = reply.headers[expected.carrier]
        for backend, value in begun.items():
            assert re.fullmatch(expected.form, value)
            shown = (
                {"Cookie": value.partition(";")[0]} if expected.carrier == "set-cookie" else {expected.carrier: value}
            )
            for _ in range(10):
                reply = fetch(port, expected.path, host=expected.host, headers=shown)
                assert (reply.json["name"], reply.headers.get(expected.carrier)) == (backend, None)


def test_calls(served: Served):
    for expected in served.expected.calls:
        with channel(served.gateway.ports[expected.to], expected.host) as opened:
            call = opened.unary_unary(expected.path).future(
                b"hello", timeout=PATIENCE, metadata=tuple(expected.metadata.items())
            )
            first = {entry.key: entry.value for entry in call.initial_metadata()}
            assert call.code().name == expected.code, expected
            assert first.get("server") == expected.backend, expected
            assert expected.response.items() <= first.items(), expected


def test_streams(served: Served):
    for expected in served.expected.streams:
        port = served.gateway.ports[expected.to]
        if expected.certificate:
            assert expected.certificate in _names(port, expected.name or "", _trusting_all())
        reached = {_first_line(port) if expected.name is None else _first_words(port, expected.name) for _ in range(20)}
        assert reached == ({f"{name}\n".encode() + b"hello" for name in expected.backends} or {b""})


def _first_line(port: int) -> bytes:
    """What comes back on one connection: the backend's name and what was sent. Nothing when it is closed at once."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"hello")
            connection.shutdown(socket.SHUT_WR)
            return read_all(connection)
    except OSError as error:  # a reset; when it comes early enough, already connecting or the shutdown says so
        if not isinstance(error, ConnectionError) and error.errno != errno.ENOTCONN:
            raise
        return b""


def _first_words(port: int, name: str) -> bytes:
    """The same through TLS."""
    received = b""
    with (
        suppress(ConnectionError, ssl.SSLEOFError),
        socket.create_connection(("127.0.0.1", port), timeout=60) as raw,
        _trusting_all().wrap_socket(raw, server_hostname=name) as connection,
    ):
        connection.sendall(b"hello")
        while not received.endswith(b"\nhello") and (data := connection.recv(100)):
            received += data
    return received


def test_conditions(served: Served, capsys: pytest.CaptureFixture[str]):
    assert main(["status", "--admin", f"127.0.0.1:{served.gateway.admin}", "-o", "json"]) == 0
    items = {_key(item): item for item in json.loads(capsys.readouterr().out)["items"]}
    for expected in served.expected.conditions:
        status = items[expected.object]["status"]
        sections = ("parents", "listeners", "ancestors")
        places = [status, *(place for section in sections for place in status.get(section, ()))]
        found = [
            (c["status"], c["reason"]) for p in places for c in p.get("conditions", ()) if c["type"] == expected.type
        ]
        assert (expected.status, expected.reason) in found, expected


def _key(item: dict[str, Any]) -> str:
    return "/".join((item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]))


@pytest.mark.parametrize("name", folders())
def test_check_says_what_is_expected_and_no_more(name: str, capsys: pytest.CaptureFixture[str]):
    expected: Expectation = expectation(name)
    code = main(["check", str(FOLDERS / name), "--port-map", "80=8080,443=8443"])
    lines = capsys.readouterr().out.splitlines()
    assert code == (1 if expected.problems else 0), lines
    assert len(lines) == len(expected.problems), lines
    for line, problem in zip(lines, expected.problems, strict=True):
        assert problem in line


def test_the_gateway_prints_no_traceback(served: Served):
    assert "Traceback" not in served.gateway.output
