"""The official manifests against the statuses that the official tests wait for (tests of served kinds).

The manifests are read where they lie beside the project; without them these tests are skipped.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from gatewayd.api.objects import Objects
from gatewayd.plan.build import Options, Planner, Result
from tests.plan.secrets import good_secret
from tests.plan.verdicts import holds, kinds, listener, short
from tests.plan.yaml_objects import OUR_CLASS, SHARED, parse

FOLDER = SHARED / "conformance"
INFRA = "gateway-conformance-infra"
WEB = "gateway-conformance-web-backend"
PLACEHOLDERS = {
    "{GATEWAY_CLASS_NAME}": "gatewayd",
    "{GATEWAY_CONTROLLER_NAME}": "gatewayd.dev/gateway-controller",
    "PLACEHOLDER_USABLE_ADDRS": "127.0.0.1",
    "PLACEHOLDER_UNUSABLE_ADDRS": "192.0.2.1",
}
OPTIONS = Options(address_pool="127.64.0.0/16", generation=1)

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the official manifests are not here")


@cache
def base() -> list[Any]:
    """What the official suite sets up before its tests."""
    text = (FOLDER / "base" / "manifests.yaml").read_text()
    secrets = good_secret("tls-validity-checks-certificate", INFRA, "*", "*.org", "*.wildcard.org")
    secrets += good_secret("certificate", WEB, "example.org")
    secrets += good_secret("tls-terminate-checks-certificate", INFRA, "tls.example.com")
    return parse(OUR_CLASS + text.replace("{GATEWAY_CLASS_NAME}", "gatewayd")) + parse(secrets)


@cache
def planned(name: str) -> Result:
    """The plan of the base and of one test's manifests."""
    text = (FOLDER / "tests" / f"{name}.yaml").read_text()
    for placeholder, value in PLACEHOLDERS.items():
        text = text.replace(placeholder, value)
    return Planner().plan(Objects(base() + parse(text)), OPTIONS)


BOTH = "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs"
HEALTHY = f"{BOTH} Programmed=True/Programmed"
BROKEN_REF = "Accepted=True/Accepted ResolvedRefs=False/InvalidCertificateRef Programmed=False/Invalid"
NO_GRANT = "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted Programmed=False/Invalid"

