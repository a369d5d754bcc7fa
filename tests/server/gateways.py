"""A gateway as a real process, with the traffic path and the files' language of `fake_worker` and `fake_gateway`."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import orjson

from tests.processes import PATIENCE, free_port

HERE = Path(__file__).parent
T = TypeVar("T")


def wait_for(what: Callable[[], T], seconds: float = PATIENCE) -> T:
    """The first true value of `what`; exceptions of a socket or a document that is not there yet count as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            value = what()
        except (OSError, KeyError, ValueError):
            if time.monotonic() > deadline:
                raise
        else:
            if value:
                return value
            assert time.monotonic() < deadline, f"not within {seconds} s: last value {value!r}"
        time.sleep(0.005)


class Gateway:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.conf = folder / "conf"
        self.conf.mkdir(exist_ok=True)
        self.admin = free_port()
        self.port = free_port()
        self.options = {
            "paths": [str(self.conf)],
            "workers": 2,
            "admin": f"127.0.0.1:{self.admin}",
            "worker_command": [sys.executable, "-P", str(HERE / "fake_worker.py")],
            **options,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def write(self, *lines: str, name: str = "a.yaml") -> None:
        (self.conf / name).write_text("".join(line + "\n" for line in lines))

    def start(self) -> Gateway:
        script = HERE / "fake_gateway.py"
        with (self.folder / "out").open("wb") as out, (self.folder / "err").open("wb") as err:
            self.process = subprocess.Popen(
                [sys.executable, str(script), orjson.dumps(self.options).decode()],
                stdout=out,
                stderr=err,
                env={**os.environ, "PYTHONPATH": str(HERE.parent.parent)},
            )
        return self

    def ready(self) -> Gateway:
        wait_for(lambda: "gatewayd ready" in self.out or self.process is None or self.process.poll() is not None)
        assert "gatewayd ready" in self.out, self.err
        assert f":{self.port}: another process" not in self.err, "what this test sends would reach somebody else"
        return self

    @property
    def out(self) -> str:
        return (self.folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self.folder / "err").read_text()

    def logged(self, message: str) -> list[dict[str, Any]]:
        return [line for line in map(orjson.loads, self.err.splitlines()) if message in line["message"]]

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def exit(self) -> int:
        assert self.process is not None
        return self.process.wait(PATIENCE)

    def connect(self, port: int | None = None) -> tuple[socket.socket, dict[str, Any]]:
        sock = socket.create_connection(("127.0.0.1", port or self.port), PATIENCE)
        data = b""
        while not data.endswith(b"\n"):
            piece = sock.recv(4096)
            if not piece:
                sock.close()
                raise ConnectionError("closed without an answer")
            data += piece
        return sock, orjson.loads(data)

    def ask(self, port: int | None = None) -> dict[str, Any]:
        sock, answer = self.connect(port)
        sock.close()
        return answer

    def pids(self, count: int = 2) -> dict[int, int]:
        """Process id by worker, learned from answers."""
        found: dict[int, int] = {}

        def learn() -> bool:
            answer = self.ask()
            found[answer["worker"]] = answer["pid"]
            return len(found) == count

        wait_for(learn)
        return found

    def get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=PATIENCE) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def generation(self) -> int:
        """The generation that every worker serves."""
        values = {
            int(float(line.split()[1]))
            for line in self.get("/metrics")[1].decode().splitlines()
            if line.startswith(("gatewayd_worker_generation{", "gatewayd_generation "))
        }
        return values.pop() if len(values) == 1 else 0

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def gateway(folder: Path, *lines: str, **options: Any) -> Iterator[Gateway]:
    """A gateway that serves `lines`; PORT in them is its port."""
    subject = Gateway(folder, **options)
    subject.write(*(line.replace("PORT", str(subject.port)) for line in lines))
    try:
        yield subject.start()
    finally:
        subject.stop()
