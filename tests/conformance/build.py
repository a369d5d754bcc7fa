"""Builds the suite and the echo program of its pods from the Go modules that go.mod names."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE / ".build"
SUITE = OUT / "suite"
ECHO = OUT / "echo"
CONFORMANCE = "sigs.k8s.io/gateway-api/conformance"
API = "sigs.k8s.io/gateway-api"

# Pods share this machine, so the echo program must bind the address of its pod and not all addresses. Nothing else of
# it is changed: the compiler gets these texts in place of the module's own.
BIND = (
    ('fmt.Sprintf(":%s", ', 'fmt.Sprintf(os.Getenv("POD_IP")+":%s", '),
    ('fmt.Sprintf("0.0.0.0:%d", ', 'fmt.Sprintf(os.Getenv("POD_IP")+":%d", '),
    ('net.ResolveUDPAddr("udp", ":"+port)', 'net.ResolveUDPAddr("udp", os.Getenv("POD_IP")+":"+port)'),
)
BOUND_IN = ("echo-basic.go", "grpc/grpc.go", "tcpserver/tcpserver.go", "udpechoserver/udpechoserver.go")


class Unbuildable(Exception):
    """What is missing, and what to do about it."""


def build() -> None:
    """Build what is not there yet or older than its sources. Unbuildable when Go is missing or fails."""
    if shutil.which("go") is None:
        raise Unbuildable(
            "the conformance suite is a Go program: install Go 1.26 or newer (https://go.dev/dl/, "
            "or your distribution's package `golang`), see that `go version` works, and run this again"
        )
    OUT.mkdir(exist_ok=True)
    sources = (HERE / "go.mod", HERE / "go.sum", HERE / "suite_test.go", Path(__file__))
    newest = max(source.stat().st_mtime for source in sources)
    if not _fresh(SUITE, newest):
        print("building the suite (minutes, the first time)", file=sys.stderr)
        _go("test", "-c", "-o", str(SUITE), ".")
    if not _fresh(ECHO, newest):
        _go("build", f"-overlay={_overlay()}", "-o", str(ECHO), f"{CONFORMANCE}/echo-basic")


def definitions() -> Path:
    """The directory of the CustomResourceDefinitions of the release, experimental channel."""
    return module(API) / "config" / "crd" / "experimental"


def version() -> str:
    """The release of the suite."""
    return _go("list", "-m", "-f", "{{.Version}}", CONFORMANCE).strip()


def module(name: str) -> Path:
    """Where the sources of a module lie."""
    return Path(_go("list", "-m", "-f", "{{.Dir}}", name).strip())


def _fresh(path: Path, newest: float) -> bool:
    return path.exists() and path.stat().st_mtime >= newest


def _overlay() -> Path:
    """The file for `go build -overlay`."""
    root = module(CONFORMANCE) / "echo-basic"
    replaced = {}
    for name in BOUND_IN:
        text = (root / name).read_text()
        for before, after in BIND:
            text = text.replace(before, after)
        if "POD_IP" not in text:
            raise Unbuildable(f"{root / name} binds its sockets in an unknown way: see BIND in {__file__}")
        target = OUT / "overlay" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        replaced[str(root / name)] = str(target)
    path = OUT / "overlay.json"
    path.write_text(json.dumps({"Replace": replaced}))
    return path


def _go(*arguments: str) -> str:
    done = subprocess.run(["go", *arguments], cwd=HERE, text=True, capture_output=True, check=False)
    if done.returncode:
        raise Unbuildable(f"go {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return done.stdout
