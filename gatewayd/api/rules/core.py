"""Rules of the built-in kinds (pkg/apis/core/validation and discovery/validation of Kubernetes)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

from gatewayd.api.core import ConfigMap, EndpointSlice, Namespace, Secret, Service, ServiceSpec
from gatewayd.api.names import LABEL, SUBDOMAIN
from gatewayd.api.problem import Path
from gatewayd.api.record import Record
from gatewayd.api.rules.rule import Rule, holds, items, repeated

NAME = re.compile(LABEL)
FQDN = re.compile(rf"{SUBDOMAIN}\.?")
FAMILY = {"IPv4": 4, "IPv6": 6}
TLS_KEYS = ("tls.crt", "tls.key")


def _is_address(kind: str, text: str) -> bool:
    if kind == "FQDN":
        return FQDN.fullmatch(text) is not None
    try:
        return ip_address(text).version == FAMILY[kind] and "%" not in text
    except ValueError:
        return False


def _is_special(text: str) -> bool:
    """Whether no endpoint may have the address. Kubernetes refuses loopback too; without a cluster it is of use."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_unspecified or address.is_link_local or address.is_multicast


def _addresses(slice_: EndpointSlice) -> Iterable[tuple[Path, str]]:
    for index, endpoint in enumerate(slice_.endpoints):
        for place, address in enumerate(endpoint.addresses):
            yield ("endpoints", index, "addresses", place), address


def _bad_addresses(slice_: EndpointSlice) -> Iterable[Path]:
    return (path for path, text in _addresses(slice_) if not _is_address(slice_.address_type, text))


def _special_addresses(slice_: EndpointSlice) -> Iterable[Path]:
    return (path for path, text in _addresses(slice_) if _is_special(text))


def _missing_keys(secret: Secret) -> Iterable[Path]:
    if secret.type == "kubernetes.io/tls":
        yield from (("data", key) for key in TLS_KEYS if key not in secret.data and key not in secret.string_data)


def _short_name(record: Service | Namespace) -> bool:
    return len(record.metadata.name) <= 63 and NAME.fullmatch(record.metadata.name) is not None


SHORT_NAME = holds(
    "short-name",
    "metadata",
    _short_name,
    "metadata.name",
    "must be a DNS label of at most 63 lower case letters, digits and `-`",
)

RULES: dict[type[Record], tuple[Rule, ...]] = {
    Namespace: (SHORT_NAME,),
    Service: (SHORT_NAME,),
    ServiceSpec: (
        holds(
            "external-name",
            "type external_name",
            lambda it: it.type != "ExternalName" or bool(it.external_name),
            "externalName",
            "externalName must be set when type is ExternalName",
            "for example `externalName: api.example.com`",
        ),
        holds(
            "service-ports",
            "type ports cluster_ip",
            lambda it: bool(it.ports) or it.type == "ExternalName" or it.cluster_ip == "None",
            "ports",
            "at least one port is required",
            "for example `ports: [{port: 80, targetPort: 8080}]`",
        ),
        items(
            "service-ports-named",
            "ports",
            lambda it: [index for index, each in enumerate(it.ports) if not each.name] if len(it.ports) > 1 else (),
            "ports",
            "every port must have a name when there are several",
            "for example `name: http`",
        ),
        items(
            "service-port-names-distinct",
            "ports",
            lambda it: repeated(each.name or None for each in it.ports),
            "ports",
            "the names of the ports must be unique",
            "give it another name",
        ),
    ),
    EndpointSlice: (
        Rule(
            "endpoint-addresses",
            ("address_type", "endpoints"),
            _bad_addresses,
            "the address must be of the kind that addressType names",
            "one of IPv4, IPv6 and FQDN for all addresses of the slice",
        ),
        Rule(
            "endpoint-addresses-special",
            ("endpoints",),
            _special_addresses,
            "the address must not be unspecified, link-local or multicast",
            "the address of a server",
        ),
    ),
    Secret: (
        Rule(
            "tls-secret-keys",
            ("type", "data", "string_data"),
            _missing_keys,
            "a Secret of type kubernetes.io/tls must have this key",
            "tls.crt holds the certificate chain and tls.key the private key",
        ),
    ),
    ConfigMap: (
        holds(
            "configmap-keys",
            "data binary_data",
            lambda it: not set(it.data) & set(it.binary_data),
            "binaryData",
            "a key must not stand in both data and binaryData",
        ),
    ),
}
