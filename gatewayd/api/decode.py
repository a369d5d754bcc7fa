"""From documents to typed objects. All problems of an object are collected; an object with an error is not returned."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from gatewayd.api.backendtlspolicy import BackendTLSPolicy
from gatewayd.api.core import ConfigMap, EndpointSlice, Namespace, Secret, Service
from gatewayd.api.documents import Document
from gatewayd.api.forms import written
from gatewayd.api.gateway import Gateway
from gatewayd.api.gatewayclass import GatewayClass
from gatewayd.api.gatewayconfig import GatewayConfig
from gatewayd.api.grpcroute import GRPCRoute
from gatewayd.api.httproute import HTTPRoute
from gatewayd.api.listenerset import ListenerSet
from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem, dotted, printable
from gatewayd.api.record import Record
from gatewayd.api.referencegrant import ReferenceGrant
from gatewayd.api.rules.table import LATER
from gatewayd.api.shape import POISON, Finding, Findings, guess, shape_of
from gatewayd.api.tcproute import TCPRoute
from gatewayd.api.tlsroute import TLSRoute
from gatewayd.api.udproute import UDPRoute
from gatewayd.api.xbackend import XBackend
from gatewayd.api.xbackendtrafficpolicy import XBackendTrafficPolicy
from gatewayd.api.xmesh import XMesh

GATEWAY = "gateway.networking.k8s.io"
EXPERIMENTAL = "gateway.networking.x-k8s.io"
OURS = "gatewayd.dev"

# Every kind, with the versions of it that any channel ever served.
KINDS: dict[tuple[str, str], tuple[type[Record], tuple[str, ...]]] = {
    (GATEWAY, "GatewayClass"): (GatewayClass, ("v1", "v1beta1")),
    (GATEWAY, "Gateway"): (Gateway, ("v1", "v1beta1")),
    (GATEWAY, "HTTPRoute"): (HTTPRoute, ("v1", "v1beta1")),
    (GATEWAY, "GRPCRoute"): (GRPCRoute, ("v1",)),
    (GATEWAY, "TLSRoute"): (TLSRoute, ("v1", "v1alpha3", "v1alpha2")),
    (GATEWAY, "TCPRoute"): (TCPRoute, ("v1", "v1alpha2")),
    (GATEWAY, "UDPRoute"): (UDPRoute, ("v1", "v1alpha2")),
    (GATEWAY, "ReferenceGrant"): (ReferenceGrant, ("v1", "v1beta1")),
    (GATEWAY, "BackendTLSPolicy"): (BackendTLSPolicy, ("v1", "v1alpha3")),
    (GATEWAY, "ListenerSet"): (ListenerSet, ("v1",)),
    (EXPERIMENTAL, "XBackend"): (XBackend, ("v1alpha1",)),
    (EXPERIMENTAL, "XBackendTrafficPolicy"): (XBackendTrafficPolicy, ("v1alpha1",)),
    (EXPERIMENTAL, "XMesh"): (XMesh, ("v1alpha1",)),
    (OURS, "GatewayConfig"): (GatewayConfig, ("v1alpha1",)),
    ("", "Service"): (Service, ("v1",)),
    ("", "Secret"): (Secret, ("v1",)),
    ("", "ConfigMap"): (ConfigMap, ("v1",)),
    ("", "Namespace"): (Namespace, ("v1",)),
    ("discovery.k8s.io", "EndpointSlice"): (EndpointSlice, ("v1",)),
}
CLUSTER_SCOPED = frozenset({"GatewayClass", "Namespace", "XMesh"})
# Parts of a cluster's set-up that lie beside the objects; they say nothing to a gateway without a cluster.
SILENT = frozenset({"CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"})
OUR_GROUPS = frozenset({GATEWAY, EXPERIMENTAL, OURS})


def once_a_kind(problems: Iterable[Problem]) -> list[Problem]:
    """Without the second and later warnings about the same unknown kind."""
    seen: set[str] = set()
    kept = []
    for problem in problems:
        if problem.field == "kind" and problem.severity == "warning":
            if problem.message in seen:
                continue
            seen.add(problem.message)
        kept.append(problem)
    return kept


def expand(document: Document) -> Iterator[Document]:
    """The objects of a `kind: List`, each as a document with its own lines; any other document as it is."""
    entries = document.value.get("items")
    if document.value.get("kind") != "List" or not isinstance(entries, list):
        yield document
        return
    lines = document.lines[1]["items"] if isinstance(document.lines, tuple) else document.line
    for index, entry in enumerate(entries):
        place = lines[1][index] if isinstance(lines, tuple) else lines
        line = place if isinstance(place, int) else place[0]
        value = entry if isinstance(entry, dict) else {"kind": entry}
        yield from expand(Document(document.file, line, value, place))


def decode(document: Document) -> tuple[Object | None, list[Problem]]:
    """One object and all that is wrong with it; None when it cannot be used. Warnings leave the object usable."""
    findings: Findings = []
    found = _kind(document.value, findings)
    item = None
    if found is not None:
        record, group, version = found
        resource = _resource(record, version, document.value, findings)
        if resource is not None:
            item = _object(document, group, version, resource)
    title = _title(document.value)
    return item, [_problem(document, title, finding) for finding in findings]


def _kind(value: dict[str, Any], findings: Findings) -> tuple[type[Record], str, str] | None:
    api_version, kind = value.get("apiVersion"), value.get("kind")
    for field, word in (("apiVersion", api_version), ("kind", kind)):
        if not isinstance(word, str) or not word:
            hint = f"for example `{field}: {'v1' if field == 'apiVersion' else 'Service'}`"
            message = "is required" if word is None else f"must be text, not {written(word)}"
            findings.append(Finding((field,), message, hint))
    if findings or not isinstance(api_version, str) or not isinstance(kind, str) or kind in SILENT:
        return None
    group, _, version = api_version.rpartition("/")
    known = KINDS.get((group, kind))
    if known is None:
        findings.append(_unknown_kind(group, version, kind))
        return None
    if version not in known[1]:
        hint = f"write `apiVersion: {group}/{known[1][0]}`" if group else f"write `apiVersion: {known[1][0]}`"
        findings.append(Finding(("apiVersion",), f"{kind} has no version {written(version)}", hint))
        return None
    return known[0], group, version


def _unknown_kind(group: str, version: str, kind: str) -> Finding:
    """An error in our own groups; elsewhere a warning: clusters are full of other kinds."""
    api_version = f"{group}/{version}" if group else version
    if group in OUR_GROUPS:
        hint = guess(kind, [name for space, name in KINDS if space == group])
        return Finding(("kind",), f"{printable(api_version)} has no kind {written(kind)}", hint)
    homes = [f"{space}/{versions[0]}" for (space, name), (_, versions) in KINDS.items() if name == kind and space]
    hint = f"our {kind} is of `apiVersion: {homes[0]}`" if homes else ""
    return Finding(
        ("kind",), printable(f"{kind} ({api_version}) is not served by a gateway and is skipped"), hint, "warning"
    )


def _resource(record: type[Record], version: str, value: dict[str, Any], findings: Findings) -> Record | None:
    """The typed object, or None when there was an error. `status` is the gateway's own to write, so it is not read."""
    shape = shape_of(record, version if version in LATER else "")
    built = shape({name: each for name, each in value.items() if name != "status"}, (), findings)
    if built is POISON or any(finding.severity == "error" for finding in findings):
        return None
    resource: Record = _merged(built) if isinstance(built, Secret) else built
    return resource


