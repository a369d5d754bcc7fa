"""The controller of EndpointSlices: for each Service with a selector, the pods that it selects."""

from __future__ import annotations

from typing import Any

from tests.conformance.standin.kinds import Kind, Kinds
from tests.conformance.standin.store import Store

Plain = dict[str, Any]
MANAGER = "endpointslice-controller.k8s.io"


class Slices:
    """Listens to the store for Services and pods, and keeps the slices in it."""

    def __init__(self, kinds: Kinds, store: Store) -> None:
        self._store = store
        self._services = kinds.by_name["", "Service"]
        self._pods = kinds.by_name["", "Pod"]
        self._slices = kinds.by_name["discovery.k8s.io", "EndpointSlice"]
        store.listen(self._changed)

    def _changed(self, kind: Kind, value: Plain, gone: bool) -> None:
        namespace = value["metadata"].get("namespace", "")
        if kind is self._services and not gone:
            self._reconcile(value)
        elif kind is self._pods:
            for service in list(self._store.of(self._services, namespace)):
                if selects(service, value):
                    self._reconcile(service)

    def _reconcile(self, service: Plain) -> None:
        namespace, name = service["metadata"]["namespace"], service["metadata"]["name"]
        wanted = wanted_slices(service, [pod for pod in self._store.of(self._pods, namespace) if selects(service, pod)])
        present = {
            one["metadata"]["name"]: one
            for one in self._store.of(self._slices, namespace)
            if (one["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
            and one["metadata"]["labels"].get("endpointslice.kubernetes.io/managed-by") == MANAGER
        }
        for each in wanted:
            if each["metadata"]["name"] in present:
                self._store.update(self._slices, "v1", namespace, each)
            else:
                self._store.create(self._slices, "v1", namespace, each)
        for gone in set(present) - {each["metadata"]["name"] for each in wanted}:
            self._store.delete(self._slices, namespace, gone)


def selects(service: Plain, pod: Plain) -> bool:
    """Whether the Service's selector takes the pod; without a selector it takes none."""
    selector = service.get("spec", {}).get("selector") or {}
    labels = pod["metadata"].get("labels") or {}
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def wanted_slices(service: Plain, pods: list[Plain]) -> list[Plain]:
    """One slice for each set of ports that the pods have (named target ports may differ); one when there is no pod."""
    if not service["spec"].get("selector"):
        return []
    by_ports: dict[str, tuple[list[Plain], list[Plain]]] = {}
    for pod in pods:
        ports = [_port(port, pod) for port in service["spec"].get("ports") or ()]
        known = [port for port in ports if port is not None]
        by_ports.setdefault(repr(known), (known, []))[1].append(pod)
    groups = list(by_ports.values()) or [([], [])]
    return [_slice(service, number, *group) for number, group in enumerate(groups)]


def _port(port: Plain, pod: Plain) -> Plain | None:
    target = port.get("targetPort", port["port"])
    if isinstance(target, str):
        named = (one for container in pod["spec"]["containers"] for one in container.get("ports") or ())
        target = next((one["containerPort"] for one in named if one.get("name") == target), None)
    if target is None:
        return None
    shown = {"name": port.get("name", ""), "port": target, "protocol": port.get("protocol", "TCP")}
    return shown | ({"appProtocol": port["appProtocol"]} if "appProtocol" in port else {})


def _slice(service: Plain, number: int, ports: list[Plain], pods: list[Plain]) -> Plain:
    metadata = service["metadata"]
    labels = {"kubernetes.io/service-name": metadata["name"], "endpointslice.kubernetes.io/managed-by": MANAGER}
    owner = {"apiVersion": "v1", "kind": "Service", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "metadata": {
            "name": f"{metadata['name'][:200]}-{metadata['uid'][:4]}{number}",
            "labels": labels,
            "ownerReferences": [owner | {"controller": True}],
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [_endpoint(pod) for pod in pods if (pod.get("status") or {}).get("podIP")],
    }


def _endpoint(pod: Plain) -> Plain:
    conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions") or ()}
    ready = conditions.get("Ready") == "True"
    metadata = pod["metadata"]
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": ready, "terminating": False},
        "nodeName": pod["spec"].get("nodeName"),
        "targetRef": {"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"]}
        | {"uid": metadata["uid"]},
    }
