"""The official manifests against the statuses that the official tests wait for: routes of served kinds.

The manifests are read where they lie beside the project; without them these tests are skipped.
"""

from __future__ import annotations

import pytest

from tests.plan.official import BOTH, FOLDER, INFRA, WEB, planned
from tests.plan.verdicts import holds, short

pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the official manifests are not here")

# (manifest, route, conditions of its only parent); what the test is about stands behind it.
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
