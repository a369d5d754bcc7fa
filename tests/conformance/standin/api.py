"""The Kubernetes API as far as the suite's clients use it: discovery, objects, JSON merge patch, logs of pods."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Protocol

from tests.conformance.standin import selectors
from tests.conformance.standin.http import Request, Response
from tests.conformance.standin.kinds import Kind, Kinds
from tests.conformance.standin.refusal import Refusal
from tests.conformance.standin.store import Store

Plain = dict[str, Any]
VERBS = ["create", "delete", "get", "list", "patch", "update"]


class Reported(Protocol):
    """Where the statuses of the objects of the Gateway API come from."""

    async def read(self) -> dict[str, Plain]:
        """Statuses by uid."""


class Api:
    """Answers requests from a Store. `logs(namespace, pod, since)` gives the lines of a pod."""

    def __init__(
        self, kinds: Kinds, store: Store, reported: Reported, logs: Callable[[str, str, datetime | None], str]
    ) -> None:
        self._kinds = kinds
        self._store = store
        self._reported = reported
        self._logs = logs

    async def answer(self, request: Request) -> Response:
        """The response to one request; what is refused is a Status object."""
        try:
            return await self._route(request)
        except Refusal as refusal:
            return Response(refusal.code, refusal.status())

    async def _route(self, request: Request) -> Response:
        match request.path:
            case ("version",):
                return Response(200, {"major": "1", "minor": "36", "gitVersion": "v1.36.0"})
            case ("api",):
                return Response(200, {"kind": "APIVersions", "versions": ["v1"]})
            case ("apis",):
                groups = [_group(group, versions) for group, versions in self._kinds.groups().items() if group]
                return Response(200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
            case ("apis", group) if group in self._kinds.groups():
                return Response(200, _group(group, self._kinds.groups()[group]))
            case ("api", version, *rest):
                return await self._resource(request, "", version, tuple(rest))
            case ("apis", group, version, *rest):
                return await self._resource(request, group, version, tuple(rest))
        raise Refusal(404, "NotFound", "the server could not find the requested resource")

    async def _resource(self, request: Request, group: str, version: str, rest: tuple[str, ...]) -> Response:
        if not rest:
            return Response(200, self._resources(group, version))
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        kind = self._kinds.by_plural.get((group, rest[0]))
        if kind is None or version not in kind.versions:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        if (kind.name, *rest[2:]) == ("Pod", "log") and request.method == "GET":
            return Response(200, self._pod_logs(namespace, rest[1], request))
        if len(rest) > 2:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        verb = self._verb(request.method, one=len(rest) == 2)
        return await verb(request, kind, version, namespace, *rest[1:])

    def _verb(self, method: str, *, one: bool) -> Callable[..., Awaitable[Response]]:
        verbs: dict[tuple[str, bool], Callable[..., Awaitable[Response]]] = {
            ("GET", True): self._get,
            ("GET", False): self._list,
            ("POST", False): self._create,
            ("PUT", True): self._update,
            ("PATCH", True): self._patch,
            ("DELETE", True): self._delete,
        }
        if (method, one) not in verbs:
            raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return verbs[method, one]

    async def _get(self, request: Request, kind: Kind, version: str, namespace: str, name: str) -> Response:
        del request
        self._store.get(kind, namespace, name)
        statuses = await self._statuses(kind)
        return Response(200, self._shown(kind, version, self._store.get(kind, namespace, name), statuses))

    async def _list(self, request: Request, kind: Kind, version: str, namespace: str) -> Response:
        if "watch" in request.query:
            raise Refusal(405, "MethodNotAllowed", "watches are not served")
        statuses = await self._statuses(kind)
        wanted = selectors.parse(request.query.get("labelSelector", ""))
        fields = selectors.parse(request.query.get("fieldSelector", ""))
        items = [
            self._shown(kind, version, value, statuses)
            for value in self._store.of(kind, namespace)
            if selectors.holds(wanted, value["metadata"].get("labels") or {})
            and selectors.holds(fields, _fields(value))
        ]
        body = {"kind": f"{kind.name}List", "apiVersion": kind.api_version(version), "items": items}
        return Response(200, body | {"metadata": {"resourceVersion": self._store.version}})

    async def _create(self, request: Request, kind: Kind, version: str, namespace: str) -> Response:
        value = self._store.create(kind, version, namespace, _object(request))
        return Response(201, self._shown(kind, version, value, {}))

    async def _update(self, request: Request, kind: Kind, version: str, namespace: str, name: str) -> Response:
        value = _object(request)
        if (value.get("metadata") or {}).get("name") != name:
            raise Refusal(400, "BadRequest", "the name of the object is not that of the request")
        return Response(200, self._shown(kind, version, self._store.update(kind, version, namespace, value), {}))

    async def _patch(self, request: Request, kind: Kind, version: str, namespace: str, name: str) -> Response:
        if request.content_type != "application/merge-patch+json":
            raise Refusal(415, "UnsupportedMediaType", f"patches of type {request.content_type} are not served")
        value = self._store.patch(kind, version, namespace, name, _object(request))
        return Response(200, self._shown(kind, version, value, {}))

    async def _delete(self, request: Request, kind: Kind, version: str, namespace: str, name: str) -> Response:
        del version
        conditions = (request.body or {}).get("preconditions") or {}
        gone = self._store.delete(kind, namespace, name, conditions.get("uid"))
        details = {"name": name, "group": kind.group, "kind": kind.plural, "uid": gone["metadata"]["uid"]}
        return Response(
            200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        )

    async def _statuses(self, kind: Kind) -> dict[str, Plain]:
        if not kind.schemas:
            return {}
        try:
            return await self._reported.read()
        except (OSError, EOFError) as error:
            raise Refusal(503, "ServiceUnavailable", f"the gateway tells no statuses: {error}") from error

    @staticmethod
    def _shown(kind: Kind, version: str, value: Plain, statuses: dict[str, Plain]) -> Plain:
        shown = {**copy.deepcopy(value), "apiVersion": kind.api_version(version)}
        status = statuses.get(value["metadata"]["uid"])
        return shown if status is None else {**shown, "status": status}

    def _resources(self, group: str, version: str) -> Plain:
        found = [kind for kind in self._kinds.all if kind.group == group and version in kind.versions]
        if not found:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        return {
            "kind": "APIResourceList",
            "apiVersion": "v1",
            "groupVersion": found[0].api_version(version),
            "resources": [
                {"name": kind.plural, "singularName": kind.name.lower(), "kind": kind.name}
                | {"namespaced": kind.namespaced, "verbs": VERBS}
                for kind in found
            ],
        }

    def _pod_logs(self, namespace: str, name: str, request: Request) -> str:
        since = request.query.get("sinceTime")
        return self._logs(namespace, name, datetime.fromisoformat(since) if since else None)


def _object(request: Request) -> Plain:
    if not isinstance(request.body, dict):
        raise Refusal(400, "BadRequest", "the body is no object")
    return request.body


def _fields(value: Plain) -> dict[str, str]:
    """What field selectors can ask for."""
    return {f"metadata.{key}": value["metadata"].get(key, "") for key in ("name", "namespace")}


def _group(group: str, versions: list[str]) -> Plain:
    served = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": served, "preferredVersion": served[0]}
