"""Listeners against each other and one by one (Gateway.spec.listeners, listener conditions)."""

from __future__ import annotations

from typing import Any

import pytest

from gatewayd.plan.build import Options, Planner, Result
from tests.plan.manifests import CART, gateway, grant, http, https, route
from tests.plan.secrets import certificate_pem, good_secret, key_pem, secret
from tests.plan.verdicts import holds, kinds, listener, short
from tests.plan.yaml_objects import world

TLS = good_secret("tls", "shop", "*.example.com", "example.com")
NOW = 1772000000.0  # 25 February 2026


def plan(*texts: str, **options: Any) -> Result:
    return Planner().plan(world(*texts), Options(**options))


def short_of(result: Result, name: str) -> dict[str, str]:
    return short(listener(result.statuses["Gateway/shop/edge"], name)["conditions"])


TCP = {"name": "tcp", "port": 80, "protocol": "TCP"}
CONFLICTS = [
    # (listeners of one Gateway, reason of each that loses)
    ([http("a"), http("b", 81)], {}),
    ([http("a", hostname="a.com"), http("b", hostname="b.com"), http("c")], {}),
    ([http("a"), https("b", "tls", 80)], {"a": "ProtocolConflict", "b": "ProtocolConflict"}),
    ([http("a"), TCP], {"a": "ProtocolConflict", "tcp": "ProtocolConflict"}),
    (  # all that cannot be told apart lose; the others stay
        [http("a", hostname="a.com"), https("b", "tls", 80, hostname="b.com"), http("c", 81)],
        {"a": "ProtocolConflict", "b": "ProtocolConflict"},
    ),
    (  # an unserved protocol harms nobody
        [http("a"), {"name": "udp", "port": 80, "protocol": "UDP"}],
        {},
    ),
]


@pytest.mark.parametrize(("listeners", "losers"), CONFLICTS)
def test_conflict(listeners: list[dict[str, Any]], losers: dict[str, str]) -> None:
    result = plan(gateway("edge", *listeners), TLS)
    served = {one.name for port in result.snapshot.ports.values() for one in port.listeners}
    for one in listeners:
        found = short_of(result, one["name"])
        if reason := losers.get(one["name"]):
            assert found["Accepted"] == found["Programmed"] == f"False/{reason}"
            assert found["Conflicted"] == f"True/{reason}"
        else:
            assert "Conflicted" not in found
        assert (one["name"] in served) == (one["name"] not in losers and one["protocol"] != "UDP")


def test_overlapping_tls_hostnames_are_told() -> None:
    listeners = [https("all", "tls"), https("wild", "tls", hostname="*.a.com"), https("other", "tls", 444)]
    result = plan(gateway("edge", *listeners), TLS)
    assert short_of(result, "all")["OverlappingTLSConfig"] == "True/OverlappingHostnames"
    assert short_of(result, "wild")["OverlappingTLSConfig"] == "True/OverlappingHostnames"
    assert "OverlappingTLSConfig" not in short_of(result, "other")  # another port


KINDS = [
    ("HTTP", None, ["HTTPRoute", "GRPCRoute"], "True/ResolvedRefs", True),
    ("TCP", None, ["TCPRoute"], "True/ResolvedRefs", True),
    ("HTTP", ["HTTPRoute", "TCPRoute"], ["HTTPRoute"], "False/InvalidRouteKinds", True),  # the rest is served
    ("HTTP", ["Widget"], [], "False/InvalidRouteKinds", False),
    ("TCP", ["HTTPRoute"], [], "False/InvalidRouteKinds", False),
    ("HTTP", ["HTTPRoute", "HTTPRoute"], ["HTTPRoute"], "True/ResolvedRefs", True),
    ("HTTP", ["GRPCRoute"], ["GRPCRoute"], "True/ResolvedRefs", True),
    ("TCP", ["GRPCRoute"], [], "False/InvalidRouteKinds", False),
]


@pytest.mark.parametrize(("protocol", "written", "supported", "resolved", "programmed"), KINDS)
def test_kinds(protocol: str, written: list[str] | None, supported: list[str], resolved: str, programmed: bool) -> None:
    routes = {"allowedRoutes": {"kinds": [{"kind": kind} for kind in written]}} if written else {}
    result = plan(gateway("edge", {"name": "one", "port": 80, "protocol": protocol, **routes}))
    found = listener(result.statuses["Gateway/shop/edge"], "one")
    assert kinds(found) == supported
    assert short(found["conditions"])["ResolvedRefs"] == resolved
    assert (":80" in result.snapshot.ports) == programmed


def test_a_kind_of_another_group_is_unknown() -> None:
    routes = {"kinds": [{"group": "x.io", "kind": "HTTPRoute"}]}
    result = plan(gateway("edge", http(allowedRoutes=routes)))
    assert short_of(result, "http")["ResolvedRefs"] == "False/InvalidRouteKinds"


BAD_SECRETS = [
    ("", "does not exist"),
    (secret("tls", "shop", certificate_pem("a.com"), key_pem(), "Opaque"), "type is Opaque"),
    (secret("tls", "shop", b"Hello world", key_pem()), "tls.crt is no PEM certificate"),
    (secret("tls", "shop", certificate_pem("a.com"), b"Hello world"), "tls.key is no PEM private key"),
    (secret("tls", "shop", certificate_pem("a.com"), key_pem("ec-2")), "not the key of the first certificate"),
    (secret("tls", "shop", certificate_pem("a.com"), key_pem(password=b"secret")), "encrypted"),
    (secret("tls", "shop", certificate_pem("a.com", key="rsa-1024"), key_pem("rsa-1024")), "too weak"),
    (secret("tls", "shop", b"", key_pem()), "has no tls.crt"),
]


