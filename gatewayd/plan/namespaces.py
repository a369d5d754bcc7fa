"""Which namespaces a rule {from: Same | All | Selector} admits."""

from __future__ import annotations

from typing import Any

from gatewayd.plan.parts import metadata
from gatewayd.plan.reads import Reads

# Kubernetes sets this label on every namespace (since 1.22); files need not write it.
NAME_LABEL = "kubernetes.io/metadata.name"


def labels_of(namespace: str, reads: Reads) -> dict[str, str]:
    """The labels of a namespace; one that has no object in the files has only its name."""
    found = reads.get("Namespace", "", namespace)
    labels = dict(metadata(found).labels) if found is not None else {}
    return labels | {NAME_LABEL: namespace}


def admits(rule: Any, home: str, namespace: str, reads: Reads) -> bool:
    """True when `rule` of an object in namespace `home` admits objects of `namespace`.

    A Selector without a selector admits nothing.
    """
    if rule.from_ == "Selector":
        return rule.selector is not None and bool(rule.selector.matches(labels_of(namespace, reads)))
    return rule.from_ == "All" or (rule.from_ == "Same" and namespace == home)
