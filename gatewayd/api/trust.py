"""How the certificate of a backend is checked (BackendTLSPolicy and XBackend, GEP-1897)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from gatewayd.api.names import LABEL, QUALIFIED_NAME, Hostname, PreciseHostname
from gatewayd.api.record import Record
from gatewayd.api.references import LocalObjectReference

URI = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=r"^(([^:/?#]+):)(//([^/?#]*))([^?#]*)(\?([^#]*))?(#(.*))?",
        extra={"says": "be a URI with scheme and authority", "hint": "for example `spiffe://example.com/backend`"},
    ),
]
WellKnown = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=rf"^(System|({LABEL}(\.{LABEL})*/{QUALIFIED_NAME}))$",
        extra={"says": "be `System` or a domain, a slash and a name", "hint": "System"},
    ),
]


class SubjectAltName(Record, frozen=True, kw_only=True, gc=False):
    """One name that the certificate may carry; the field that `type` names is set."""

    type: Literal["Hostname", "URI"]
    hostname: Hostname | None = None
    uri: URI | None = None


class BackendTLSValidation(Record, frozen=True, kw_only=True, gc=False):
    """Exactly one source of trust is set. `hostname` is the SNI, and the name to check if no others are given."""

    ca_certificate_refs: Annotated[tuple[LocalObjectReference, ...], Meta(max_length=8)] = ()
    well_known_ca_certificates: WellKnown | None = field(name="wellKnownCACertificates", default=None)
    hostname: PreciseHostname
    subject_alt_names: Annotated[tuple[SubjectAltName, ...], Meta(max_length=5)] = ()
