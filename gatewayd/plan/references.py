"""The backends that one rule refers to, in its backendRefs and in its filters."""

from __future__ import annotations

from typing import Any

from gatewayd.api.problem import Path
from gatewayd.plan.backends import Backend, Resolved, Traffic, resolve
from gatewayd.plan.findings import Finding, Findings
from gatewayd.plan.reads import Reads


class References:
    """Resolves them, and notes what cannot be used. `backends` are those that the rule uses, as whoever resolved them
    says.
    """

    __slots__ = ("backends", "findings", "kind", "namespace", "reads", "traffic")

    def __init__(self, kind: str, namespace: str, traffic: Traffic, reads: Reads, findings: Findings) -> None:
        self.kind = kind
        self.namespace = namespace
        self.traffic: Traffic = traffic
        self.reads = reads
        self.findings = findings
        self.backends: list[Backend] = []

    def resolve(self, ref: Any, place: Path, spoken: Traffic | None = None) -> Resolved:
        """Look `ref` up, which stands at `place`; `spoken` where something else is spoken to it than to the rule's own
        backends.
        """
        resolved = resolve(ref, self.kind, self.namespace, spoken or self.traffic, self.reads)
        failure = resolved.failure
        if failure is not None:
            if resolved.coming:
                self.findings.coming(place, failure.message, resolved.hint)
            if resolved.backend is None:
                self.findings.unresolved.append(Finding(place, failure.message, resolved.hint, failure))
        return resolved
