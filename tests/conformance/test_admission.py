"""What the API server thinks of the Gateway API project's own manifests, where a copy lies beside this checkout."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.standin.admission import admit
from tests.conformance.standin.kinds import Kind, Kinds
from tests.conformance.standin.refusal import Refusal

FOLDER = Path(__file__).parents[3] / "shared" / "gateway-api"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no copy of the official manifests beside this checkout")


@cache
def kinds() -> Kinds:
    return Kinds.read(FOLDER / "crds" / "experimental")


def manifests(folder: str) -> Iterator[tuple[Kind, str, dict[str, Any]]]:
    for path in sorted((FOLDER / folder).rglob("*.yaml")):
        for document in filter(None, yaml.load_all(path.read_text(), yaml.CSafeLoader)):
            group, _, version = document["apiVersion"].rpartition("/")
            kind = kinds().by_name.get((group, document["kind"]))
            if kind is not None and version in kind.versions:
                yield kind, version, document


def test_what_the_definitions_refuse_is_refused():
    refused = 0
    for kind, version, document in manifests("invalid-examples"):
        with pytest.raises(Refusal) as refusal:
            admit(kind, version, document)
        assert refusal.value.code == 422, document
        refused += 1
    assert refused


def test_what_they_accept_is_admitted_with_defaults():
    admitted = [admit(*one) for one in manifests("examples")]
    assert admitted
    routes = [one for one in admitted if one["kind"] == "HTTPRoute"]
    assert all(parent["kind"] for route in routes for parent in route["spec"].get("parentRefs") or ())
    assert all(admit(kinds().by_name["gateway.networking.k8s.io", "HTTPRoute"], "v1", one) == one for one in routes)
