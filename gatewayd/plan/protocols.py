"""What this version serves: the protocols of listeners, the kinds of routes, and the features that follow from them."""

from __future__ import annotations

from typing import Literal, NamedTuple

CONTROLLER = "gatewayd.dev/gateway-controller"
OUR_GROUP = "gatewayd.dev"


class Protocol(NamedTuple):
    """One protocol of listeners: the kind of socket under it and the route kinds natural to it."""

    transport: Literal["http", "https", "tcp"]
    kinds: tuple[str, ...]
    named: bool  # listeners on one port are told apart by host name


ROUTE_KINDS = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
SERVED_ROUTES = ("HTTPRoute", "GRPCRoute", "TCPRoute")

PROTOCOLS: dict[str, Protocol] = {
    "HTTP": Protocol("http", ("HTTPRoute", "GRPCRoute"), True),
    "HTTPS": Protocol("https", ("HTTPRoute", "GRPCRoute"), True),
    "TCP": Protocol("tcp", ("TCPRoute",), False),
}

# Valid protocols of the specification that are still to come, to tell them from misspelt ones.
COMING_PROTOCOLS = ("TLS", "UDP")

FEATURES = tuple(
    sorted(
        (
            "GRPCRoute",
            "GRPCRouteNamedRouteRule",
            "GRPCRouteRequestHeaderModifier",
            "GRPCRouteSessionPersistence",
            "GRPCRouteSessionPersistenceHeader",
            "Gateway",
            "GatewayAddressEmpty",
            "GatewayHTTPListenerIsolation",
            "GatewayPort8080",
            "GatewayStaticAddresses",
            "HTTPRoute",
            "HTTPRoute303RedirectStatusCode",
            "HTTPRoute307RedirectStatusCode",
            "HTTPRoute308RedirectStatusCode",
            "HTTPRouteBackendProtocolH2C",
            "HTTPRouteBackendProtocolWebSocket",
            "HTTPRouteBackendRequestHeaderModification",
            "HTTPRouteBackendRequestRedirect",
            "HTTPRouteBackendTimeout",
            "HTTPRouteBackendURLRewrite",
            "HTTPRouteCORS",
            "HTTPRouteDestinationPortMatching",
            "HTTPRouteHostRewrite",
            "HTTPRouteMethodMatching",
            "HTTPRouteNamedRouteRule",
            "HTTPRouteParentRefPort",
            "HTTPRoutePathRedirect",
            "HTTPRoutePathRewrite",
            "HTTPRoutePortRedirect",
            "HTTPRouteQueryParamMatching",
            "HTTPRouteRequestMirror",
            "HTTPRouteRequestMultipleMirrors",
            "HTTPRouteRequestPercentageMirror",
            "HTTPRouteRequestTimeout",
            "HTTPRouteResponseHeaderModification",
            "HTTPRouteRetry",
            "HTTPRouteRetryBackendTimeout",
            "HTTPRouteRetryConnectionError",
            "HTTPRouteSchemeRedirect",
            "HTTPRouteSessionPersistence",
            "HTTPRouteSessionPersistenceCookieLifetimeTypePermanent",
            "ReferenceGrant",
            "TCPRoute",
        )
    )
)
