"""The filters of a rule, or of one of its backendRefs, with the backends that they ask and copy to.

What guards something and cannot be served as written closes the rule (500); a mirror that cannot be used is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from gatewayd.api.problem import Path
from gatewayd.plan.authorization import auth_plan, remarks
from gatewayd.plan.backends import Traffic, host_of
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.filters import Merged, UnservableError, merge, mirror_plan
from gatewayd.plan.findings import Finding
from gatewayd.plan.references import References
from gatewayd.plan.remarks import of_filter
from gatewayd.routing.snapshot import Filters, MirrorPlan


def compile_filters(specs: Any, prefix: bytes | None, path: Path, references: References) -> Merged:
    """The list that stands at `path`, the place of its rule or backendRef. `prefix` is that of the rule's only match.
    UnservableError, as `merge`.
    """
    try:
        merged = merge(specs, prefix)
    except UnservableError as error:
        raise error.under(*path, "filters") from None
    findings = references.findings
    for index, spec in enumerate(specs):
        place = (*path, "filters", index)
        if spec.type in merged.refused:
            message = f"filter {spec.type} is not served yet; requests are answered 500, not passed without it"
            findings.coming(place, message)
        findings.note(of_filter(spec), place)
        if spec.type == "ExtensionRef":
            ref = spec.extension_ref
            verdict = Verdict("InvalidKind", f"filters of kind {ref.group}/{ref.kind} are unknown")
            findings.unresolved.append(Finding((*place, "extensionRef"), verdict.message, "", verdict))
    if merged.auths:
        merged = _authorize(merged, (*path, "filters"), references)
    if not merged.mirrors:
        return merged
    mirrors = tuple(_mirrors(merged.mirrors, (*path, "filters"), references))
    return merged._replace(filters=replace(merged.filters or Filters(), mirrors=mirrors))


def _authorize(merged: Merged, path: Path, references: References) -> Merged:
    """With the service that is to be asked; where that cannot be, requests are answered 500."""
    if len(merged.auths) > 1:
        _tell_repeated(path, references)
        return merged._replace(refusal=merged.refusal or "ExternalAuthRepeated")
    index, spec = merged.auths[0]
    place = (*path, index, "externalAuth")
    spoken: Traffic = "grpc" if spec.protocol == "GRPC" else "http"
    resolved = references.resolve(spec.backend_ref, (*place, "backendRef"), spoken)
    backend = resolved.backend
    if backend is None or resolved.failure is not None:
        reason = resolved.failure.reason if resolved.failure is not None else "BackendNotFound"
        return merged._replace(refusal=merged.refusal or reason)
    try:
        plan = auth_plan(spec, backend.key, host_of(backend, references.reads))
    except UnservableError as error:
        references.findings.invalid(place, f"{error}; requests are answered 500, not passed without it")
        return merged._replace(refusal=merged.refusal or "ExternalAuthInvalid")
    references.findings.note(remarks(spec), place)
    references.backends.append(backend)
    return merged._replace(filters=replace(merged.filters or Filters(), auth=plan))


def _tell_repeated(path: Path, references: References) -> None:
    other = "the rule" if "backendRefs" in path else "a backendRef"
    message = (
        "ExternalAuth must not stand more than once in a list of filters (HTTPRouteRule.filters); requests are"
        " answered 500, not passed with one of them"
    )
    references.findings.invalid(path, message, f"keep one of them; the filters of {other} can ask one more service")


def _mirrors(specs: tuple[tuple[int, Any], ...], path: Path, references: References) -> Iterator[MirrorPlan]:
    """Those that can be used; the others are told, and the requests go their way without them."""
    for index, spec in specs:
        resolved = references.resolve(spec.backend_ref, (*path, index, "requestMirror", "backendRef"))
        if resolved.backend is not None and resolved.failure is None:
            references.backends.append(resolved.backend)
            yield mirror_plan(spec, resolved.backend.key)
