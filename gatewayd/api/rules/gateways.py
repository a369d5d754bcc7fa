"""Rules of Gateway and ListenerSet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from gatewayd.api.gateway import GatewayAddress, GatewayInfrastructure, GatewaySpec
from gatewayd.api.listener import Listener, ListenerTLS
from gatewayd.api.listenerset import ListenerSetSpec
from gatewayd.api.names import SUBDOMAIN
from gatewayd.api.problem import Path
from gatewayd.api.record import Record
from gatewayd.api.rules.rule import Rule, holds, items, repeated
from gatewayd.api.selector import LabelSelectorRequirement

HOSTNAME = re.compile(rf"(\*\.)?{SUBDOMAIN}")


def is_ip(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address without a zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _address_fits(address: GatewayAddress) -> bool:
    value = address.value
    if value is None:
        return True
    if address.type == "IPAddress":
        return is_ip(value)
    return address.type != "Hostname" or not value or HOSTNAME.fullmatch(value) is not None


def _same_addresses(spec: GatewaySpec) -> list[int]:
    unique = ("IPAddress", "Hostname")
    return repeated((a.type, a.value) if a.value is not None and a.type in unique else None for a in spec.addresses)


def _same_listeners(spec: GatewaySpec | ListenerSetSpec) -> list[int]:
    return repeated((each.port, each.protocol, each.hostname) for each in spec.listeners)


def _long_prefixes(infrastructure: GatewayInfrastructure) -> Iterable[Path]:
    for field, entries in (("labels", infrastructure.labels), ("annotations", infrastructure.annotations)):
        yield from ((field, key) for key in entries if len(key.split("/")[0]) >= 253)


LISTENERS = items(
    "listeners-distinct",
    "listeners",
    _same_listeners,
    "listeners",
    "the combination of port, protocol and hostname must be unique",
    "give it another port or hostname, or remove it",
)

RULES: dict[type[Record], tuple[Rule, ...]] = {
    Listener: (
        holds(
            "listener-tls-without-tls-protocol",
            "protocol tls",
            lambda it: it.protocol not in ("HTTP", "TCP", "UDP") or it.tls is None,
            "tls",
            "tls must not be set for the protocols HTTP, TCP and UDP",
            "remove it, or use the protocol HTTPS or TLS",
        ),
        holds(
            "listener-https-terminates",
            "protocol tls",
            lambda it: it.protocol != "HTTPS" or it.tls is None or it.tls.mode == "Terminate",
            "tls.mode",
            "the mode must be Terminate for the protocol HTTPS",
            "use the protocol TLS for Passthrough",
        ),
        holds(
            "listener-tls-mode",
            "protocol tls",
            lambda it: it.protocol != "TLS" or it.tls is not None,
            "tls",
            "tls with a mode must be set for the protocol TLS",
            "write `tls: {mode: Passthrough}`, or Terminate with certificateRefs",
        ),
        holds(
            "listener-hostname-without-name-protocol",
            "protocol hostname",
            lambda it: it.protocol not in ("TCP", "UDP") or not it.hostname,
            "hostname",
            "a hostname must not be set for the protocols TCP and UDP",
            "remove it: these protocols carry no host name",
        ),
    ),
    ListenerTLS: (
        holds(
            "tls-terminate-needs-certificate",
            "mode certificate_refs options",
            lambda it: it.mode != "Terminate" or bool(it.certificate_refs) or bool(it.options),
            "",
            "certificateRefs or options must be set when the mode is Terminate",
            "write `certificateRefs: [{name: NAME}]`, the name of a Secret of type kubernetes.io/tls",
        ),
    ),
    GatewayAddress: (
        holds(
            "address-value",
            "type value",
            _address_fits,
            "value",
            "the value must fit the type: an IP address for IPAddress, a host name for Hostname",
            "for example `192.0.2.10`",
        ),
    ),
    GatewayInfrastructure: (
        Rule(
            "infrastructure-key-prefix",
            ("labels", "annotations"),
            _long_prefixes,
            "the prefix of the key must be shorter than 253 characters",
        ),
    ),
    GatewaySpec: (
        items(
            "addresses-distinct",
            "addresses",
            _same_addresses,
            "addresses",
            "values of IPAddress and of Hostname must be unique",
            "remove it: it is there twice",
        ),
        LISTENERS,
    ),
    ListenerSetSpec: (LISTENERS,),
    LabelSelectorRequirement: (
        holds(
            "selector-values",
            "operator values",
            lambda it: bool(it.values) == (it.operator in ("In", "NotIn")),
            "values",
            "values must be given for In and NotIn, and for them only",
        ),
    ),
}
