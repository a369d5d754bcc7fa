"""Builds the suite and the echo program of its pods from the Go modules that go.mod names."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUT = HERE / ".build"
SUITE = OUT / "suite"
ECHO = OUT / "echo"
QUICK = ("-gcflags=all=-N -l", "-ldflags=-s -w")  # compiling takes longer than running: no optimisation
CONFORMANCE = "sigs.k8s.io/gateway-api/conformance"
API = "sigs.k8s.io/gateway-api"

# Pods share this machine, so the echo program must bind the address of its pod and not all addresses. Nothing else of
# it is changed.
BIND = (
    ('fmt.Sprintf(":%s", ', 'fmt.Sprintf(os.Getenv("POD_IP")+":%s", '),
    ('fmt.Sprintf("0.0.0.0:%d", ', 'fmt.Sprintf(os.Getenv("POD_IP")+":%d", '),
    ('net.ResolveUDPAddr("udp", ":"+port)', 'net.ResolveUDPAddr("udp", os.Getenv("POD_IP")+":"+port)'),
)
BOUND_IN = (
    "echo-basic/echo-basic.go",
    "echo-basic/grpc/grpc.go",
    "echo-basic/tcpserver/tcpserver.go",
    "echo-basic/udpechoserver/udpechoserver.go",
)


class Unbuildable(Exception):
    """What is missing, and what to do about it."""


def build() -> None:
    """Build what is not there yet or older than its sources. Unbuildable when Go is missing or fails."""
    if shutil.which("go") is None:
        raise Unbuildable(
            "the conformance suite is a Go program: install Go 1.26 or newer from https://go.dev/dl/, "
            "put its bin directory into PATH, see that `go version` works, and run this again"
        )
    OUT.mkdir(exist_ok=True)
    modules = (HERE / "go.mod", HERE / "go.sum")
    if not _fresh(SUITE, *modules, HERE / "suite_test.go"):
        print("building the suite (minutes, the first time)", file=sys.stderr)
        _go("test", "-c", *QUICK, "-o", str(SUITE), ".")
    if not _fresh(ECHO, *modules, Path(__file__)):
        _go("build", *QUICK, f"-modfile={_copied()}", "-o", str(ECHO), f"{CONFORMANCE}/echo-basic")


def definitions() -> Path:
    """The directory of the CustomResourceDefinitions of the release, experimental channel."""
    return module(API) / "config" / "crd" / "experimental"


def version() -> str:
    """The release of the suite."""
    return _go("list", "-m", "-f", "{{.Version}}", CONFORMANCE).strip()


def module(name: str) -> Path:
    """Where the sources of a module lie."""
    return Path(_go("list", "-m", "-f", "{{.Dir}}", name).strip())


def _fresh(path: Path, *sources: Path) -> bool:
    return path.exists() and all(path.stat().st_mtime >= source.stat().st_mtime for source in sources)


def _copied() -> Path:
    """A copy of our go.mod by which the echo program comes from a copy of its module, with BIND applied."""
    source, target = module(CONFORMANCE), OUT / "conformance"
    shutil.rmtree(target, ignore_errors=True)
    for path in (source / "go.mod", *(source / "echo-basic").rglob("*.go")):
        text = path.read_text()
        for before, after in BIND:
            text = text.replace(before, after)
        if path.relative_to(source).as_posix() in BOUND_IN and "POD_IP" not in text:
            raise Unbuildable(f"{path} binds its sockets in an unknown way: see BIND in {__file__}")
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text)
    modfile = OUT / "echo.mod"
    modfile.write_text(f"{(HERE / 'go.mod').read_text()}\nreplace {CONFORMANCE} => {target}\n")
    shutil.copyfile(HERE / "go.sum", OUT / "echo.sum")
    return modfile


def _go(*arguments: str) -> str:
    done = subprocess.run(["go", *arguments], cwd=HERE, text=True, capture_output=True, check=False)
    if done.returncode:
        raise Unbuildable(f"go {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    return done.stdout
