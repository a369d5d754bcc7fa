"""gRPC for the benchmark: a real server in Go behind the proxies, and what is said to it.

`main.go` is that server, built from the modules that go.mod names when Go is there. `server` is a substitute in Python
for the smoke run, far too slow for a comparison.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.peer import Launch, find
from benchmarks.site import CALLS, GREETING, LOOPBACK

HERE = Path(__file__).parent
PROGRAM = HERE / ".build" / "greeter"
SOURCES = tuple(HERE / name for name in ("main.go", "go.mod", "go.sum"))
SERVICE = CALLS.removeprefix("/")
GREET, COUNT = f"/{SERVICE}/Greet", f"/{SERVICE}/Count"
FIELDS = {"content-type": "application/grpc", "te": "trailers"}


class UnbuildableError(Exception):
    """There is no Go, or it fails; the message says which."""


def framed(message: bytes) -> bytes:
    """A message as it stands in a body: not compressed, its length, itself (gRPC's Length-Prefixed-Message)."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def string(text: bytes) -> bytes:
    """google.protobuf.StringValue of at most 127 bytes: field 1, its length, itself."""
    return b"\x0a" + bytes([len(text)]) + text if text else b""


def number(message: bytes) -> int:
    """The value of a google.protobuf.UInt64Value: field 1, a varint; no field is 0."""
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(message[1:]))


REQUEST = framed(string(b"a caller who greets"))
ANSWER = framed(string(GREETING))


@dataclass(frozen=True)
class Reply:
    """What one call came to. `status` is None where there was none: every call that ends well has one."""

    status: int | None
    body: bytes

    @property
    def well(self) -> bool:
        """Whether it is the greeting."""
        return self.status == 0 and self.body == ANSWER


def version() -> str:
    """Of the library that answers the calls."""
    lines = (HERE / "go.mod").read_text().splitlines()
    return next(line.split()[1] for line in lines if "google.golang.org/grpc " in line)


def build() -> None:
    """Make the program unless it is newer than its sources."""
    if PROGRAM.exists() and all(PROGRAM.stat().st_mtime >= source.stat().st_mtime for source in SOURCES):
        return
    go = find("go")
    if go is None:
        raise UnbuildableError("the gRPC server is a Go program, and there is no Go")
    PROGRAM.parent.mkdir(exist_ok=True)
    command = [go, "build", "-o", str(PROGRAM), "."]
    done = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UnbuildableError(f"the gRPC server cannot be built: {done.stderr.strip()}")


def launch(port: int) -> Launch:
    """The server on this port: the real one when it was built, else the substitute."""
    if PROGRAM.exists():
        return Launch([str(PROGRAM), f"{LOOPBACK}:{port}", GREETING.decode()], {"GOMAXPROCS": "1"})
    return Launch([sys.executable, "-m", "benchmarks.greeter.server", str(port)])
