"""The manifests of the Gateway API project itself, where a copy of them lies beside this checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatewayd.api.documents import load
from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem
from tests.decoding import decode_all

FOLDER = Path(__file__).parents[3] / "shared" / "gateway-api"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no copy of the official manifests beside this checkout")

PLACEHOLDERS = {
    b"{GATEWAY_CLASS_NAME}": b"gateway-conformance",
    b"{GATEWAY_CONTROLLER_NAME}": b"gatewayd.dev/gateway-controller",
    b"PLACEHOLDER_USABLE_ADDRS": b"192.0.2.1",
    b"PLACEHOLDER_UNUSABLE_ADDRS": b"192.0.2.2",
}


def files(folder: str) -> list[Path]:
    return sorted((FOLDER / folder).rglob("*.yaml")) if FOLDER.is_dir() else []


def name(path: Path) -> str:
    return path.relative_to(FOLDER).as_posix()


def read(path: Path) -> tuple[list[Object], list[Problem]]:
    text = path.read_bytes()
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    documents, problems = load(text, path.name)
    items, found = decode_all(documents)
    return items, problems + found


@pytest.mark.parametrize("path", files("examples"), ids=name)
def test_examples_load_without_a_problem(path: Path):
    items, problems = read(path)
    assert [str(each) for each in problems] == []
    assert items


@pytest.mark.parametrize(
    "path", [*files("conformance/base"), *files("conformance/mesh-base"), *files("conformance/tests")], ids=name
)
def test_manifests_of_the_suite_load(path: Path):
    items, problems = read(path)
    assert items
    assert [str(each) for each in problems if each.field != "kind" or each.severity != "warning"] == []


@pytest.mark.parametrize("path", files("crds"), ids=name)
def test_crds_are_skipped_in_silence(path: Path):
    assert read(path) == ([], [])


FILTER = "spec.rules[0].filters[0]"
MATCH = "spec.rules[0].matches[0]"
BACKEND = "spec.rules[0].backendRefs[0]"
LISTENER = "spec.listeners[0]"
REASONS = {
    "experimental/httproute/invalid-filter-externalauth-bad-http-path.yaml": (
        f"{FILTER}.externalAuth.http.path",
        "RFC 3986",
    ),
    "experimental/httproute/invalid-filter-externalauth-empty.yaml": (f"{FILTER}.externalAuth", "must be set"),
    "experimental/httproute/invalid-filter-externalauth-no-protocol.yaml": (
        f"{FILTER}.externalAuth.protocol",
        "is required",
    ),
    "experimental/httproute/invalid-header-value.yaml": (
        f"{FILTER}.responseHeaderModifier.add[0].value",
        "visible ASCII",
    ),
    "standard/gateway/duplicate-listeners.yaml": ("spec.listeners[1]", "must be unique"),
    "standard/gateway/hostname-tcp.yaml": (f"{LISTENER}.hostname", "TCP and UDP"),
    "standard/gateway/hostname-udp.yaml": (f"{LISTENER}.hostname", "TCP and UDP"),
    "standard/gateway/invalid-addresses.yaml": ("spec.addresses[0].value", "must fit the type"),
    "standard/gateway/invalid-listener-name.yaml": (f"{LISTENER}.name", "lower case"),
    "standard/gateway/invalid-listener-port.yaml": (f"{LISTENER}.port", "from 1 to 65535"),
    "standard/gateway/invalid-tls-mode.yaml": (f"{LISTENER}.tls.mode", "Terminate"),
    "standard/gateway/tlsconfig-tcp.yaml": (f"{LISTENER}.tls", "HTTP, TCP and UDP"),
    "standard/gatewayclass/invalid-controller.yaml": ("spec.controllerName", "a domain, a slash and a path"),
    "standard/httproute/duplicate-header-match.yaml": (f"{MATCH}.headers[1]", "must be unique"),
    "standard/httproute/duplicate-query-match.yaml": (f"{MATCH}.queryParams[1]", "must be unique"),
    "standard/httproute/httproute-portless-backend.yaml": (f"{BACKEND}.port", "must have a port"),
    "standard/httproute/httproute-portless-service.yaml": (f"{BACKEND}.port", "must have a port"),
    "standard/httproute/invalid-backend-group.yaml": (f"{BACKEND}.group", "DNS name"),
    "standard/httproute/invalid-backend-kind.yaml": (f"{BACKEND}.kind", "letters"),
    "standard/httproute/invalid-backend-port.yaml": (f"{BACKEND}.port", "from 1 to 65535"),
    "standard/httproute/invalid-filter-duplicate-header.yaml": (
        f"{FILTER}.requestHeaderModifier.remove[1]",
        "must be unique",
    ),
    "standard/httproute/invalid-filter-duplicate.yaml": ("spec.rules[0].filters[1]", "must not be repeated"),
    "standard/httproute/invalid-filter-empty.yaml": (f"{FILTER}.requestHeaderModifier", "must be set"),
    "standard/httproute/invalid-filter-wrong-field.yaml": (f"{FILTER}.requestRedirect", "must not be set"),
    "standard/httproute/invalid-header-name.yaml": (f"{MATCH}.headers[0].name", "field name"),
    "standard/httproute/invalid-hostname.yaml": ("spec.hostnames[0]", "host name"),
    "standard/httproute/invalid-httpredirect-hostname.yaml": (f"{FILTER}.requestRedirect.hostname", "wildcard"),
    "standard/httproute/invalid-method.yaml": (f"{MATCH}.method", "must be one of GET"),
    "standard/httproute/invalid-path-alphanum-specialchars-mix.yaml": (f"{MATCH}.path.value", "characters of a path"),
    "standard/httproute/invalid-path-specialchars.yaml": (f"{MATCH}.path.value", "characters of a path"),
    "standard/httproute/invalid-request-redirect-with-backendref.yaml": (
        "spec.rules[0].backendRefs",
        "together with backendRefs",
    ),
    "standard/referencegrant/missing-from.yaml": ("spec.from", "is required"),
    "standard/referencegrant/missing-ns.yaml": ("spec.from[0].namespace", "is required"),
    "standard/referencegrant/missing-to.yaml": ("spec.to", "is required"),
    "standard/tlsroute/invalid-hostname.yaml": ("spec.hostnames[0]", "host name"),
    "standard/tlsroute/no-hostname.yaml": ("spec.hostnames", "at least one hostname is required"),
}


@pytest.mark.parametrize(("file", "reason"), REASONS.items(), ids=list(REASONS))
def test_invalid_examples_are_refused_for_their_reason(file: str, reason: tuple[str, str]):
    items, problems = read(FOLDER / "invalid-examples" / file)
    field, words = reason
    assert items == []
    assert [each for each in problems if each.field == field and words in each.message], [
        str(each) for each in problems
    ]


def test_every_invalid_example_has_its_reason():
    assert {path.relative_to(FOLDER / "invalid-examples").as_posix() for path in files("invalid-examples")} == set(
        REASONS
    )
