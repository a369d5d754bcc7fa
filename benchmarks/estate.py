"""The files of a gatewayd that is started or told something new: the quickstart, and as many routes beside it as asked.

Each route has a file of its own, a hundred files share a folder. Files are replaced as a whole, by a rename, and a
folder that the gateway does not look into (its name begins with a dot) is where they come from.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.peers.gatewayd import GATEWAY, resource
from benchmarks.site import LOOPBACK, PATHS

QUICKSTART = Path(__file__).parents[1] / "config" / "quickstart"
NAMESPACE = "demo"  # of the quickstart, as are the next two
EDGE = "quickstart"
PORT = 8080
HOST = "bench.example.com"
A_FOLDER = 100


def place(document: dict[str, Any]) -> dict[str, Any]:
    document["metadata"]["namespace"] = NAMESPACE
    return document


def route(name: str, host: str, path: str, **rule: Any) -> dict[str, Any]:
    """An HTTPRoute of this path at the quickstart's Gateway, to the service `bench` unless told otherwise."""
    match = {"path": {"type": "PathPrefix", "value": path}}
    rules = [{"matches": [match], **(rule or {"backendRefs": [{"name": "bench", "port": 80}]})}]
    spec = {"parentRefs": [{"name": EDGE}], "hostnames": [host], "rules": rules}
    return place(resource(GATEWAY + "v1", "HTTPRoute", name, spec=spec))


def endpoints(port: int) -> dict[str, Any]:
    """Where the service `bench` is."""
    made = resource(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "bench-1",
        addressType="IPv4",
        ports=[{"name": "http", "port": port}],
        endpoints=[{"addresses": [LOOPBACK]}],
    )
    made["metadata"]["labels"] = {"kubernetes.io/service-name": "bench"}
    return place(made)


class Estate:
    """A folder of such files."""

    def __init__(self, folder: Path, routes: int, backend: int) -> None:
        self.folder = folder
        self._aside = folder / ".aside"
        shutil.copytree(QUICKSTART, folder)
        self._aside.mkdir()
        self.put("bench/endpoints.yaml", endpoints(backend))
        self.put("bench/files.yaml", route("bench-files", HOST, "/files"))
        redirect = {"type": "RequestRedirect", "requestRedirect": {"statusCode": 302}}
        self.put("bench/else.yaml", route("bench-else", HOST, "/", filters=[redirect]))
        service = resource("v1", "Service", "bench", spec={"ports": [{"name": "http", "port": 80}]})
        self.put("bench/service.yaml", place(service))
        for name, document in neighbours(routes):
            self.put(name, document)

    def put(self, name: str, document: dict[str, Any]) -> None:
        """The file is there as a whole or not at all."""
        aside, target = self._aside / "file", self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(json.dumps(document) + "\n")
        aside.rename(target)

    def drop(self, name: str) -> None:
        (self.folder / name).unlink()


def neighbours(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """So many routes, five paths for each host, and their files."""
    for number in range(count):
        host, path = f"t{number // len(PATHS)}.example.com", PATHS[number % len(PATHS)]
        yield f"routes-{number // A_FOLDER}/{number}.yaml", route(f"route-{number}", host, path)