# (manifest, route, conditions of its only parent): research of each test in brackets.
ROUTES = [
    ("httproute-cross-namespace", f"HTTPRoute/{WEB}/cross-namespace", BOTH),  # label selector of the Gateway
    ("httproute-simple-same-namespace", f"HTTPRoute/{INFRA}/gateway-conformance-infra-test", BOTH),  # smoke test
    ("httproute-disallowed-kind", f"HTTPRoute/{INFRA}/disallowed-kind", "Accepted=False/NotAllowedByListeners"),
    (  # no listener hostname meets the route's
        "httproute-hostname-intersection",
        f"HTTPRoute/{INFRA}/no-intersecting-hosts",
        "Accepted=False/NoMatchingListenerHostname ResolvedRefs=True/ResolvedRefs",
    ),
    ("httproute-hostname-intersection", f"HTTPRoute/{INFRA}/specific-host-matches-listener-specific-host", BOTH),
    ("httproute-hostname-intersection", f"HTTPRoute/{INFRA}/wildcard-host-matches-listener-specific-host", BOTH),
    (  # unknown kind: answered 500, and the route stays accepted
        "httproute-invalid-backendref-unknown-kind",
        f"HTTPRoute/{INFRA}/invalid-backend-ref-unknown-kind",
        "Accepted=True/Accepted ResolvedRefs=False/InvalidKind",
    ),
    (
        "httproute-invalid-cross-namespace-backend-ref",
        f"HTTPRoute/{INFRA}/invalid-cross-namespace-backend-ref",
        "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted",
    ),
    (  # the Gateway takes routes of its own namespace only
        "httproute-invalid-cross-namespace-parent-ref",
        f"HTTPRoute/{WEB}/invalid-cross-namespace-parent-ref",
        "Accepted=False/NotAllowedByListeners ResolvedRefs=True/ResolvedRefs",
    ),
    (
        "httproute-invalid-nonexistent-backendref",
        f"HTTPRoute/{INFRA}/invalid-nonexistent-backend-ref",
        "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound",
    ),
    (
        "httproute-invalid-parentref-not-matching-listener-port",
        f"HTTPRoute/{INFRA}/httproute-listener-not-matching-route-port",
        "Accepted=False/NoMatchingParent",
    ),
    (
        "httproute-invalid-parentref-not-matching-section-name",
        f"HTTPRoute/{INFRA}/httproute-listener-not-matching-section-name",
        "Accepted=False/NoMatchingParent",
    ),
    (  # the section exists, but on another port
        "httproute-invalid-parentref-section-name-not-matching-port",
        f"HTTPRoute/{INFRA}/httproute-listener-section-name-not-matching-port",
        "Accepted=False/NoMatchingParent",
    ),
    (  # seven grants, none of which covers the reference
        "httproute-invalid-reference-grant",
        f"HTTPRoute/{INFRA}/reference-grant",
        "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted",
    ),
    ("httproute-reference-grant", f"HTTPRoute/{INFRA}/reference-grant", BOTH),
    (
        "httproute-omitted-backendrefs",
        f"HTTPRoute/{INFRA}/omitted-backendrefs",
        BOTH,
    ),  # a rule without backends is resolved
    (
        "httproute-partially-invalid-via-invalid-reference-grant",
        f"HTTPRoute/{INFRA}/invalid-reference-grant",
        "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted",
    ),
    ("httproute-backend-protocol-websocket", f"HTTPRoute/{INFRA}/backend-protocol-ws", BOTH),
    ("httproute-backend-protocol-h2c", f"HTTPRoute/{INFRA}/backend-protocol-h2c", BOTH),
    ("grpcroute-exact-method-matching", f"GRPCRoute/{INFRA}/exact-matching", BOTH),
    ("grpcroute-header-matching", f"GRPCRoute/{INFRA}/grpc-header-matching", BOTH),
    ("grpcroute-listener-hostname-matching", f"GRPCRoute/{INFRA}/backend-v1", BOTH),
    ("grpcroute-named-rule", f"GRPCRoute/{INFRA}/grpc-named-rules", BOTH),
    ("grpcroute-request-header-modifier", f"GRPCRoute/{INFRA}/grpc-request-header-modifier", BOTH),
    ("grpcroute-weight", f"GRPCRoute/{INFRA}/weighted-backends", BOTH),
    ("httproute-service-types", f"HTTPRoute/{INFRA}/service-types", BOTH),
    (
        "gateway-with-attached-routes",
        f"HTTPRoute/{INFRA}/http-route-not-accepted",
        "Accepted=False/NoMatchingListenerHostname",
    ),
    (
        "tcproute-invalid-backendref-nonexistent",
        f"TCPRoute/{INFRA}/tcp-route-invalid-backend-ref-nonexistent",
        "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound",
    ),
    (
        "tcproute-invalid-cross-namespace-backend-ref",
        f"TCPRoute/{INFRA}/tcp-invalid-cross-namespace-backend-ref",
        "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted",
    ),
    ("tcproute-invalid-non-tcp-listener", f"TCPRoute/{INFRA}/tcp-route", "Accepted=False/NotAllowedByListeners"),
    ("tcproute-parentref-attach-all", f"TCPRoute/{INFRA}/tcp-route-attach-all", BOTH),
    ("tcproute-parentref-port-and-section-name", f"TCPRoute/{INFRA}/tcp-route-by-port", BOTH),
    ("tcproute-parentref-port-and-section-name", f"TCPRoute/{INFRA}/tcp-route-by-section", BOTH),
    ("tcproute-parentref-port-and-section-name", f"TCPRoute/{INFRA}/tcp-route-by-section-and-port", BOTH),
    ("tcproute-reference-grant", f"TCPRoute/{INFRA}/tcp-reference-grant", BOTH),
    (
        "tlsroute-invalid-no-matching-listener",
        f"TLSRoute/{INFRA}/tlsroute-not-allowed-protocol-http",
        "Accepted=False/NotAllowedByListeners ResolvedRefs=True/ResolvedRefs",
    ),
    (
        "tlsroute-invalid-no-matching-listener",
        f"TLSRoute/{INFRA}/tlsroute-no-matching-section-name",
        "Accepted=False/NoMatchingParent",
    ),
    (
        "tlsroute-invalid-no-matching-listener-hostname",
        f"TLSRoute/{INFRA}/tlsroute-hostname-mismatch-1",
        "Accepted=False/NoMatchingListenerHostname ResolvedRefs=True/ResolvedRefs",
    ),
    (
        "tlsroute-invalid-backendref-nonexistent",
        f"TLSRoute/{INFRA}/invalid-backend-ref-nonexistent",
        "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound",
    ),
    (
        "tlsroute-invalid-backendref-unknown-kind",
        f"TLSRoute/{INFRA}/invalid-backend-ref-unknown-kind",
        "Accepted=True/Accepted ResolvedRefs=False/InvalidKind",
    ),
    (
        "tlsroute-invalid-reference-grant",
        f"TLSRoute/{INFRA}/gateway-conformance-infra-test",
        "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted",
    ),
    ("tlsroute-mixed-termination-same-namespace", f"TLSRoute/{INFRA}/gateway-conformance-mixed-terminateroute", BOTH),
    ("tlsroute-simple-same-namespace", f"TLSRoute/{INFRA}/gateway-conformance-infra-test", BOTH),
    # Kinds that are not served yet are refused in so many words.
    (
        "udproute-not-allowed-by-listeners",
        f"UDPRoute/{INFRA}/udproute-not-allowed-by-listeners",
        "Accepted=False/NotAllowedByListeners ResolvedRefs=True/ResolvedRefs",
    ),
]


