"""The objects of the API server: identity, versions, conflicts, cascades. Pure: whoever listens is told of changes."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tests.conformance.standin.admission import admit
from tests.conformance.standin.kinds import Kind
from tests.conformance.standin.refusal import Refusal, not_found

Plain = dict[str, Any]
Listener = Callable[[Kind, Plain, bool], None]
Key = tuple[str, str]
SYSTEM_METADATA = ("uid", "resourceVersion", "generation", "creationTimestamp", "namespace", "name")


class Store:
    """Objects by kind and (namespace, name). `clock` gives the time of creation."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._objects: dict[Kind, dict[Key, Plain]] = {}
        self._version = 0
        self._clock = clock
        self._listeners: list[Listener] = []
        self._services = 0

    def listen(self, listener: Listener) -> None:
        """Call `listener(kind, object, gone)` after each change."""
        self._listeners.append(listener)

    def get(self, kind: Kind, namespace: str, name: str) -> Plain:
        """One object. Refusal 404 when there is none."""
        found = self._objects.get(kind, {}).get((namespace, name))
        if found is None:
            raise not_found(kind.plural, name)
        return found

    def of(self, kind: Kind, namespace: str = "") -> Iterator[Plain]:
        """All objects of a kind, of one namespace or of all, in order of their names."""
        for key, value in sorted(self._objects.get(kind, {}).items()):
            if not namespace or key[0] == namespace:
                yield value

    @property
    def version(self) -> str:
        """The resourceVersion of the latest change."""
        return str(self._version)

    def create(self, kind: Kind, version: str, namespace: str, value: Plain) -> Plain:
        """Store a new object. Refusal 404 without its namespace, 409 when it exists, 422 when it is not valid."""
        self._namespace_must_exist(kind, namespace)
        stored = admit(kind, version, value)
        metadata = stored["metadata"]
        if namespace and metadata.get("namespace", namespace) != namespace:
            raise Refusal(400, "BadRequest", "the namespace of the object is not that of the request")
        if (namespace, metadata["name"]) in self._objects.get(kind, {}):
            raise Refusal(409, "AlreadyExists", f'{kind.plural} "{metadata["name"]}" already exists')
        for field in SYSTEM_METADATA[:4]:
            metadata.pop(field, None)
        metadata |= {"uid": str(uuid.uuid4()), "creationTimestamp": self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")}
        metadata |= {"namespace": namespace} if namespace else {}
        metadata |= {"generation": 1} if kind.generated else {}
        if kind.name == "Service":
            self._give_address(stored["spec"])
        return self._put(kind, stored)

    def update(self, kind: Kind, version: str, namespace: str, value: Plain) -> Plain:
        """Replace an object. Refusal 409 when its resourceVersion is not the present one."""
        name = (value.get("metadata") or {}).get("name", "")
        before = self.get(kind, namespace, name)
        told = value["metadata"].get("resourceVersion")
        if told and told != before["metadata"]["resourceVersion"]:
            raise Refusal(
                409,
                "Conflict",
                f'operation cannot be fulfilled on {kind.plural} "{name}": the object has been modified; '
                "apply your changes to the latest version and try again",
            )
        stored = admit(kind, version, value)
        for field in SYSTEM_METADATA:
            stored["metadata"].pop(field, None)
            if field in before["metadata"]:
                stored["metadata"][field] = before["metadata"][field]
        if kind.name == "Service":
            stored["spec"].setdefault("clusterIP", before["spec"].get("clusterIP"))
        if "status" in before:
            stored["status"] = before["status"]
        if stored == before:
            return before
        if kind.generated and _content(stored) != _content(before):
            stored["metadata"]["generation"] += 1
        return self._put(kind, stored)

    def patch(self, kind: Kind, version: str, namespace: str, name: str, patch: Plain) -> Plain:
        """Apply a JSON merge patch (RFC 7396)."""
        before = self.get(kind, namespace, name)
        value = {**before, "apiVersion": kind.api_version(version)}
        return self.update(kind, version, namespace, merge(value, patch))

    def set_status(self, kind: Kind, namespace: str, name: str, status: Plain) -> None:
        """What a controller of the cluster (never the gateway's) says of an object of its own."""
        before = self.get(kind, namespace, name)
        if before.get("status") != status:
            self._put(kind, {**before, "status": status})

    def delete(self, kind: Kind, namespace: str, name: str, uid: str | None = None) -> Plain:
        """Remove an object, and with a namespace all that is in it, with an owner all that it owns."""
        gone = self.get(kind, namespace, name)
        if uid is not None and uid != gone["metadata"]["uid"]:
            raise Refusal(409, "Conflict", "the uid is not that of the object")
        del self._objects[kind][namespace, name]
        self._version += 1
        self._tell(kind, gone, gone=True)
        for other, key in list(self._dependants(kind, gone)):
            if key in self._objects[other]:
                self.delete(other, *key)
        return gone

    def _dependants(self, kind: Kind, owner: Plain) -> Iterator[tuple[Kind, Key]]:
        inside = owner["metadata"]["name"] if kind.name == "Namespace" else None
        for other, members in self._objects.items():
            for key, value in members.items():
                owners = value["metadata"].get("ownerReferences") or ()
                if key[0] == inside or any(one["uid"] == owner["metadata"]["uid"] for one in owners):
                    yield other, key

    def _namespace_must_exist(self, kind: Kind, namespace: str) -> None:
        known = next((members for one, members in self._objects.items() if one.name == "Namespace"), {})
        if kind.namespaced and ("", namespace) not in known:
            raise not_found("namespaces", namespace)

    def _give_address(self, spec: Plain) -> None:
        """A ClusterIP, that no machine has: what connects to it instead of to an endpoint fails."""
        if spec["type"] != "ExternalName" and "clusterIP" not in spec:
            self._services += 1
            spec["clusterIP"] = f"10.96.{self._services >> 8}.{self._services & 255}"

    def _put(self, kind: Kind, value: Plain) -> Plain:
        self._version += 1
        value["metadata"]["resourceVersion"] = str(self._version)
        key = (value["metadata"].get("namespace", ""), value["metadata"]["name"])
        self._objects.setdefault(kind, {})[key] = value
        self._tell(kind, value, gone=False)
        return value

    def _tell(self, kind: Kind, value: Plain, *, gone: bool) -> None:
        for listener in self._listeners:
            listener(kind, value, gone)


def _content(value: Plain) -> Plain:
    return {key: item for key, item in value.items() if key not in ("metadata", "status")}


def merge(value: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = copy.deepcopy(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), item)
    return result
