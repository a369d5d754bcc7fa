"""Fixtures that several folders of tests share: free ports and real processes, ended when the test ends.

And how examples are drawn: the same ones in CI each time, new ones elsewhere; none fails for being slow. No proxy that
the environment names is asked: curl, grpc and urllib would ask it for what listens on this machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import settings

from tests.processes import Echo, Gateway, Process, free_port

settings.register_profile("gatewayd", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("gatewayd")
for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
    del os.environ[name]


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    """A stack on which what a test starts is put: `stack.callback(process.stop)`."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start(processes: ExitStack) -> Callable[..., Process]:
    """Start a command: `start("nginx", "-c", path)`."""

    def started(*command: str, **options: Any) -> Process:
        process = Process(command, **options)
        processes.callback(process.stop)
        return process

    return started


@pytest.fixture
def echo(processes: ExitStack) -> Callable[..., Echo]:
    """Start an echo backend: `echo("name", "--tcp")`; its `port` is free and chosen by the kernel."""

    def started(name: str = "echo", *options: str, port: int = 0) -> Echo:
        process = Echo(name, *options, port=port)
        processes.callback(process.stop)
        return process

    return started


@pytest.fixture
def gateway(processes: ExitStack) -> Callable[..., Gateway]:
    """Start a gateway and wait until it is ready: `gateway(folder, ports=[80])`; `.ports[80]` is the bound port."""

    def started(*paths: Any, **options: Any) -> Gateway:
        process = Gateway(*paths, **options)
        processes.callback(process.stop)
        return process

    return started


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return free_port()