@pytest.mark.parametrize(("bad", "words"), BAD_SECRETS)
def test_a_bad_certificate_takes_down_its_own_listener_only(bad: str, words: str) -> None:
    listeners = [https("bad", "tls", hostname="a.com"), https("good", "other", hostname="b.com"), http()]
    result = plan(gateway("edge", *listeners), bad, good_secret("other", "shop", "b.com"), route(), CART)
    found = short_of(result, "bad")
    assert found["ResolvedRefs"] == "False/InvalidCertificateRef"
    assert found["Programmed"] == "False/Invalid"
    assert found["Accepted"] == "True/Accepted"
    (problem,) = result.problems
    assert problem.field == "spec.listeners[0].tls.certificateRefs[0]"
    assert words in problem.message
    served = {one.name: one.certificates for port in result.snapshot.ports.values() for one in port.listeners}
    assert served == {"good": ("shop/other",), "http": ()}
    assert set(result.snapshot.certificates) == {"shop/other"}


def test_one_bad_certificate_among_good_ones_is_left_out() -> None:
    two = https("https", "tls")
    two["tls"]["certificateRefs"].append({"name": "gone"})
    result = plan(gateway("edge", two), TLS)
    assert short_of(result, "https")["ResolvedRefs"] == "False/InvalidCertificateRef"
    assert short_of(result, "https")["Programmed"] == "True/Programmed"
    (served,) = result.snapshot.ports[":443"].listeners
    assert served.certificates == ("shop/tls",)


def test_certificate_plan() -> None:
    chain = certificate_pem("Shop.Example.com", "*.example.org") + certificate_pem("ca")
    mixed = secret("tls", "shop", b"a comment\n" + chain + key_pem(), key_pem())
    result = plan(gateway("edge", https("https", "tls")), mixed)
    found = result.snapshot.certificates["shop/tls"]
    assert found.names == (b"shop.example.com", b"*.example.org")
    assert found.chain == chain  # nothing else of tls.crt travels on, a private key least of all
    assert found.private_key == key_pem()


def test_a_certificate_without_alternative_names_goes_by_its_common_name() -> None:
    result = plan(gateway("edge", https("https", "tls")), secret("tls", "shop", certificate_pem(), key_pem()))
    assert result.snapshot.certificates["shop/tls"].names == (b"test",)


CERTIFICATE_GRANTS = [
    (grant(ns="vault", kind="Gateway", to="Secret"), "True/ResolvedRefs"),
    (grant(ns="vault", kind="HTTPRoute", to="Secret"), "False/RefNotPermitted"),
    ("", "False/RefNotPermitted"),
]


@pytest.mark.parametrize(("text", "expected"), CERTIFICATE_GRANTS)
def test_a_certificate_of_another_namespace_needs_a_grant(text: str, expected: str) -> None:
    one = https("https", "tls")
    one["tls"]["certificateRefs"][0]["namespace"] = "vault"
    result = plan(gateway("edge", one), good_secret("tls", "vault", "a.com"), text)
    assert short_of(result, "https")["ResolvedRefs"] == expected


LIFETIMES = [(NOW, None), (NOW - 365 * 86400, "not valid yet"), (NOW + 365 * 86400, "has expired")]


@pytest.mark.parametrize(("now", "words"), LIFETIMES)
def test_a_certificate_out_of_date_is_a_warning_and_served(now: float, words: str | None) -> None:
    planner, objects = Planner(), world(gateway("edge", https("a", "tls"), https("b", "tls", 444)), TLS)
    planner.plan(objects, Options(now=NOW))
    result = planner.plan(objects, Options(now=now))
    assert [words in one.message for one in result.problems if words] == ([True] if words else [])
    assert [one.severity for one in result.problems] == (["warning"] if words else [])
    assert len(result.snapshot.ports) == 2


def test_a_certificate_for_other_names_is_a_warning() -> None:
    result = plan(gateway("edge", https("a", "tls", hostname="shop.example.org")), TLS)
    (problem,) = result.problems
    assert problem.severity == "warning"
    assert "*.example.com" in problem.message


VALIDATION = {"validation": {"caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "ca"}]}}
FRONTENDS = [
    ({"default": VALIDATION}, {443: False, 444: False}),
    ({"default": {}}, {443: True, 444: True}),
    ({"default": VALIDATION, "perPort": [{"port": 444, "tls": {}}]}, {443: False, 444: True}),  # switched off there
    ({"default": {}, "perPort": [{"port": 444, "tls": VALIDATION}]}, {443: True, 444: False}),
]


@pytest.mark.parametrize(("frontend", "expected"), FRONTENDS)
def test_listeners_that_must_ask_for_client_certificates_fail_closed(
    frontend: dict[str, Any], expected: dict[int, bool]
) -> None:
    text = gateway("edge", https("443", "tls", 443), https("444", "tls", 444), http(), tls={"frontend": frontend})
    result = plan(text, TLS)
    for port, served in expected.items():
        assert (f":{port}" in result.snapshot.ports) == served
        accepted = short_of(result, str(port))["Accepted"]
        assert accepted == ("True/Accepted" if served else "False/UnsupportedValue")
    assert ":80" in result.snapshot.ports


PROTOCOLS = [("UDP", "not served yet"), ("example.com/own", "unknown")]


@pytest.mark.parametrize(("protocol", "words"), PROTOCOLS)
def test_protocols_that_are_not_served(protocol: str, words: str) -> None:
    one = {"name": "one", "port": 9000, "protocol": protocol}
    result = plan(gateway("edge", one, http()))
    found = listener(result.statuses["Gateway/shop/edge"], "one")
    assert holds("Accepted=False/UnsupportedProtocol Programmed=False/Invalid", found["conditions"])
    assert words in found["conditions"][0]["message"]
    assert set(result.snapshot.ports) == {":80"}
