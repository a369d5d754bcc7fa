"""The kinds that the API serves: some built-in ones, and those of the CustomResourceDefinitions of the release."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CRD_GROUP = "apiextensions.k8s.io"


@dataclass(frozen=True)
class Kind:
    """One kind: `versions` are those served, with their schemas (None for built-in kinds); `stored` is one of them."""

    group: str
    name: str
    plural: str
    versions: tuple[str, ...]
    stored: str
    namespaced: bool = True
    schemas: dict[str, dict[str, Any]] = field(default_factory=dict, hash=False, compare=False)

    @property
    def generated(self) -> bool:
        """Whether metadata.generation counts the changes of spec."""
        return bool(self.group)

    def api_version(self, version: str) -> str:
        """`group/version`, or the version alone for the core group."""
        return f"{self.group}/{version}" if self.group else version


BUILT_IN = (
    Kind("", "Namespace", "namespaces", ("v1",), "v1", namespaced=False),
    Kind("", "Node", "nodes", ("v1",), "v1", namespaced=False),
    Kind("", "Pod", "pods", ("v1",), "v1"),
    Kind("", "Service", "services", ("v1",), "v1"),
    Kind("", "ServiceAccount", "serviceaccounts", ("v1",), "v1"),
    Kind("", "Secret", "secrets", ("v1",), "v1"),
    Kind("", "ConfigMap", "configmaps", ("v1",), "v1"),
    Kind("apps", "Deployment", "deployments", ("v1",), "v1"),
    Kind("discovery.k8s.io", "EndpointSlice", "endpointslices", ("v1",), "v1"),
    Kind(CRD_GROUP, "CustomResourceDefinition", "customresourcedefinitions", ("v1",), "v1", namespaced=False),
)


class Kinds:
    """All kinds, by (group, plural) and by (group, kind)."""

    def __init__(self, definitions: Iterable[dict[str, Any]] = ()) -> None:
        self.definitions = list(definitions)
        self.all = (*BUILT_IN, *(_custom(one) for one in self.definitions))
        self.by_plural = {(kind.group, kind.plural): kind for kind in self.all}
        self.by_name = {(kind.group, kind.name): kind for kind in self.all}

    @classmethod
    def read(cls, directory: Path) -> Kinds:
        """With the CustomResourceDefinitions in the YAML files of a directory."""
        documents = (
            document
            for path in sorted(directory.glob("*.yaml"))
            for document in yaml.load_all(path.read_text(), yaml.CSafeLoader)
        )
        return cls(one for one in documents if one and one.get("kind") == "CustomResourceDefinition")

    def groups(self) -> dict[str, list[str]]:
        """Every group with its versions, the preferred one first."""
        found: dict[str, list[str]] = {}
        for kind in self.all:
            versions = found.setdefault(kind.group, [])
            versions += [version for version in kind.versions if version not in versions]
        return {group: sorted(versions, key=_rank) for group, versions in found.items()}


def _rank(version: str) -> tuple[int, str]:
    """v1 before v1beta1 before v1alpha3 before v1alpha2."""
    stage = 0 if version == "v1" else 1 if "beta" in version else 2
    return stage, "".join(chr(255 - ord(letter)) for letter in version)


def _custom(definition: dict[str, Any]) -> Kind:
    spec = definition["spec"]
    served = [version for version in spec["versions"] if version["served"]]
    return Kind(
        group=spec["group"],
        name=spec["names"]["kind"],
        plural=spec["names"]["plural"],
        versions=tuple(version["name"] for version in served),
        stored=next(version["name"] for version in spec["versions"] if version["storage"]),
        namespaced=spec["scope"] == "Namespaced",
        schemas={version["name"]: version["schema"]["openAPIV3Schema"] for version in served},
    )
