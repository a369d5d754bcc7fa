"""One rule of a route -> RulePlan, and what its author should know about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from msgspec.structs import replace

from gatewayd.api.problem import Path
from gatewayd.plan import policies
from gatewayd.plan.authorization import auth_plan, remarks
from gatewayd.plan.backends import Backend, Resolved, Traffic, host_of, resolve
from gatewayd.plan.bounds import retry_of, timeouts_of
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.filters import Merged, UnservableError, merge, mirror_plan
from gatewayd.plan.matches import compile_matches, prefix_of
from gatewayd.plan.persistence import persistence_of
from gatewayd.plan.reads import Reads
from gatewayd.plan.remarks import Remark, of_filter, of_headers
from gatewayd.routing.snapshot import Filters, MatchPlan, MirrorPlan, Persistence, RulePlan, SharePlan

_SESSIONS = frozenset({"HTTPRoute", "GRPCRoute"})  # kinds whose rules may keep sessions
_ONE_RULE = frozenset({"TCPRoute", "TLSRoute"})
# Filters without which no request may pass.
_GUARDS = frozenset({"ExternalAuth", "ExtensionRef"})


class Finding(NamedTuple):
    """Something to tell about one field. `verdict` is set when a reference could not be resolved, `closed` when
    requests are refused because of it, `invalid` when that is for its author to mend and not for a later version.
    """

    path: Path
    message: str
    hint: str = ""
    verdict: Verdict | None = None
    closed: bool = False
    invalid: bool = False


class RuleDraft:
    """A rule while it is compiled. `plan` stays None when the rule has to be dropped; then `dropped` says why."""

    def __init__(self, kind: str, namespace: str, traffic: Traffic, reads: Reads) -> None:
        self.kind = kind
        self.namespace = namespace
        self.traffic: Traffic = traffic
        self.reads = reads
        self.plan: RulePlan | None = None
        self.dropped: Finding | None = None
        self.unresolved: list[Finding] = []
        self.not_served: list[Finding] = []
        self.noted: list[Finding] = []
        self.backends: list[Backend] = []
        self._shared: list[Backend] = []

    def compile(self, rule: Any, index: int) -> RuleDraft:
        """Fill the draft from rule number `index`."""
        path: Path = ("spec", "rules", index)
        try:
            matches = compile_matches(self.kind, rule)
            prefix = prefix_of(matches)
            merged = self._filters(getattr(rule, "filters", ()), prefix, path)
            shares = tuple(self._shares(rule.backend_refs, prefix, path))
            persistence = self._persistence(rule, path)
            for number, match in enumerate(getattr(rule, "matches", ())):
                self._note(of_headers(getattr(match, "headers", ()), ("matches", number, "headers")), path)
        except UnservableError as error:
            self._drop(rule, index, str(error))
            return self
        if index and self.kind in _ONE_RULE:
            self.not_served.append(Finding(path, f"a {self.kind} is served by its first rule; this one is never used"))
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

    def _drop(self, rule: Any, index: int, why: str) -> None:
        """A dropped rule leaves its requests to the next one that matches, which may guard nothing: one that guards
        something keeps them, and answers 500.
        """
        path: Path = ("spec", "rules", index)
        kinds = {spec.type for part in (rule, *rule.backend_refs) for spec in getattr(part, "filters", ())}
        try:
            matches = () if kinds.isdisjoint(_GUARDS) else compile_matches(self.kind, rule) or (MatchPlan(),)
        except UnservableError:
            matches = ()
        if not matches:
            self.dropped = Finding(path, why)
            return
        message = f"{why}; the rule guards something, so its requests are answered 500 and not left to others"
        self.not_served.append(Finding(path, message, closed=True, invalid=True))
        self.plan = RulePlan(index, rule.name or "", matches, refusal="InvalidRule")

    def _filters(self, specs: Any, prefix: bytes | None, path: Path) -> Merged:
        merged = merge(specs, prefix)
        for index, spec in enumerate(specs):
            place = (*path, "filters", index)
            if spec.type in merged.refused:
                message = f"filter {spec.type} is not served yet; requests are answered 500, not passed without it"
                self.not_served.append(Finding(place, message, closed=True))
            self._note(of_filter(spec), place)
            if spec.type == "ExtensionRef":
                ref = spec.extension_ref
                verdict = Verdict("InvalidKind", f"filters of kind {ref.group}/{ref.kind} are unknown")
                self.unresolved.append(Finding((*place, "extensionRef"), verdict.message, "", verdict))
        if merged.auths:
            merged = self._authorize(merged, (*path, "filters"))
        if not merged.mirrors:
            return merged
        mirrors = tuple(self._mirrors(merged.mirrors, (*path, "filters")))
        return merged._replace(filters=replace(merged.filters or Filters(), mirrors=mirrors))

    def _note(self, remarks: Iterable[Remark], path: Path) -> None:
        self.noted += [Finding((*path, *one.path), one.message, one.hint) for one in remarks]

    def _authorize(self, merged: Merged, path: Path) -> Merged:
        """With the service that is to be asked; where that cannot be, requests are answered 500."""
        index, spec = merged.auths[0]
        place = (*path, index, "externalAuth")
        if len(merged.auths) > 1:
            other = "the rule" if "backendRefs" in path else "a backendRef"
            message = (
                "ExternalAuth must not stand more than once in a list of filters (HTTPRouteRule.filters); requests are"
                " answered 500, not passed with one of them"
            )
            hint = f"keep one of them; the filters of {other} can ask one more service"
            self.not_served.append(Finding(path, message, hint, closed=True, invalid=True))
            return merged._replace(refusal=merged.refusal or "ExternalAuthRepeated")
        spoken: Traffic = "grpc" if spec.protocol == "GRPC" else "http"
        resolved = self._resolve(spec.backend_ref, (*place, "backendRef"), spoken)
        if resolved.backend is None or resolved.failure is not None:
            reason = resolved.failure.reason if resolved.failure is not None else "BackendNotFound"
            return merged._replace(refusal=merged.refusal or reason)
        backend = resolved.backend
        try:
            plan = auth_plan(spec, backend.key, host_of(backend, self.reads))
        except UnservableError as error:
            message = f"{error}; requests are answered 500, not passed without it"
            self.not_served.append(Finding(place, message, closed=True, invalid=True))
            return merged._replace(refusal=merged.refusal or "ExternalAuthInvalid")
        self._note(remarks(spec), place)
        self.backends.append(backend)
        return merged._replace(filters=replace(merged.filters or Filters(), auth=plan))

    def _mirrors(self, specs: tuple[tuple[int, Any], ...], path: Path) -> Iterator[MirrorPlan]:
        """Those that can be used; the others are told, and the requests go their way without them."""
        for index, spec in specs:
            resolved = self._resolve(spec.backend_ref, (*path, index, "requestMirror", "backendRef"))
            if resolved.backend is not None and resolved.failure is None:
                self.backends.append(resolved.backend)
                yield mirror_plan(spec, resolved.backend.key)

    def _shares(self, refs: Any, prefix: bytes | None, path: Path) -> Iterator[SharePlan]:
        for index, ref in enumerate(refs):
            place = (*path, "backendRefs", index)
            resolved = self._resolve(ref, place)
            merged = self._filters(getattr(ref, "filters", ()), prefix, place)
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
            return persistence_of(own)
        found = policies.sessions_of(self._shared, self.reads)
        other = next((one for one in found if replace(one, policy=found[0].policy) != found[0]), None)
        if other is not None:
            message = f"sessions: XBackendTrafficPolicy {found[0].policy} is followed; {other.policy} says otherwise"
            hint = "write sessionPersistence into the rule to decide"
            self.noted.append(Finding((*path, "backendRefs"), message, hint))
        return found[0] if found else None

    def _resolve(self, ref: Any, place: Path, spoken: Traffic | None = None) -> Resolved:
        resolved = resolve(ref, self.kind, self.namespace, spoken or self.traffic, self.reads)
        failure = resolved.failure
        if failure is not None:
            if resolved.coming:
                self.not_served.append(Finding(place, failure.message, resolved.hint, closed=True))
            if resolved.backend is None:
                self.unresolved.append(Finding(place, failure.message, resolved.hint, failure))
        return resolved
