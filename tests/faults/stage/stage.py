"""What an experiment stands on: a scratch folder, a pace, and what it started, all of which ends with it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from tests.faults.stage import proc
from tests.faults.stage.served import Served
from tests.faults.stage.witness import Backend, Peer, Request
from tests.manifests import Folder, Manifest, gateway, gateway_class, http_route, listener, rule, service
from tests.processes import Echo


class Stage:
    """One experiment's ground. `quick` asks for the shortest form that still shows that the experiment works."""

    def __init__(self, scratch: Path, stack: AsyncExitStack, *, quick: bool) -> None:
        self.scratch = scratch
        self.quick = quick
        self._stack = stack
        self.folder = Folder(scratch / "manifests")

    def pace(self, full: float, quick: float) -> float:
        """One of two lengths."""
        return quick if self.quick else full

    def count(self, full: int, quick: int) -> int:
        """One of two numbers."""
        return quick if self.quick else full

    async def backend(self, answer: Callable[[Peer, Request], None] | None = None) -> Backend:
        """A backend in this process; without `answer` the right one."""
        backend = Backend(answer)
        await backend.start()
        self._stack.callback(backend.stop)
        return backend

    async def echo(self, name: str, *options: str) -> Echo:
        """A `gatewayd echo`."""
        process = await asyncio.to_thread(Echo, name, *options)
        self._stack.push_async_callback(asyncio.to_thread, process.stop)
        return process

    async def gateway(self, *, stdout: int | None = None, stderr: int | None = None, **options: Any) -> Served:
        """A ready gateway of the folder."""
        served = Served(self.folder.path, self.scratch, **options)
        self._stack.push_async_callback(served.stop)
        await served.start(stdout, stderr)
        return served

    def site(self, routes: dict[str, Sequence[int]], *listeners: Manifest, **settings: dict[str, Any]) -> None:
        """Write a Gateway on port 80 with one route for each path prefix, to backends on ports of this machine.

        `settings` are the sections of a GatewayConfig: `timeouts={"head": "2s"}`.
        """
        config = {"group": "gatewayd.dev", "kind": "GatewayConfig", "name": "settings"}
        spec: Manifest = {"infrastructure": {"parametersRef": config}} if settings else {}
        written = [gateway_class(), gateway(listener("http", 80), *listeners, **spec)]
        if settings:
            written.append(gateway_config(settings))
        for number, (prefix, ports) in enumerate(routes.items()):
            name = f"to-{number}"
            written += [http_route(name, rule(name, prefix), section="http"), *service(name, *ports)]
        self.folder.write("site.yaml", *written)


class Watch:
    """Memory, descriptors and processor time of the gateway's workers, looked at ten times a second."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._task: asyncio.Task[None] | None = None
        self.before = self.memory()
        self.peak = self.before

    def memory(self) -> int:
        """Resident bytes of all workers; 0 of those that ended just now."""
        total = 0
        for pid in self._served.workers:
            try:
                total += proc.rss(pid)
            except (FileNotFoundError, ProcessLookupError):
                continue
        return total

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        while True:
            self.peak = max(self.peak, self.memory())
            await asyncio.sleep(0.1)

    @property
    def growth(self) -> float:
        """MiB between the beginning and the peak."""
        return math.floor((self.peak - self.before) / 1024) / 1024


def gateway_config(sections: Manifest, name: str = "settings") -> Manifest:
    """A GatewayConfig of some sections."""
    metadata = {"name": name}
    return {"apiVersion": "gatewayd.dev/v1alpha1", "kind": "GatewayConfig", "metadata": metadata, "spec": sections}
