"""One rule of a route -> RulePlan, and what its author should know about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from gatewayd.api.problem import Path
from gatewayd.plan import policies
from gatewayd.plan.backends import Backend, Traffic
from gatewayd.plan.bounds import retry_of, timeouts_of
from gatewayd.plan.filterlists import compile_filters
from gatewayd.plan.filters import UnservableError
from gatewayd.plan.findings import Finding, Findings
from gatewayd.plan.matches import compile_matches, prefix_of
from gatewayd.plan.persistence import persistence_of
from gatewayd.plan.protocols import ONE_RULE
from gatewayd.plan.reads import Reads
from gatewayd.plan.references import References
from gatewayd.plan.remarks import of_headers
from gatewayd.routing.snapshot import MatchPlan, Persistence, RulePlan, SharePlan

_SESSIONS = frozenset({"HTTPRoute", "GRPCRoute"})  # kinds whose rules may keep sessions
# Filters without which no request may pass.
_GUARDS = frozenset({"ExternalAuth", "ExtensionRef"})


class RuleDraft:
    """A rule while it is compiled. `plan` stays None when the rule has to be dropped; then `dropped` says why."""

    def __init__(self, kind: str, namespace: str, traffic: Traffic, reads: Reads) -> None:
        self.kind = kind
        self.plan: RulePlan | None = None
        self.dropped: Finding | None = None
        self.findings = Findings()
        self._references = References(kind, namespace, traffic, reads, self.findings)
        self._shared: list[Backend] = []

    @property
    def backends(self) -> list[Backend]:
        """All that it uses, also by its filters."""
        return self._references.backends

    def compile(self, rule: Any, index: int) -> RuleDraft:
        """Fill the draft from rule number `index`."""
        path: Path = ("spec", "rules", index)
        try:
            matches = compile_matches(self.kind, rule, path)
            prefix = prefix_of(matches)
            merged = compile_filters(getattr(rule, "filters", ()), prefix, path, self._references)
            shares = tuple(self._shares(rule.backend_refs, prefix, path))
            persistence = self._persistence(rule, path)
            for number, match in enumerate(getattr(rule, "matches", ())):
                self.findings.note(of_headers(getattr(match, "headers", ()), ("matches", number, "headers")), path)
        except UnservableError as error:
            self._drop(rule, index, error)
            return self
        if index and self.kind in ONE_RULE:
            message = f"a {self.kind} is served by its first rule; this one is never used"
            self.findings.not_served.append(Finding(path, message))
        self.plan = RulePlan(
            index=index,
            name=rule.name or "",
            matches=matches or (MatchPlan(),),
            filters=merged.filters,
            shares=shares,
            timeouts=timeouts_of(rule),
            retry=retry_of(rule),
            persistence=persistence,
            refusal=merged.refusal,
        )
        return self

    def _drop(self, rule: Any, index: int, why: UnservableError) -> None:
        """A dropped rule leaves its requests to the next one that matches, which may guard nothing: one that guards
        something keeps them, and answers 500.
        """
        path: Path = why.place or ("spec", "rules", index)
        kinds = {spec.type for part in (rule, *rule.backend_refs) for spec in getattr(part, "filters", ())}
        try:
            matches = () if kinds.isdisjoint(_GUARDS) else compile_matches(self.kind, rule, path) or (MatchPlan(),)
        except UnservableError:
            matches = ()
        if not matches:
            self.dropped = Finding(path, str(why))
            return
        message = f"{why}; the rule guards something, so its requests are answered 500 and not left to others"
        self.findings.invalid(path, message)
        self.plan = RulePlan(index, rule.name or "", matches, refusal="InvalidRule")

    def _shares(self, refs: Any, prefix: bytes | None, path: Path) -> Iterator[SharePlan]:
        for index, ref in enumerate(refs):
            place = (*path, "backendRefs", index)
            resolved = self._references.resolve(ref, place)
            merged = compile_filters(getattr(ref, "filters", ()), prefix, place, self._references)
            failure = resolved.failure.reason if resolved.failure else ""
            failure = failure or merged.refusal
            backend = resolved.backend
            if backend is not None and not failure:
                self.backends.append(backend)
                self._shared.append(backend)
            yield SharePlan(
                backend=backend.key if backend is not None and not failure else "",
                weight=ref.weight,
                filters=merged.filters,
                failure=failure,
                clear_failure="BackendTLSPolicyNotServed" if resolved.policy else "",
            )

    def _persistence(self, rule: Any, path: Path) -> Persistence | None:
        """The rule's own setting, or else that of its backends' policies. Sessions belong to the rule, so all its
        backends keep them in one way (GEP-1619, "Traffic Splitting"): that of the first that has any.
        """
        own = getattr(rule, "session_persistence", None)
        if own is not None or self.kind not in _SESSIONS:
            try:
                return persistence_of(own)
            except UnservableError as error:
                raise error.under(*path, "sessionPersistence") from None
        found = policies.sessions_of(self._shared, self._references.reads)
        other = next((one for one in found if replace(one, policy=found[0].policy) != found[0]), None)
        if other is not None:
            message = f"sessions: XBackendTrafficPolicy {found[0].policy} is followed; {other.policy} says otherwise"
            hint = "write sessionPersistence into the rule to decide"
            self.findings.noted.append(Finding((*path, "backendRefs"), message, hint))
        return found[0] if found else None
