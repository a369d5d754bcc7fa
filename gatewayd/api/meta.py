"""`metadata` of an object."""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import Meta, field

from gatewayd.api.names import QUALIFIED_NAME, SUBDOMAIN, LabelValue, Namespace
from gatewayd.api.record import Record

Key = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=317,
        pattern=rf"^({SUBDOMAIN}/)?{QUALIFIED_NAME}$",
        extra={"says": "be a name of at most 63 characters, or a domain, a slash and such a name"},
    ),
]
Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=253,
        pattern=rf"^{SUBDOMAIN}$",
        extra={"says": "consist of lower case letters, digits, `-` and `.`", "hint": "for example `shop-cart`"},
    ),
]


class ObjectMeta(Record, frozen=True, kw_only=True, gc=False):
    """metav1.ObjectMeta as far as a gateway reads it; unknown fields are accepted (a cluster's own YAML has many).

    `creation_timestamp` is RFC 3339 or "": it decides between routes of equal precedence.
    """

    lenient: ClassVar[bool] = True
    nullable: ClassVar[bool] = True

    name: Name
    namespace: Namespace | None = None
    labels: dict[Key, LabelValue] = field(default_factory=dict)
    annotations: dict[Key, str] = field(default_factory=dict)
    generation: int = 1
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    uid: str = ""
    resource_version: str = ""
    finalizers: tuple[str, ...] = field(default=())
