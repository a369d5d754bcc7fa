"""All that stands in for a cluster, together, and the gateway inside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.conformance.standin import http
from tests.conformance.standin.api import Api
from tests.conformance.standin.deployments import Deployments
from tests.conformance.standin.files import Mirror
from tests.conformance.standin.kinds import CRD_GROUP, Kinds
from tests.conformance.standin.slices import Slices
from tests.conformance.standin.statuses import Statuses
from tests.conformance.standin.store import Store
from tests.processes import free_port

HOST = "127.0.0.1"
PODS = "127.88"  # network of the pods' addresses
POOL = "127.64.0.0/16"
USABLE, UNUSABLE = "127.63.0.1", "192.0.2.1"  # for Gateways that name their address; nobody has one of TEST-NET-1
GATEWAY_CLASS = "gateway-conformance"
CONTROLLER = "gatewayd.dev/gateway"
ROOT = Path(__file__).parents[3]
PATIENCE = 120.0


class NotReady(Exception):
    """The gateway did not come up."""


@contextlib.asynccontextmanager
async def cluster(directory: Path, definitions: Path, echo: Path) -> AsyncIterator[Path]:
    """Run API server, controllers and gatewayd; the path of the kubeconfig. All ends with the context."""
    objects = directory / "objects"
    objects.mkdir(parents=True)
    kinds = Kinds.read(definitions)
    store = Store()
    store.listen(Mirror(objects))
    dns = (sys.executable, "-S", str(Path(__file__).with_name("dns.py")))
    pods = Deployments(kinds, store, directory / "pods", {"echo-basic": (str(echo),), "coredns": dns}, PODS)
    Slices(kinds, store)
    seed(kinds, store)
    admin = free_port()
    statuses = Statuses(HOST, admin)
    server = await http.serve(HOST, 0, Api(kinds, store, statuses, pods.logs).answer)
    gateway = await start_gateway(objects, admin, directory)
    try:
        await _ready(statuses, gateway)
        config = directory / "kubeconfig"
        config.write_text(json.dumps(kubeconfig(f"http://{HOST}:{server.sockets[0].getsockname()[1]}")))
        yield config
    finally:
        server.close()
        await stop(gateway)
        await pods.stop()


def seed(kinds: Kinds, store: Store) -> None:
    """What a cluster has before the suite comes: definitions, a namespace, a node, the GatewayClass."""
    definition = kinds.by_name[CRD_GROUP, "CustomResourceDefinition"]
    for one in kinds.definitions:
        store.create(definition, "v1", "", one)
        store.set_status(definition, "", one["metadata"]["name"], _established(one))
    store.create(kinds.by_name["", "Namespace"], "v1", "", {"metadata": {"name": "default"}})
    store.create(kinds.by_name["", "Node"], "v1", "", {"metadata": {"name": "standin"}})
    gateway_class = {"metadata": {"name": GATEWAY_CLASS}, "spec": {"controllerName": CONTROLLER}}
    store.create(kinds.by_name["gateway.networking.k8s.io", "GatewayClass"], "v1", "", gateway_class)


def _established(definition: dict[str, Any]) -> dict[str, Any]:
    names = definition["spec"]["names"]
    conditions = [{"type": kind, "status": "True", "reason": "Accepted"} for kind in ("NamesAccepted", "Established")]
    return {"acceptedNames": names, "conditions": conditions, "storedVersions": []}


def kubeconfig(server: str) -> dict[str, Any]:
    """A kubeconfig (JSON is YAML) for the server."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "standin",
        "clusters": [{"name": "standin", "cluster": {"server": server}}],
        "users": [{"name": "standin", "user": {}}],
        "contexts": [{"name": "standin", "context": {"cluster": "standin", "user": "standin"}}],
    }


async def start_gateway(objects: Path, admin: int, directory: Path) -> asyncio.subprocess.Process:
    """`gatewayd run` of this checkout on the directory of objects; what it says goes to gatewayd.log."""
    command = ["run", str(objects), "--address-pool", POOL, "--admin", f"{HOST}:{admin}", "--workers", "2"]
    command += ["--controller-name", CONTROLLER, "--access-log", str(directory / "access.log")]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with (directory / "gatewayd.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gatewayd",
            *command,
            env={**os.environ, "PYTHONPATH": paths},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


async def _ready(statuses: Statuses, gateway: asyncio.subprocess.Process) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while gateway.returncode is None and asyncio.get_running_loop().time() < deadline:
        try:
            await statuses.read()
        except (ConnectionError, OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.05)
        else:
            return
    raise NotReady("gatewayd did not come up; gatewayd.log says why")


async def stop(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, and SIGKILL when that takes too long."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()
