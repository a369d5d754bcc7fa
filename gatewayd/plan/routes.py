"""One route object -> RoutePlan, its attachments, its status and its problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, NamedTuple

from gatewayd.api.objects import Object
from gatewayd.api.problem import Path, Problem, dotted
from gatewayd.plan.attach import Attachment, Candidate, GatewayView, attach
from gatewayd.plan.backends import Backend, Traffic
from gatewayd.plan.conditions import Status, Verdict, condition, judged, not_served
from gatewayd.plan.grants import GATEWAY_GROUP
from gatewayd.plan.parts import age, generation, metadata, spec
from gatewayd.plan.problems import report, warn
from gatewayd.plan.protocols import CONTROLLER, SERVED_ROUTES
from gatewayd.plan.reads import Reads
from gatewayd.plan.rules import RuleDraft
from gatewayd.plan.targets import Target, used
from gatewayd.routing.snapshot import RoutePlan

# Keys of dependencies on what routes see of Gateways: of one, and of which there are.
VIEW = "View"
VIEWS = "Views//"

# How many rules of a route are served; a TCPRoute of version v1alpha2 may have more than one, which mean nothing.
_RULES: Mapping[str, int] = {"TCPRoute": 1}
_TRAFFIC: Mapping[str, Traffic] = {"HTTPRoute": "http", "GRPCRoute": "grpc", "UDPRoute": "udp"}


class SessionCookie(NamedTuple):
    """A cookie for sessions whose name was chosen by somebody; `rule` is the index of its rule."""

    name: str
    path: str
    rule: int


class Routed(NamedTuple):
    """A compiled route. `order` sorts routes by age and name; `gateways` are those that accepted it."""

    item: Object
    order: tuple[str, str, str]
    plan: RoutePlan | None
    attachments: tuple[Attachment, ...]
    status: Status
    problems: tuple[Problem, ...]
    backends: tuple[Backend, ...]
    targets: tuple[Target, ...]  # every backend that it names
    gateways: tuple[str, ...]
    cookies: tuple[SessionCookie, ...]


class RouteDraft:
    """A route while it is compiled."""

    def __init__(self, item: Object, views: Mapping[str, GatewayView], reads: Reads) -> None:
        self.item = item
        self.spec = spec(item)
        self.views = views
        self.reads = reads
        self.generation = generation(item)
        self.problems: list[Problem] = []
        self.rules = [self._rule(rule, index) for index, rule in enumerate(self.spec.rules)]

    def compile(self) -> Routed:
        """All of it."""
        item = self.item
        hopeless = self._judge_rules()
        shared = self._shared_conditions()
        parents: list[Status] = []
        attachments: dict[tuple[str, str], Attachment] = {}
        for index, ref in enumerate(self.spec.parent_refs):
            verdict = self._parent(index, ref, hopeless)
            if verdict is None:
                continue
            parents.append(self._status_of(ref, verdict, shared))
            if not isinstance(verdict, Verdict):
                attachments |= {(one.gateway, one.listener): one for one in verdict}
        self._tell()
        return Routed(
            item=item,
            order=age(item),
            plan=self._plan() if attachments else None,
            attachments=tuple(attachments.values()),
            status={"parents": parents},
            problems=tuple(self.problems),
            backends=tuple(dict.fromkeys(backend for rule in self._kept() for backend in rule.backends)),
            targets=tuple(dict.fromkeys(chain.from_iterable(used(rule, item.namespace) for rule in self.spec.rules))),
            gateways=tuple(dict.fromkeys(one.gateway for one in attachments.values())),
            cookies=tuple(self._cookies()),
        )

    def _rule(self, rule: Any, index: int) -> RuleDraft:
        item = self.item
        source = f"{item.file}:{item.line_of(('spec', 'rules', index))}"
        draft = RuleDraft(item.kind, item.namespace, _TRAFFIC.get(item.kind, "tcp"), self.reads)
        return draft.compile(rule, index, source)

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
        return [rule for rule in self.rules[: _RULES.get(self.item.kind)] if rule.plan is not None]

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

    def _shared_conditions(self) -> list[Status]:
        """Conditions that are the same for every parent."""
        unresolved = [finding for rule in self.rules for finding in rule.unresolved]
        verdict = None
        if unresolved and (first := unresolved[0].verdict) is not None:
            verdict = Verdict(first.reason, "; ".join(f"{dotted(one.path)}: {one.message}" for one in unresolved))
        shared = [judged("ResolvedRefs", verdict, self.generation)]
        dropped = self._dropped()
        if dropped and len(dropped) < len(self.rules):
            message = "Dropped Rule: " + "; ".join(dropped)
            shared.append(condition("PartiallyInvalid", True, "UnsupportedValue", message, self.generation))
        fields = tuple(dict.fromkeys(dotted(finding.path) for rule in self.rules for finding in rule.not_served))
        if getattr(self.spec, "use_default_gateways", None) == "All":
            fields = ("spec.useDefaultGateways", *fields)
        if fields:
            shared.append(not_served(fields, self.generation))
        return shared

    def _parent(self, index: int, ref: Any, hopeless: Verdict | None) -> tuple[Attachment, ...] | Verdict | None:
        """What parentRef number `index` leads to; None when it is no Gateway of ours."""
        path: Path = ("spec", "parentRefs", index)
        namespace = ref.namespace or self.item.namespace
        if (ref.group, ref.kind) != (GATEWAY_GROUP, "Gateway"):
            return self._other_parent(path, ref, namespace)
        self.reads.note(VIEW, namespace, ref.name)
        view = self.views.get(f"{namespace}/{ref.name}")
        if view is None:
            self._missing(path, ref, namespace)
            return None
        candidate = Candidate(self.item.kind, self.item.namespace, tuple(getattr(self.spec, "hostnames", ())))
        verdict = attach(candidate, ref, view, self.reads)
        if isinstance(verdict, Verdict):
            message = f"{verdict.reason}: {verdict.message}"
            self.problems.append(report(self.item, path, message, _HINTS[verdict.reason]))
            return verdict
        return hopeless or verdict

    def _other_parent(self, path: Path, ref: Any, namespace: str) -> Verdict | None:
        """ListenerSet and Service are valid parents of the specification, but not served yet."""
        message = f"parents of kind {ref.kind} are not served yet"
        self.problems.append(warn(self.item, path, message, "refer to a Gateway"))
        found = self.reads.get("ListenerSet", namespace, ref.name) if ref.kind == "ListenerSet" else None
        return Verdict("NoMatchingParent", message) if found is not None else None

    def _missing(self, path: Path, ref: Any, namespace: str) -> None:
        found = self.reads.get("Gateway", namespace, ref.name)
        if found is None:
            message = f"Gateway {namespace}/{ref.name} does not exist"
            self.problems.append(report(self.item, path, message, self._near(ref.name)))

    def _near(self, name: str) -> str:
        self.reads.keys.add(VIEWS)
        known = sorted(key for key in self.views if key.endswith(f"/{name}")) or sorted(self.views)
        return f"known Gateways: {', '.join(known[:5])}" if known else "write a Gateway"

    def _status_of(self, ref: Any, verdict: tuple[Attachment, ...] | Verdict, shared: list[Status]) -> Status:
        """One entry of status.parents, with the parentRef as written and its group and kind filled in."""
        failure = verdict if isinstance(verdict, Verdict) else None
        view = self.views.get(f"{ref.namespace or self.item.namespace}/{ref.name}")
        return {
            "parentRef": parent_ref(ref),
            "controllerName": view.controller if view is not None else CONTROLLER,
            "conditions": [judged("Accepted", failure, self.generation), *shared],
        }

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
            unresolved = {finding.path for finding in rule.unresolved}
            self.problems += [report(item, one.path, one.message, one.hint) for one in rule.unresolved]
            self.problems += [warn(item, one.path, one.message, one.hint) for one in rule.noted]
            self.problems += [
                report(item, one.path, one.message, one.hint, "error" if one.closed else "warning")
                for one in rule.not_served
                if one.path not in unresolved
            ]


_HINTS = {
    "NoMatchingParent": "use the sectionName and port of one of its listeners",
    "NotAllowedByListeners": "widen allowedRoutes of the listener, or move the route",
    "NoMatchingListenerHostname": "use a hostname that a listener covers",
}


def parent_ref(ref: Any) -> Status:
    """A parentRef as status shows it: group and kind always, the rest as written."""
    written: Status = {"group": ref.group, "kind": ref.kind, "name": ref.name}
    optional = {"namespace": ref.namespace, "sectionName": ref.section_name, "port": ref.port}
    return written | {name: value for name, value in optional.items() if value is not None}
