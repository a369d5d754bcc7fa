"""The root of every typed part of an object, and the way its fields are named in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A mapping of the Kubernetes API: snake_case attributes here, camelCase fields in YAML.

    Absent optional fields are None or the default of the CRD; absent lists are () unless absence means something else
    than an empty list. `ignored` names the fields that exist in Kubernetes and mean nothing to a gateway: they are
    neither kept nor reported. `lenient` accepts every unknown field in silence. `nullable`: a field that is null counts
    as absent, as in the built-in kinds; CRDs refuse null where the field has no default. `former`: what to write for
    fields that earlier releases had.
    """

    ignored: ClassVar[frozenset[str]] = frozenset()
    lenient: ClassVar[bool] = False
    former: ClassVar[Mapping[str, str]] = {}
    nullable: ClassVar[bool] = False
