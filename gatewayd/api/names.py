"""The scalar types of the Gateway API, with the limits and patterns of its CRDs.

Sources: the CRD schemas (apis/v1/shared_types.go of kubernetes-sigs/gateway-api), RFC 1123 and RFC 1035 for names,
RFC 9110 section 5.6.2 for tokens, GEP-2257 for durations. `extra` holds what to tell a user whose value does not fit:
`says` completes the sentence "must ...", `hint` shows what to write.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL}(\.{LABEL})*"
FIELD_NAME = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"
QUALIFIED_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]"
LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
# The CRD writes ^[!-~]+([\t ]?[!-~]+)*$, which takes exponential time in `re`; this is the same language.
FIELD_VALUE = r"^[!-~]+([\t ][!-~]+)*$"
DURATION = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$"
PATH_CHARACTERS = r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"

Hostname = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=rf"^(\*\.)?{SUBDOMAIN}$",
        extra={"says": "be a host name in lower case, or `*.` and one", "hint": "for example `shop.example.com`"},
    ),
]
PreciseHostname = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=rf"^{SUBDOMAIN}$",
        extra={"says": "be a host name in lower case without a wildcard", "hint": "for example `shop.example.com`"},
    ),
]
SectionName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=rf"^{SUBDOMAIN}$",
        extra={"says": "consist of lower case letters, digits, `-` and `.`", "hint": "for example `https-1`"},
    ),
]
Namespace = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        pattern=rf"^{LABEL}$",
        extra={"says": "consist of lower case letters, digits and `-`", "hint": "for example `shop`"},
    ),
]
ObjectName = Annotated[str, Meta(min_length=1, max_length=253)]
Group = Annotated[
    str,
    Meta(
        max_length=253,
        pattern=rf"^$|^{SUBDOMAIN}$",
        extra={
            "says": "be empty or a DNS name, without a version",
            "hint": 'for example `gateway.networking.k8s.io`, or `""` for the core group',
        },
    ),
]
Kind = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=63,
        pattern=r"^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$",
        extra={"says": "consist of letters, digits and `-`, a letter first", "hint": "for example `Service`"},
    ),
]
ControllerName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=rf"^{SUBDOMAIN}\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$",
        extra={"says": "be a domain, a slash and a path", "hint": "for example `gatewayd.dev/gateway-controller`"},
    ),
]
PortNumber = Annotated[int, Meta(ge=1, le=65535)]
Weight = Annotated[int, Meta(ge=0, le=1000000)]
HeaderName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        pattern=FIELD_NAME,
        extra={"says": "be a field name of HTTP (RFC 9110)", "hint": "for example `x-request-id`"},
    ),
]
HeaderValue = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=4096,
        pattern=FIELD_VALUE,
        extra={
            "says": "consist of visible ASCII, with single blanks or tabs between words",
            "hint": "remove control characters, leading, trailing and double blanks",
        },
    ),
]
Duration = Annotated[
    str,
    Meta(
        pattern=DURATION,
        extra={"says": "be a duration of whole numbers with h, m, s or ms", "hint": "for example `10s` or `1m30s`"},
    ),
]
OptionValue = Annotated[str, Meta(max_length=4096)]
LabelValue = Annotated[
    str,
    Meta(
        max_length=63,
        pattern=LABEL_VALUE,
        extra={"says": "consist of letters, digits, `-`, `_` and `.`", "hint": "begin and end with a letter or digit"},
    ),
]