def _merged(secret: Secret) -> Secret:
    text = {key: value.encode() for key, value in secret.string_data.items()}
    return msgspec.structs.replace(secret, data={**secret.data, **text}, string_data={})


def _object(document: Document, group: str, version: str, resource: Any) -> Object:
    kind = resource.kind
    return Object(
        kind=kind,
        group=group,
        version=version,
        namespace="" if kind in CLUSTER_SCOPED else resource.metadata.namespace or "default",
        name=resource.metadata.name,
        file=document.file,
        line=document.line,
        resource=resource,
        document=document,
    )


def key_of(document: Document) -> str | None:
    """The key that the object of a document would have, though it may be invalid; None where nothing names it."""
    kind, metadata = document.value.get("kind"), document.value.get("metadata")
    if not isinstance(kind, str) or not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        return None
    namespace = "" if kind in CLUSTER_SCOPED else metadata.get("namespace") or "default"
    return f"{kind}/{namespace}/{metadata['name']}"


def _title(value: dict[str, Any]) -> str:
    """`HTTPRoute shop/cart`, from whatever is there."""
    kind, metadata = value.get("kind"), value.get("metadata")
    if not isinstance(kind, str):
        return ""
    metadata = metadata if isinstance(metadata, dict) else {}
    namespace, name = metadata.get("namespace") or "default", metadata.get("name") or "(no name)"
    return printable(f"{kind} {name}" if kind in CLUSTER_SCOPED else f"{kind} {namespace}/{name}")


def _problem(document: Document, title: str, finding: Finding) -> Problem:
    return Problem(
        file=document.file,
        line=document.line_of(finding.path),
        object=title,
        field=dotted(finding.path),
        message=finding.message,
        hint=finding.hint,
        severity=finding.severity,
    )
