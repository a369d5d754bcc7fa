"""XBackendTrafficPolicy (GEP-3388, GEP-1619): which policy is in force for a backend, and what it sets.

A target has one policy, the oldest, of several of the same age the first by name; nothing is merged.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from msgspec.structs import replace

from gatewayd.api.objects import Object
from gatewayd.api.problem import Path, Problem
from gatewayd.api.quantity import seconds
from gatewayd.plan.backends import Backend
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.filters import UnservableError
from gatewayd.plan.parts import age, spec
from gatewayd.plan.persistence import persistence_of
from gatewayd.plan.problems import report
from gatewayd.plan.reads import Reads
from gatewayd.plan.targets import BACKEND_KINDS, Target
from gatewayd.routing.snapshot import Persistence, RetryBudgetPlan

KIND = "XBackendTrafficPolicy"
_LEAST = (10, "1s")  # minRetryRate, also of a part that is left out


class Judged(NamedTuple):
    """A policy and what is wrong with each of its targets (None: it is in force there)."""

    item: Object
    verdicts: dict[Target, Verdict | None]
    problems: tuple[Problem, ...]


def in_force(kind: str, namespace: str, name: str, reads: Reads) -> Object | None:
    """The policy for a Service or an XBackend, if there is any that can be served."""
    candidates = (one for one in reads.group(KIND, namespace, f"{kind}/{name}") if not _fault(one))
    return min(candidates, key=age, default=None)


def budget_of(backend: Backend, reads: Reads) -> RetryBudgetPlan | None:
    """The budget of retries that a policy sets for the backend."""
    policy = in_force(backend.kind, backend.namespace, backend.name, reads)
    constraint = None if policy is None else spec(policy).retry_constraint
    if policy is None or constraint is None:
        return None
    least = constraint.min_retry_rate
    return RetryBudgetPlan(
        policy=f"{policy.namespace}/{policy.name}",
        target=f"{backend.kind}/{backend.namespace}/{backend.name}",
        percent=constraint.budget.percent,
        interval=seconds(constraint.budget.interval),
        count=_LEAST[0] if least.count is None else least.count,
        every=seconds(least.interval or _LEAST[1]),
    )


def sessions_of(backends: Iterable[Backend], reads: Reads) -> list[Persistence]:
    """What the policies of a rule's backends say about sessions, in the order of the backends, each policy once."""
    found = {}
    for backend in backends:
        policy = in_force(backend.kind, backend.namespace, backend.name, reads)
        wanted = None if policy is None else persistence_of(spec(policy).session_persistence)
        if policy is not None and wanted is not None:
            found[policy] = replace(wanted, policy=f"{policy.namespace}/{policy.name}")
    return list(found.values())


def _fault(item: Object) -> UnservableError | None:
    """What of a policy no cookie and no field can carry."""
    try:
        persistence_of(spec(item).session_persistence)
    except UnservableError as error:
        return error.under("spec", "sessionPersistence")
    return None


def judge(item: Object, reads: Reads) -> Judged:
    """Look at every target of a policy."""
    verdicts: dict[Target, Verdict | None] = {}
    told = []
    fault = _fault(item)
    if fault is not None:
        told.append(report(item, fault.place, f"Invalid: {fault}"))
    for index, ref in enumerate(spec(item).target_refs):
        target = (ref.group, ref.kind, item.namespace, ref.name)
        if fault is not None:
            verdicts[target] = Verdict("Invalid", str(fault))
            continue
        verdict = verdicts[target] = _judge_target(item, ref, reads)
        if verdict is not None:
            path: Path = ("spec", "targetRefs", index)
            told.append(report(item, path, f"{verdict.reason}: {verdict.message}"))
    return Judged(item, verdicts, tuple(told))


def _judge_target(item: Object, ref: Any, reads: Reads) -> Verdict | None:
    kind = BACKEND_KINDS.get((ref.group, ref.kind))
    if kind is None:
        named = f"{ref.group}/{ref.kind}" if ref.group else ref.kind
        return Verdict("Invalid", f"a target of kind {named} is not served; targets are Services and XBackends")
    target = f"{kind} {item.namespace}/{ref.name}"
    if reads.get(kind, item.namespace, ref.name) is None:
        return Verdict("TargetNotFound", f"{target} does not exist")
    winner = in_force(kind, item.namespace, ref.name, reads)
    if winner is None or winner is item:
        return None
    why = "is older" if age(winner)[0] < age(item)[0] else "comes first by name"
    return Verdict("Conflicted", f"{winner.title} is in force for {target}: it {why}")