@pytest.mark.parametrize(("manifest", "key", "expected"), ROUTES)
def test_route(manifest: str, key: str, expected: str) -> None:
    parents = planned(manifest).statuses[key]["parents"]
    assert len(parents) == 1
    assert parents[0]["controllerName"] == "gatewayd.dev/gateway-controller"
    assert (parents[0]["parentRef"]["group"], parents[0]["parentRef"]["kind"]) == (
        "gateway.networking.k8s.io",
        "Gateway",
    )
    assert holds(expected, parents[0]["conditions"]), short(parents[0]["conditions"])


# (manifest, gateway, listener, conditions, attached routes, supportedKinds; None: not looked at)
LISTENERS = [
    (
        "gateway-invalid-route-kind",
        "gateway-only-invalid-route-kind",
        "http",
        "ResolvedRefs=False/InvalidRouteKinds",
        0,
        [],
    ),
    (
        "gateway-invalid-route-kind",
        "gateway-supported-and-invalid-route-kind",
        "http",
        "ResolvedRefs=False/InvalidRouteKinds",
        0,
        ["HTTPRoute"],
    ),
    *[
        ("gateway-invalid-tls-configuration", f"gateway-certificate-{name}", "https", BROKEN_REF, 0, ["HTTPRoute"])
        for name in ("nonexistent-secret", "unsupported-group", "unsupported-kind", "malformed-secret")
    ],
    (
        "gateway-invalid-listeners-unsupported-protocol",
        "gateway-only-unsupported-protocols",
        "invalid",
        "Accepted=False/UnsupportedProtocol Programmed=False/Invalid",
        0,
        [],
    ),
    (
        "gateway-invalid-listeners-unsupported-protocol",
        "gateway-supported-and-unsupported-protocols",
        "http",
        HEALTHY,
        0,
        ["HTTPRoute"],
    ),
    (
        "gateway-secret-invalid-reference-grant",
        "gateway-secret-invalid-reference-grant",
        "https",
        NO_GRANT,
        0,
        ["HTTPRoute"],
    ),
    (
        "gateway-secret-missing-reference-grant",
        "gateway-secret-missing-reference-grant",
        "https",
        NO_GRANT,
        0,
        ["HTTPRoute"],
    ),
    (
        "gateway-secret-reference-grant-all-in-namespace",
        "gateway-secret-reference-grant-all-in-namespace",
        "https",
        HEALTHY,
        0,
        ["HTTPRoute"],
    ),
    (
        "gateway-secret-reference-grant-specific",
        "gateway-secret-reference-grant-specific",
        "https",
        HEALTHY,
        0,
        ["HTTPRoute"],
    ),
    ("gateway-with-attached-routes", "gateway-with-one-attached-route", "http", HEALTHY, 1, ["HTTPRoute"]),
    ("gateway-with-attached-routes", "gateway-with-two-attached-routes", "http", HEALTHY, 2, ["HTTPRoute"]),
    (  # counted although neither the certificate nor the route's backend can be resolved
        "gateway-with-attached-routes",
        "unresolved-gateway-with-one-attached-unresolved-route",
        "tls",
        BROKEN_REF,
        1,
        ["HTTPRoute"],
    ),
    (
        "gateway-with-attached-routes-with-port-8080",
        "gateway-with-two-listeners-and-one-attached-route",
        "http",
        HEALTHY,
        1,
        ["HTTPRoute"],
    ),
    (
        "gateway-with-attached-routes-with-port-8080",
        "gateway-with-two-listeners-and-one-attached-route",
        "http-unattached",
        HEALTHY,
        0,
        ["HTTPRoute"],
    ),
    ("httproute-disallowed-kind", "tlsroutes-only", "tls", HEALTHY, 0, ["TLSRoute"]),
    (
        "tlsroute-listener-passthrough-supported-kinds",
        "gateway-tlsroute-passthrough-supported-kind",
        "tls-passthrough",
        "Accepted=True/Accepted ResolvedRefs=False/InvalidRouteKinds Programmed=True/Programmed",
        0,
        ["TLSRoute"],
    ),
    *[
        (
            "tlsroute-mixed-termination-same-namespace",
            "gateway-tlsroute-mixed-termination",
            name,
            HEALTHY,
            1,
            ["TLSRoute"],
        )
        for name in ("tls-terminate", "tls-passthrough")
    ],
    ("httproute-hostname-intersection", "httproute-hostname-intersection", "listener-1", HEALTHY, 2, ["HTTPRoute"]),
    ("httproute-hostname-intersection", "httproute-hostname-intersection", "listener-2", HEALTHY, 1, ["HTTPRoute"]),
    ("httproute-hostname-intersection", "httproute-hostname-intersection", "listener-3", HEALTHY, 1, ["HTTPRoute"]),
    *[
        ("tcproute-parentref-attach-all", "tcp-attach-all-gateway", name, HEALTHY, 1, ["TCPRoute"])
        for name in ("one", "two", "three", "four")
    ],
    *[
        ("tcproute-parentref-port-and-section-name", "tcp-multi-listener-gateway", name, HEALTHY, 1, ["TCPRoute"])
        for name in ("one", "two", "three")
    ],
    (
        "tcproute-invalid-non-tcp-listener",
        "tcp-mixed-protocol-gateway",
        "only-allow-http-routes",
        HEALTHY,
        0,
        ["HTTPRoute"],
    ),
    # Client certificates are not served yet: the HTTPS listener is refused, its neighbour is not.
    (
        "gateway-invalid-default-frontend-client-certificate-validation",
        "invalid-default-client-validation-config",
        "https",
        "Accepted=False/UnsupportedValue Programmed=False/Invalid",
        1,
        ["HTTPRoute"],
    ),
    (
        "gateway-invalid-default-frontend-client-certificate-validation",
        "invalid-default-client-validation-config",
        "http",
        HEALTHY,
        1,
        ["HTTPRoute"],
    ),
]


