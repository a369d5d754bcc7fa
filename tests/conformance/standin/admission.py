"""What an API server does to an object before it is stored: defaults, pruning, and refusing what is not valid."""

from __future__ import annotations

import base64
import copy
import re
from typing import Any

import yaml

from gatewayd.api.decode import KINDS, decode
from gatewayd.api.documents import load
from tests.conformance.standin.kinds import Kind
from tests.conformance.standin.refusal import Refusal, invalid
from tests.conformance.standin.schema import default, prune, validate

NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")

Plain = dict[str, Any]


def admit(kind: Kind, version: str, value: Plain) -> Plain:
    """The object as it is stored: a copy, in the stored version. Refusal when it is not valid."""
    name = (value.get("metadata") or {}).get("name") or ""
    if not NAME.fullmatch(name) or len(name) > 253:
        raise invalid(kind.name, name, ["metadata.name: must be a lower case RFC 1123 subdomain"])
    wanted = kind.api_version(version)
    if value.get("kind", kind.name) != kind.name or value.get("apiVersion", wanted) != wanted:
        raise Refusal(400, "BadRequest", f"the object is not a {kind.name} of {wanted}")
    admitted = _by_schema(kind, version, value) if version in kind.schemas else _built_in(kind, value)
    admitted["apiVersion"], admitted["kind"] = wanted, kind.name
    causes = semantic(kind, admitted)
    if causes:
        raise invalid(kind.name, name, causes)
    admitted["apiVersion"] = kind.api_version(kind.stored)
    return admitted


def _by_schema(kind: Kind, version: str, value: Plain) -> Plain:
    schema = kind.schemas[version]
    metadata: Plain = copy.deepcopy(value["metadata"])
    body = prune({key: item for key, item in value.items() if key not in ("metadata", "status")}, schema)
    default(body, {**schema, "properties": {k: v for k, v in schema["properties"].items() if k != "status"}})
    causes = [cause.removeprefix(".") for cause in validate({**body, "metadata": metadata}, schema)]
    if causes:
        raise invalid(kind.name, metadata["name"], causes)
    return {**body, "metadata": metadata}


def _built_in(kind: Kind, value: Plain) -> Plain:
    admitted: Plain = without_nulls({key: item for key, item in value.items() if key != "status"})
    admitted.setdefault("metadata", {})
    fill = DEFAULTS.get(kind.name)
    if fill is not None:
        fill(admitted)
    return admitted


def without_nulls(value: Any) -> Any:
    """A copy in which no mapping has a null member; Go writes unset fields so."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def semantic(kind: Kind, value: Plain) -> list[str]:
    """What gatewayd's decoder refuses; it knows the CEL rules of the definitions and the checks of the core kinds."""
    if (kind.group, kind.name) not in KINDS:
        return []
    text = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False).encode()
    documents, problems = load(text, kind.plural)
    for document in documents:
        problems += decode(document)[1]
    return [f"{problem.field}: {problem.message}" for problem in problems if problem.severity == "error"]


def _service(value: Plain) -> None:
    spec = value.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    spec.setdefault("ipFamilies", ["IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    spec.setdefault("internalTrafficPolicy", "Cluster")
    for port in spec.get("ports") or ():
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port.get("port"))


def _secret(value: Plain) -> None:
    value.setdefault("type", "Opaque")
    for key, text in (value.pop("stringData", None) or {}).items():
        value.setdefault("data", {})[key] = base64.b64encode(text.encode()).decode()


def _namespace(value: Plain) -> None:
    value["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = value["metadata"]["name"]


def _deployment(value: Plain) -> None:
    value.setdefault("spec", {}).setdefault("replicas", 1)


DEFAULTS = {"Service": _service, "Secret": _secret, "Namespace": _namespace, "Deployment": _deployment}
