"""Rules of the policies and of XBackend."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from gatewayd.api.backendtlspolicy import BackendTLSPolicySpec
from gatewayd.api.names import LABEL
from gatewayd.api.quantity import milliseconds
from gatewayd.api.record import Record
from gatewayd.api.rules.filters import union
from gatewayd.api.rules.rule import Rule, holds, items, repeated
from gatewayd.api.trust import BackendTLSValidation, SubjectAltName
from gatewayd.api.xbackend import BackendPort, ExternalHostname, XBackendSpec, XBackendTLS
from gatewayd.api.xbackendtrafficpolicy import RequestRate, RetryBudget

HOUR = 3_600_000
DNS_LABEL = re.compile(LABEL)
# A name that ends with a number is an IPv4 address, however it is written (URL standard, "ends in a number").
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")


def _unspecific(spec: BackendTLSPolicySpec) -> Iterator[int]:
    """Targets without sectionName that another reference names with one."""
    named = {(each.group, each.kind, each.name) for each in spec.target_refs if each.section_name is not None}
    for index, each in enumerate(spec.target_refs):
        if each.section_name is None and (each.group, each.kind, each.name) in named:
            yield index


def _between(shortest: int, attribute: str = "interval") -> Callable[[Any], bool]:
    def fine(it: Any) -> bool:
        value = getattr(it, attribute)
        return value is None or shortest <= milliseconds(value) <= HOUR

    return fine


RULES: dict[type[Record], tuple[Rule, ...]] = {
    BackendTLSPolicySpec: (
        items(
            "targets-specific",
            "target_refs",
            _unspecific,
            "targetRefs",
            "sectionName must be specified when targetRefs includes 2 or more references to the same target",
            "name the port of each with sectionName",
        ),
        items(
            "targets-distinct",
            "target_refs",
            lambda it: repeated((each.group, each.kind, each.name, each.section_name) for each in it.target_refs),
            "targetRefs",
            "sectionName must be unique when targetRefs includes 2 or more references to the same target",
            "remove it: it is there twice",
        ),
    ),
    BackendTLSValidation: (
        holds(
            "one-source-of-trust",
            "ca_certificate_refs well_known_ca_certificates",
            lambda it: not (it.ca_certificate_refs and it.well_known_ca_certificates),
            "",
            "must not contain both caCertificateRefs and wellKnownCACertificates",
            "remove one of them",
        ),
        holds(
            "some-source-of-trust",
            "ca_certificate_refs well_known_ca_certificates",
            lambda it: bool(it.ca_certificate_refs or it.well_known_ca_certificates),
            "",
            "must specify either caCertificateRefs or wellKnownCACertificates",
            "for example `wellKnownCACertificates: System`",
        ),
    ),
    SubjectAltName: union((("Hostname", "hostname", "hostname"), ("URI", "uri", "uri"))),
    # ExternalHostname is the only type, so that the field can be missing but never be too much.
    XBackendSpec: union((("ExternalHostname", "external_hostname", "externalHostname"),))[:1],
    ExternalHostname: (
        holds(
            "external-hostname",
            "hostname",
            lambda it: not _NUMBER.fullmatch(it.hostname) and not it.hostname.endswith(".cluster.local"),
            "hostname",
            "must not be an IP address or end with .cluster.local",
            "refer to a Service instead",
        ),
    ),
    BackendPort: (
        holds(
            "port-name",
            "name",
            lambda it: not it.name or DNS_LABEL.fullmatch(it.name) is not None,
            "name",
            "must be a DNS label",
            "lower case letters, digits and `-`",
        ),
    ),
    XBackendTLS: union((("ClientAndServer", "client_certificate_ref", "clientCertificateRef"),), "mode"),
    RetryBudget: (
        holds("budget-interval", "interval", _between(1000), "interval", "must be between one second and one hour"),
    ),
    RequestRate: (
        holds("rate-interval", "interval", _between(1), "interval", "must be more than 0s and at most one hour"),
    ),
}
