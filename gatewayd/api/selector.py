"""Label selectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import field

from gatewayd.api.meta import Key
from gatewayd.api.names import LabelValue
from gatewayd.api.record import Record


class LabelSelectorRequirement(Record, frozen=True, kw_only=True, gc=False):
    """One expression; `values` is empty for Exists and DoesNotExist."""

    key: Key
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds for `labels`. NotIn holds where the label is absent, as in Kubernetes."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        return (value is not None) == (self.operator == "Exists")


class LabelSelector(Record, frozen=True, kw_only=True, gc=False):
    """metav1.LabelSelector: all parts must hold; an empty one matches everything."""

    match_labels: dict[Key, LabelValue] = field(default_factory=dict)
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether `labels` satisfy every part."""
        exact = all(labels.get(key) == value for key, value in self.match_labels.items())
        return exact and all(expression.matches(labels) for expression in self.match_expressions)
