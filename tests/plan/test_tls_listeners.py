"""Listeners of protocol TLS: kinds, certificates, who may share a port, and what is told about them."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from tests.plan.manifests import gateway, http, https, secure
from tests.plan.secrets import good_secret
from tests.plan.verdicts import holds, kinds, listener, short
from tests.plan.yaml_objects import world

CERTIFICATE = good_secret("tls", "shop", "*.example.com", "example.com")


def plan(*texts: str, **options: Any) -> Result:
    return Planner().plan(world(*texts), Options(**options))


def found_of(result: Result, name: str, gateway: str = "edge") -> dict[str, Any]:
    found: dict[str, Any] = listener(result.statuses[f"Gateway/shop/{gateway}"], name)
    return found


def short_of(result: Result, name: str, gateway: str = "edge") -> dict[str, str]:
    return short(found_of(result, name, gateway)["conditions"])


HEALTHY = "Accepted=True/Accepted Programmed=True/Programmed ResolvedRefs=True/ResolvedRefs"
INVALID_KINDS = "ResolvedRefs=False/InvalidRouteKinds"
KINDS = [
    # (secret, kinds as written, supportedKinds, conditions)
    (None, None, ["TLSRoute"], HEALTHY),
    ("tls", None, ["TLSRoute", "TCPRoute"], HEALTHY),
    (None, ["TLSRoute"], ["TLSRoute"], HEALTHY),
    ("tls", ["TLSRoute"], ["TLSRoute"], HEALTHY),
    ("tls", ["TCPRoute"], ["TCPRoute"], HEALTHY),
    (None, ["TCPRoute", "TLSRoute"], ["TLSRoute"], f"{INVALID_KINDS} Programmed=True/Programmed"),
    (None, ["TCPRoute"], [], f"{INVALID_KINDS} Programmed=False/Invalid"),
    (None, ["HTTPRoute"], [], f"{INVALID_KINDS} Programmed=False/Invalid"),
    ("tls", ["GRPCRoute"], [], f"{INVALID_KINDS} Programmed=False/Invalid"),
]


@pytest.mark.parametrize(("certificate", "written", "supported", "expected"), KINDS)
def test_kinds(certificate: str | None, written: list[str] | None, supported: list[str], expected: str) -> None:
    routes: dict[str, Any] = {"allowedRoutes": {"kinds": [{"kind": kind} for kind in written]}} if written else {}
    result = plan(gateway("edge", secure("one", certificate, **routes)), CERTIFICATE)
    found = found_of(result, "one")
    assert kinds(found) == supported
    assert holds(expected, found["conditions"])
    assert (":443" in result.snapshot.ports) == bool(supported)


CERTIFICATES = [
    ("tls", HEALTHY),
    ("gone", "Accepted=True/Accepted ResolvedRefs=False/InvalidCertificateRef Programmed=False/Invalid"),
]


@pytest.mark.parametrize(("name", "expected"), CERTIFICATES)
def test_a_bad_certificate_takes_down_its_own_listener_only(name: str, expected: str) -> None:
    mine = secure("mine", name, hostname="a.example.com")
    result = plan(gateway("edge", mine, secure("other", None, hostname="b.example.com")), CERTIFICATE)
    assert holds(expected, found_of(result, "mine")["conditions"])
    assert holds(HEALTHY, found_of(result, "other")["conditions"])
    (port,) = result.snapshot.ports.values()
    served = {one.name: (one.passthrough, one.certificates) for one in port.listeners}
    good = {"mine": (False, ("shop/tls",))} if name == "tls" else {}
    assert served == {**good, "other": (True, ())}, "never passed through for want of a certificate"


def test_certificates_of_what_passes_through_are_told_to_be_useless() -> None:
    one = secure("one", None)
    one["tls"]["certificateRefs"] = [{"name": "gone"}]
    result = plan(gateway("edge", one))
    assert holds(HEALTHY, found_of(result, "one")["conditions"])
    (problem,) = result.problems
    assert (problem.severity, problem.field) == ("warning", "spec.listeners[0].tls.certificateRefs")


def _web(**rest: Any) -> dict[str, Any]:
    return https("web", "tls", **rest)


CONFLICTS = [
    # (listeners on port 443, why all of them lose; "" where they share the port, and what is spoken there)
    ([secure("a", None, hostname="*.a.example.com"), _web(hostname="b.example.com")], "", "https"),
    ([secure("a", None, hostname="a.example.com"), secure("b", "tls", hostname="b.example.com")], "", "tls"),
    ([secure("a", None), _web(hostname="b.example.com"), secure("b", "tls", hostname="c.example.com")], "", "https"),
    ([secure("a", None), secure("b", "tls", hostname="*.example.com")], "", "tls"),
    ([secure("a", None), _web()], "ProtocolConflict", ""),
    ([secure("a", "tls", hostname="a.example.com"), _web(hostname="a.example.com")], "ProtocolConflict", ""),
    ([secure("a", "tls"), {"name": "b", "port": 443, "protocol": "TCP"}], "ProtocolConflict", ""),
    ([secure("a", None), http("b", 443)], "ProtocolConflict", ""),
]


@pytest.mark.parametrize(("listeners", "reason", "transport"), CONFLICTS)
def test_who_shares_a_port(listeners: list[dict[str, Any]], reason: str, transport: str) -> None:
    result = plan(gateway("edge", *listeners), CERTIFICATE)
    for one in listeners:
        found = short_of(result, one["name"])
        if reason:
            assert found["Accepted"] == found["Programmed"] == f"False/{reason}"
            assert found["Conflicted"] == f"True/{reason}"
        else:
            assert found["Programmed"] == "True/Programmed"
            assert "Conflicted" not in found
    assert [port.transport for port in result.snapshot.ports.values()] == ([transport] if transport else [])


def test_two_listeners_of_one_name_and_both_modes_conflict() -> None:
    """They differ in `tls` alone, which tells no listeners apart; the API refuses the two in one Gateway already."""
    older = gateway("edge", secure("a", None, hostname="a.example.com"), created="2020-01-01T00:00:00Z")
    younger = gateway("late", secure("b", "tls", hostname="a.example.com"), created="2021-01-01T00:00:00Z")
    result = plan(older, younger, CERTIFICATE)
    assert short_of(result, "a")["Programmed"] == "True/Programmed"
    assert short_of(result, "b", "late")["Accepted"] == "False/PortUnavailable"


def test_gateways_share_a_port_by_hostname() -> None:
    older = gateway("edge", secure("a", None, hostname="a.example.com"), created="2020-01-01T00:00:00Z")
    younger = gateway("late", _web(hostname="b.example.com"), created="2021-01-01T00:00:00Z")
    result = plan(older, younger, CERTIFICATE)
    (port,) = result.snapshot.ports.values()
    assert (port.transport, [one.protocol for one in port.listeners]) == ("https", ["TLS", "HTTPS"])


def test_overlapping_hostnames_are_told() -> None:
    """A client of HTTP/2 might use a connection to the one for a name of the other (RFC 9113 section 9.1.1)."""
    result = plan(
        gateway("edge", secure("a", None, hostname="a.example.com"), _web(), secure("b", None, 444)), CERTIFICATE
    )
    assert short_of(result, "a")["OverlappingTLSConfig"] == "True/OverlappingHostnames"
    assert short_of(result, "web")["OverlappingTLSConfig"] == "True/OverlappingHostnames"
    assert "OverlappingTLSConfig" not in short_of(result, "b")


def test_client_certificates_are_a_matter_of_https_listeners() -> None:
    validation = {"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}]}}
    listeners = [secure("a", None), secure("b", "tls", 444), _web(port=445)]
    result = plan(gateway("edge", *listeners, tls={"frontend": {"default": validation}}), CERTIFICATE)
    assert set(result.snapshot.ports) == {":443", ":444"}
    assert short_of(result, "web")["Accepted"] == "False/UnsupportedValue"
    told = [one for one in result.problems if "HTTPS listeners only" in one.message]
    assert [(one.field, one.severity) for one in told] == [("spec.listeners[1]", "warning")]
