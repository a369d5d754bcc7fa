"""The controller of Deployments: each wants so many pods of its template, and gets them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.conformance.standin.kinds import Kind, Kinds
from tests.conformance.standin.pod import Missing, Pod
from tests.conformance.standin.refusal import Refusal
from tests.conformance.standin.store import Store

Plain = dict[str, Any]
LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # those of generated names in Kubernetes
NODE = "standin"


class Deployments:
    """Listens to the store; pods are objects in it, and processes here. `programs` gives the command for an image by a
    part of its name; `network` the first two numbers of the pods' addresses.
    """

    def __init__(
        self, kinds: Kinds, store: Store, directory: Path, programs: Mapping[str, tuple[str, ...]], network: str
    ) -> None:
        self._kinds = kinds
        self._store = store
        self._directory = directory
        self._programs = programs
        self._network = network
        self._kind = kinds.by_name["apps", "Deployment"]
        self._pod_kind = kinds.by_name["", "Pod"]
        self._pods: dict[str, Pod] = {}
        self._seen: dict[str, int] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._started = 0
        store.listen(self._changed)

    def logs(self, namespace: str, name: str, since: datetime | None) -> str:
        """The log of a pod. Refusal 404 when there is none."""
        value = self._store.get(self._pod_kind, namespace, name)
        return self._pods[value["metadata"]["uid"]].logs(since)

    async def stop(self) -> None:
        """End all pods."""
        await asyncio.gather(*(pod.stop() for pod in self._pods.values()), *self._ending)

    def _changed(self, kind: Kind, value: Plain, gone: bool) -> None:
        if kind is self._kind:
            metadata = value["metadata"]
            if gone:
                self._seen.pop(metadata["uid"], None)
            elif self._seen.get(metadata["uid"]) != metadata["generation"]:  # not for what we say in its status
                self._seen[metadata["uid"]] = metadata["generation"]
                self._reconcile(value)
        if kind is self._pod_kind and gone:
            pod = self._pods.pop(value["metadata"]["uid"], None)
            if pod is not None:
                task = asyncio.get_running_loop().create_task(pod.stop())
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    def _reconcile(self, deployment: Plain) -> None:
        present = list(self._owned(deployment))
        template = _digest(deployment["spec"]["template"])
        wanted = deployment["spec"]["replicas"]
        current = [pod for pod in present if pod.metadata["labels"]["pod-template-hash"] == template]
        for pod in current[wanted:] + [pod for pod in present if pod not in current]:
            self._store.delete(self._pod_kind, pod.metadata["namespace"], pod.metadata["name"])
        for _ in range(len(current), wanted):
            self._start(deployment, template)

    def _owned(self, deployment: Plain) -> Iterator[Pod]:
        uid = deployment["metadata"]["uid"]
        return (pod for pod in self._pods.values() if pod.metadata["ownerReferences"][0]["uid"] == uid)

    def _start(self, deployment: Plain, template: str) -> None:
        metadata, wanted = deployment["metadata"], deployment["spec"]["template"]
        self._started += 1
        name = f"{metadata['name']}-{template}-{_digest(self._started)[:5]}"
        labels = {**(wanted.get("metadata") or {}).get("labels", {}), "pod-template-hash": template}
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": metadata["name"], "uid": metadata["uid"]}
        stored = self._store.create(
            self._pod_kind,
            "v1",
            metadata["namespace"],
            {
                "metadata": {"name": name, "labels": labels, "ownerReferences": [owner | {"controller": True}]},
                "spec": {**wanted["spec"], "nodeName": NODE},
            },
        )
        pod = Pod(
            stored["metadata"],
            stored["spec"],
            f"{self._network}.{self._started >> 8 & 255}.{self._started & 255}",
            directory=self._directory,
            programs=self._programs,
            read=lambda kind, name: self._read(kind, metadata["namespace"], name),
            changed=self._report,
        )
        self._pods[stored["metadata"]["uid"]] = pod
        self._report(pod)
        pod.start()

    def _read(self, kind: str, namespace: str, name: str) -> Plain:
        try:
            return self._store.get(self._kinds.by_name["", kind], namespace, name)
        except Refusal as refusal:
            raise Missing(str(refusal)) from refusal

    def _report(self, pod: Pod) -> None:
        namespace, name = pod.metadata["namespace"], pod.metadata["name"]
        if pod.metadata["uid"] not in self._pods:
            return
        self._store.set_status(self._pod_kind, namespace, name, pod.status())
        for deployment in self._store.of(self._kind, namespace):
            if deployment["metadata"]["uid"] == pod.metadata["ownerReferences"][0]["uid"]:
                ready = sum(one.ready for one in self._owned(deployment))
                counts = {"replicas": deployment["spec"]["replicas"], "readyReplicas": ready}
                status = {**counts, "availableReplicas": ready}
                self._store.set_status(self._kind, namespace, deployment["metadata"]["name"], status)


def _digest(value: Any) -> str:
    data = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
    return "".join(LETTERS[byte % len(LETTERS)] for byte in data[:10])
