"""What this version serves: the protocols of listeners, the kinds of routes, and the features that follow from them."""

from __future__ import annotations

from typing import Literal, NamedTuple

from gatewayd.routing.snapshot import Transport

CONTROLLER = "gatewayd.dev/gateway-controller"
OUR_GROUP = "gatewayd.dev"


Family = Literal["http", "tls", "tcp"]


class Protocol(NamedTuple):
    """One protocol of listeners: the kind of socket under it and the route kinds natural to it. Listeners of one
    family may share a port, where their hostnames tell them apart.
    """

    transport: Transport
    family: Family
    kinds: tuple[str, ...]


ROUTE_KINDS = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "UDPRoute")
SERVED_ROUTES = ("HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute")
# Routes of which one rule is served; in the alpha versions they may have more, which mean nothing.
ONE_RULE = frozenset({"TCPRoute", "TLSRoute"})

PROTOCOLS: dict[str, Protocol] = {
    "HTTP": Protocol("http", "http", ("HTTPRoute", "GRPCRoute")),
    "HTTPS": Protocol("https", "tls", ("HTTPRoute", "GRPCRoute")),
    "TLS": Protocol("tls", "tls", ("TLSRoute", "TCPRoute")),
    "TCP": Protocol("tcp", "tcp", ("TCPRoute",)),
}

# TLS listeners of mode Passthrough: what is decrypted nowhere is no TCPRoute's.
PASSTHROUGH = PROTOCOLS["TLS"]._replace(kinds=("TLSRoute",))

# Valid protocols of the specification that are still to come, to tell them from misspelt ones.
COMING_PROTOCOLS = ("UDP",)

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
            "TLSRoute",
            "TLSRouteModeMixed",
            "TLSRouteModeTerminate",
        )
    )
)
