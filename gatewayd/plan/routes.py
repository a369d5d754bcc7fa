"""One route object -> RoutePlan, its status and its problems: what its rules alone decide, and then the whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem, dotted
from gatewayd.plan.attach import Attachment, Candidate
from gatewayd.plan.backends import Backend, Traffic
from gatewayd.plan.conditions import Status, Verdict, condition, judged, not_served
from gatewayd.plan.parents import Answer, Asked
from gatewayd.plan.parts import age, generation, metadata, spec
from gatewayd.plan.problems import report, warn
from gatewayd.plan.protocols import ONE_RULE, SERVED_ROUTES
from gatewayd.plan.reads import Reads
from gatewayd.plan.reuse import reuse
from gatewayd.plan.rules import RuleDraft
from gatewayd.plan.targets import Target, used
from gatewayd.routing.snapshot import RoutePlan

_TRAFFIC: Mapping[str, Traffic] = {"HTTPRoute": "http", "GRPCRoute": "grpc", "UDPRoute": "udp"}


class SessionCookie(NamedTuple):
    """A cookie for sessions whose name was chosen by somebody; `rule` is the index of its rule."""

    name: str
    path: str
    rule: int


class Compiled(NamedTuple):
    """What a route is whatever its parents say. `order` sorts routes by age, name and kind; `hopeless` says why no
    parent can accept it; `shared` are the conditions that are the same for every parent.
    """

    item: Object
    order: str
    asked: Asked
    plan: RoutePlan
    hopeless: Verdict | None
    shared: tuple[Status, ...]
    problems: tuple[Problem, ...]
    backends: tuple[Backend, ...]
    targets: tuple[Target, ...]  # every backend that it names
    cookies: tuple[SessionCookie, ...]


class Routed(NamedTuple):
    """A route with what became of its parentRefs. `gateways` are those that accepted it."""

    compiled: Compiled
    answer: Answer
    attachments: tuple[Attachment, ...]
    status: Status
    problems: tuple[Problem, ...]
    gateways: tuple[str, ...]

    @property
    def key(self) -> str:
        """The key of the object."""
        return self.compiled.plan.key

    @property
    def plan(self) -> RoutePlan | None:
        """What is served of it, if it stands anywhere."""
        return self.compiled.plan if self.attachments else None


class RouteDraft:
    """A route while it is compiled."""

    def __init__(self, item: Object, reads: Reads) -> None:
        self.item = item
        self.spec = spec(item)
        self.reads = reads
        self.generation = generation(item)
        self.problems: list[Problem] = []
        self.rules = [self._rule(rule, index) for index, rule in enumerate(self.spec.rules)]

    def compile(self) -> Compiled:
        """All of it."""
        item = self.item
        self._tell()
        candidate = Candidate(item.kind, item.namespace, tuple(getattr(self.spec, "hostnames", ())))
        return Compiled(
            item=item,
            order="\0".join((*age(item), item.kind)),
            asked=Asked(candidate, tuple(self.spec.parent_refs)),
            plan=self._plan(),
            hopeless=self._judge_rules(),
            shared=tuple(self._shared_conditions()),
            problems=tuple(self.problems),
            backends=tuple(dict.fromkeys(backend for rule in self._kept() for backend in rule.backends)),
            targets=tuple(dict.fromkeys(chain.from_iterable(used(rule, item.namespace) for rule in self.spec.rules))),
            cookies=tuple(self._cookies()),
        )

    def _rule(self, rule: Any, index: int) -> RuleDraft:
        item = self.item
        draft = RuleDraft(item.kind, item.namespace, _TRAFFIC.get(item.kind, "tcp"), self.reads)
        return draft.compile(rule, index)

    def _plan(self) -> RoutePlan:
        item = self.item
        return RoutePlan(
            key=item.key,
            kind=item.kind,
            namespace=item.namespace,
            name=item.name,
            created=metadata(item).creation_timestamp,
            rules=tuple(rule.plan for rule in self._kept() if rule.plan is not None),
        )

    def _kept(self) -> list[RuleDraft]:
        """The rules that are served."""
        return [rule for rule in self.rules[: 1 if self.item.kind in ONE_RULE else None] if rule.plan is not None]

    def _cookies(self) -> Iterator[SessionCookie]:
        for rule in self._kept():
            sessions = rule.plan.persistence if rule.plan is not None else None
            if rule.plan is not None and sessions is not None and sessions.kind == "cookie" and sessions.name:
                yield SessionCookie(sessions.name.decode(), sessions.path.decode(), rule.plan.index)

    def _judge_rules(self) -> Verdict | None:
        """Why the route cannot be accepted at all: no rule of it is left."""
        if not self.rules or any(rule.dropped is None for rule in self.rules):
            return None
        return Verdict("UnsupportedValue", "; ".join(self._dropped()))

    def _dropped(self) -> list[str]:
        found = [rule.dropped for rule in self.rules if rule.dropped is not None]
        return [f"{dotted(drop.path)}: {drop.message}" for drop in found]

    def _closed(self) -> list[str]:
        """Rules that keep their requests and serve none, for they are not written as they must be."""
        closed = [rule for rule in self.rules if rule.plan and rule.plan.refusal]
        found = [one for rule in closed for one in rule.findings.not_served if one.invalid]
        return [f"{dotted(one.path)}: {one.message}" for one in found]

    def _shared_conditions(self) -> list[Status]:
        """Conditions that are the same for every parent."""
        unresolved = [finding for rule in self.rules for finding in rule.findings.unresolved]
        verdict = None
        if unresolved and (first := unresolved[0].verdict) is not None:
            verdict = Verdict(first.reason, "; ".join(f"{dotted(one.path)}: {one.message}" for one in unresolved))
        shared = [judged("ResolvedRefs", verdict, self.generation)]
        dropped = self._dropped() + self._closed()
        partly = bool(dropped) and any(rule.plan is not None and not rule.plan.refusal for rule in self.rules)
        if partly:
            message = "Dropped Rule: " + "; ".join(dropped)
            shared.append(condition("PartiallyInvalid", True, "UnsupportedValue", message, self.generation))
        findings = [finding for rule in self.rules for finding in rule.findings.not_served]
        fields = tuple(dict.fromkeys(dotted(finding.path) for finding in findings if not finding.invalid))
        if getattr(self.spec, "use_default_gateways", None) == "All":
            fields = ("spec.useDefaultGateways", *fields)
        wrong = [f"{dotted(finding.path)}: {finding.message}" for finding in findings if finding.invalid]
        if partly:
            wrong = [one for one in wrong if one not in dropped]
        if fields or wrong:
            shared.append(not_served(fields, self.generation, tuple(wrong)))
        return shared

    def _tell(self) -> None:
        """Problems of the rules, and of a route that is attached to nothing."""
        item = self.item
        if getattr(self.spec, "use_default_gateways", None) == "All":
            message = "is not served yet: the route attaches only to its parentRefs"
            self.problems.append(warn(item, ("spec", "useDefaultGateways"), message))
        if not self.spec.parent_refs:
            self.problems.append(report(item, ("spec",), "has no parentRefs: attached to nothing", "name a Gateway"))
        if item.kind not in SERVED_ROUTES:
            self.problems.append(warn(item, (), f"{item.kind} is not served yet"))
            return
        for rule in self.rules:
            if rule.dropped is not None:
                self.problems.append(report(item, rule.dropped.path, f"rule dropped: {rule.dropped.message}"))
            unresolved = {finding.path for finding in rule.findings.unresolved}
            self.problems += [report(item, one.path, one.message, one.hint) for one in rule.findings.unresolved]
            self.problems += [warn(item, one.path, one.message, one.hint) for one in rule.findings.noted]
            self.problems += [
                report(item, one.path, one.message, one.hint, "error" if one.closed else "warning")
                for one in rule.findings.not_served
                if one.path not in unresolved
            ]


def combine(compiled: Compiled, answer: Answer, before: Routed | None) -> Routed:
    """The route. Parts that say the same as those of `before`, the route as it was, are the same instances."""
    attachments = () if compiled.hopeless is not None else answer.attachments
    gateways = _gateways(attachments)
    if before is None:
        return Routed(compiled, answer, attachments, _status(compiled, answer), _problems(compiled, answer), gateways)
    same = before.compiled is compiled
    if same and before.answer.parents == answer.parents:
        status = before.status
    else:
        status = reuse(before.status, _status(compiled, answer))
    told = same and before.answer.concerns == answer.concerns
    return Routed(
        compiled=_renewed(before.compiled, compiled),
        answer=answer,
        attachments=reuse(before.attachments, attachments),
        status=status,
        problems=before.problems if told else _problems(compiled, answer),
        gateways=gateways,
    )


def _gateways(attachments: Iterable[Attachment]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([one.gateway for one in attachments]))


class Move(NamedTuple):
    """Routes that ask the same, of which nothing but their attachments is another. `routes` has their keys by order."""

    before: tuple[Attachment, ...]
    after: tuple[Attachment, ...]
    routes: dict[str, str]


class Turn(NamedTuple):
    """Another answer to what many routes ask, compared with the one before once for all of them: whether `parents` and
    `concerns` are as they were.
    """

    answer: Answer
    attachments: tuple[Attachment, ...]
    gateways: tuple[str, ...]
    stays: bool  # at the same Gateways
    parents: bool
    concerns: bool


def turn(old: Answer, new: Answer) -> Turn:
    """From the old answer to the new one."""
    attachments = reuse(old.attachments, new.attachments)
    gateways = _gateways(attachments)
    stays = gateways == _gateways(old.attachments)
    return Turn(new, attachments, gateways, stays, old.parents == new.parents, old.concerns == new.concerns)


def answered(routed: Routed, to: Turn) -> Routed:
    """As `combine`, for a route of which nothing else changed."""
    compiled, answer = routed.compiled, to.answer
    status = routed.status if to.parents else reuse(routed.status, _status(compiled, answer))
    problems = routed.problems if to.concerns else _problems(compiled, answer)
    if compiled.hopeless is not None:
        return Routed(compiled, answer, (), status, problems, ())
    return Routed(compiled, answer, to.attachments, status, problems, to.gateways)


def _renewed(old: Compiled, new: Compiled) -> Compiled:
    """The new one with those parts of the old that say the same."""
    if old is new or old.plan is new.plan:
        return new
    return new._replace(plan=reuse(old.plan, new.plan), backends=reuse(old.backends, new.backends))


def _status(compiled: Compiled, answer: Answer) -> Status:
    """status.parents, with each parentRef as written and its group and kind filled in."""
    number = generation(compiled.item)
    return {
        "parents": [
            {
                "parentRef": parent_ref(one.ref),
                "controllerName": one.controller,
                "conditions": [judged("Accepted", one.failure or compiled.hopeless, number), *compiled.shared],
            }
            for one in answer.parents
        ]
    }


def _problems(compiled: Compiled, answer: Answer) -> tuple[Problem, ...]:
    item = compiled.item
    told = [
        report(item, one.path, one.message, one.hint, "warning" if one.mild else "error") for one in answer.concerns
    ]
    return (*compiled.problems, *told)


def parent_ref(ref: Any) -> Status:
    """A parentRef as status shows it: group and kind always, the rest as written."""
    written: Status = {"group": ref.group, "kind": ref.kind, "name": ref.name}
    optional = {"namespace": ref.namespace, "sectionName": ref.section_name, "port": ref.port}
    return written | {name: value for name, value in optional.items() if value is not None}