@pytest.mark.parametrize(("manifest", "gateway", "name", "expected", "attached", "supported"), LISTENERS)
def test_listener(manifest: str, gateway: str, name: str, expected: str, attached: int, supported: list[str]) -> None:
    found = listener(planned(manifest).statuses[f"Gateway/{INFRA}/{gateway}"], name)
    assert holds(expected, found["conditions"]), short(found["conditions"])
    assert found["attachedRoutes"] == attached
    # As the official suite compares: kinds beyond the expected ones are welcome, but not where none is expected.
    assert set(supported) <= set(kinds(found))
    assert bool(kinds(found)) == bool(supported)


READY = "Accepted=True/Accepted Programmed=True/Programmed"
PARTLY = "Accepted=True/ListenersNotValid Programmed=True/Programmed"

GATEWAYS = [
    ("gateway-invalid-parameters-ref", "gateway-invalid-parameters-ref", "Accepted=False/InvalidParameters"),
    (
        "gateway-invalid-listeners-unsupported-protocol",
        "gateway-only-unsupported-protocols",
        "Accepted=False/ListenersNotValid",
    ),
    ("gateway-invalid-listeners-unsupported-protocol", "gateway-supported-and-unsupported-protocols", PARTLY),
    # The suite waits for Accepted and Programmed of these Gateways, broken as their listeners are.
    ("gateway-secret-missing-reference-grant", "gateway-secret-missing-reference-grant", PARTLY),
    ("gateway-secret-invalid-reference-grant", "gateway-secret-invalid-reference-grant", PARTLY),
    *[
        (
            "gateway-invalid-tls-backend-configuration",
            f"gateway-client-certificate-{name}",
            f"{READY} ResolvedRefs=False/InvalidClientCertificateRef",
        )
        for name in ("nonexistent-secret", "unsupported-group", "unsupported-kind", "malformed-secret")
    ],
    (
        "gateway-invalid-tls-backend-configuration",
        "gateway-client-certificate-missing-reference-grant",
        f"{READY} ResolvedRefs=False/RefNotPermitted",
    ),
    ("gateway-optional-address-value", "gateway-without-address-value", READY),
    ("gateway-static-addresses", "gateway-static-addresses", "Accepted=False/UnsupportedAddress"),
    ("gateway-name-maximum-length", f"gateway-name-maximum-length-{'a' * 225}", READY),
]


@pytest.mark.parametrize(("manifest", "gateway", "expected"), GATEWAYS)
def test_gateway(manifest: str, gateway: str, expected: str) -> None:
    conditions = planned(manifest).statuses[f"Gateway/{INFRA}/{gateway}"]["conditions"]
    assert holds(expected, conditions), short(conditions)
