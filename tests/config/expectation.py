"""What the tests of config/ expect of a folder, read from its expect.yaml; unknown words are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import yaml

FOLDERS = Path(__file__).parents[2] / "config"


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A record in which a misspelt word is an error, not an expectation that never fails."""


class Request(Strict, frozen=True):
    """One request to the bound port of `to`, and what must come of it. `{x*N}` stands for N times an x."""

    to: int
    path: str
    status: int
    method: str = "GET"
    host: str | None = None
    headers: dict[str, str] = {}
    tls: bool = False
    certificate: str | None = None  # a DNS name of the certificate that the listener must show
    backend: str | None = None
    seen: dict[str, str] = {}  # what the backend saw: path, host ...
    seen_headers: dict[str, list[str]] = {}
    unseen_headers: list[str] = []
    response_headers: dict[str, str] = {}  # ports in them are those that the files write, not the bound ones
    absent_headers: list[str] = []


class Call(Strict, frozen=True):
    """One gRPC call, the backend that it reaches, and the code with which it ends."""

    to: int
    host: str
    path: str  # /service/method
    metadata: dict[str, str] = {}
    backend: str | None = None
    response: dict[str, str] = {}
    code: str = "OK"


class Shares(Strict, frozen=True):
    """How many of a number of requests each backend gets, as shares of 1."""

    to: int
    path: str
    requests: int
    backends: dict[str, float]
    host: str | None = None


class Session(Strict, frozen=True):
    """What the first answer must carry, and the backends that have sessions, each of which keeps its own."""

    to: int
    path: str
    carrier: str  # set-cookie, or the field of the token
    form: str  # an expression for the whole value
    backends: list[str]
    host: str | None = None


class Stream(Strict, frozen=True):
    """The backends that connections reach; none when they are closed at once."""

    to: int
    backends: list[str]
    name: str | None = None  # a server name: TLS is spoken
    certificate: str | None = None  # a DNS name of the certificate that is shown then


class Condition(Strict, frozen=True):
    """A condition that the status of an object (of its parent or listener) must hold."""

    object: str
    type: str
    status: str
    reason: str


class Expectation(Strict, frozen=True):
    """All of it. `backends` are the ports of the EndpointSlices and the names of the echo backends put there."""

    backends: dict[int, str]
    ports: list[int]
    transport: str = "http"
    transports: dict[str, str] = {}  # of backends that differ: http, grpc, tcp, or tls (raw streams within TLS)
    problems: list[str] = []  # what `gatewayd check` must say; nothing else
    requests: list[Request] = []
    calls: list[Call] = []
    shares: list[Shares] = []
    sessions: list[Session] = []
    streams: list[Stream] = []
    conditions: list[Condition] = []


def folders() -> list[str]:
    """The names of the folders of config/."""
    return sorted(folder.name for folder in FOLDERS.iterdir() if folder.is_dir())


def expectation(folder: str) -> Expectation:
    """The expectations for one folder."""
    value: Any = yaml.safe_load((Path(__file__).parent / folder / "expect.yaml").read_text())
    return msgspec.convert(value, Expectation)
