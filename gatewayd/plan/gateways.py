"""One Gateway -> its class, listeners, settings and references, as far as it alone decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatewayd.api.objects import Object
from gatewayd.api.problem import Problem
from gatewayd.plan import certificates, classes, listeners, settings
from gatewayd.plan.addresses import Placement
from gatewayd.plan.attach import GatewayView
from gatewayd.plan.certificates import Store
from gatewayd.plan.conditions import Status, Verdict, condition, judged, not_served
from gatewayd.plan.grants import GATEWAY_GROUP
from gatewayd.plan.listeners import ListenerDraft
from gatewayd.plan.parts import generation, spec
from gatewayd.plan.problems import report, warn
from gatewayd.plan.reads import Reads
from gatewayd.routing.snapshot import Settings


class GatewayDraft:
    """A Gateway of a class that is served. Nothing of it changes after it was made."""

    def __init__(self, item: Object, gateway_class: classes.Class, reads: Reads, store: Store) -> None:
        self.item = item
        self.gateway_class = gateway_class
        self.spec = spec(item)
        self.key = f"{item.namespace}/{item.name}"
        self.listeners, self.problems = listeners.judge(item, reads, store)
        self.client_certificate = self._client_certificate(reads, store)
        self.parameters = self._parameters(reads)
        self.settings_key, self.settings = self._settings()
        self.not_served = self._not_served()
        self.view = self._view()

    def _view(self) -> GatewayView:
        """What routes see of it."""
        item = self.item
        views = tuple(one.view() for one in self.listeners)
        return GatewayView(item.namespace, item.name, self.gateway_class.controller, views)

    @property
    def refused(self) -> Verdict | None:
        """Why nothing of it is served: parameters that cannot be found (its own or those of its class)."""
        failure = self.gateway_class.parameters.failure
        if failure is not None:
            return Verdict(failure.reason, f"GatewayClass {self.gateway_class.item.name}: {failure.message}")
        return self.parameters.failure

    def _parameters(self, reads: Reads) -> settings.Parameters:
        infrastructure = self.spec.infrastructure
        ref = infrastructure.parameters_ref if infrastructure is not None else None
        found = settings.find(ref, self.item.namespace, self.gateway_class.ours, reads)
        path = ("spec", "infrastructure", "parametersRef")
        if found.failure is not None:
            self.problems.append(report(self.item, path, found.failure.message))
        if found.foreign:
            self.problems.append(warn(self.item, path, "parameters of another controller are not read"))
        return found

    def _settings(self) -> tuple[str, Settings]:
        return settings.combine(self.gateway_class.parameters, self.parameters)

    def _client_certificate(self, reads: Reads, store: Store) -> Verdict | None:
        """tls.backend.clientCertificateRef, which belongs to no listener."""
        backend = self.spec.tls.backend if self.spec.tls is not None else None
        if backend is None or backend.client_certificate_ref is None:
            return None
        item = self.item
        found = certificates.find(
            backend.client_certificate_ref, item.kind, item.namespace, reads, store, "InvalidClientCertificateRef"
        )
        if found.failure is not None:
            path = ("spec", "tls", "backend", "clientCertificateRef")
            self.problems.append(report(item, path, found.failure.message, found.hint))
        return found.failure

    def _not_served(self) -> tuple[str, ...]:
        """Fields that are valid and have no effect yet; each is reported too."""
        tls, allowed = self.spec.tls, self.spec.allowed_listeners
        fields = [
            (("spec", "tls", "backend"), tls is not None and tls.backend is not None),
            (("spec", "tls", "frontend"), tls is not None and tls.frontend is not None and _asks(tls.frontend)),
            (("spec", "allowedListeners"), allowed is not None and allowed.namespaces.from_ != "None"),
            (("spec", "defaultScope"), self.spec.default_scope == "All"),
        ]
        found = [path for path, present in fields if present]
        self.problems += [warn(self.item, path, "is not served yet") for path in found]
        return tuple(".".join(path) for path in found)


def _asks(frontend: Any) -> bool:
    everywhere = (frontend.default, *(one.tls for one in frontend.per_port))
    return any(one.validation is not None for one in everywhere)


def compile_gateway(item: Object, wanted: str | None, reads: Reads, store: Store) -> GatewayDraft | Problem | None:
    """The draft; a problem when its class does not exist; None when the class belongs to another controller."""
    name: str = spec(item).gateway_class_name
    if reads.get("GatewayClass", "", name) is None:
        hint = (
            f"write: {{apiVersion: {GATEWAY_GROUP}/v1, kind: GatewayClass, metadata: {{name: {name}}}, "
            "spec: {controllerName: gatewayd.dev/gateway-controller}}"
        )
        return report(item, ("spec", "gatewayClassName"), f"GatewayClass {name} does not exist: not served", hint)
    found = classes.find(name, wanted, reads)
    return None if found is None else GatewayDraft(item, found, reads, store)


class Outcome:
    """A Gateway after all Gateways were seen: its addresses, and the sockets that it did not get.

    Nothing of it changes after it was made, so that it can be kept while its parts stay the same.
    """

    def __init__(self, draft: GatewayDraft, placement: Placement, clashes: Mapping[str, Verdict]) -> None:
        self.draft = draft
        self.placement = placement
        self.clashes = clashes
        self.accepted = self._judge()
        self.served = tuple(one for one in draft.listeners if self.listener_programmed(one) is None)
        self._status: tuple[Mapping[str, int], Status] | None = None

    def same(self, draft: GatewayDraft, placement: Placement, clashes: Mapping[str, Verdict]) -> bool:
        """True when it would be made from the same parts again."""
        return self.draft is draft and (self.placement, self.clashes) == (placement, clashes)

    def _judge(self) -> Verdict | None:
        """Why the whole Gateway is refused, or None."""
        failure = self.draft.refused or self.placement.refused
        if failure is None and all(self.listener_accepted(one) is not None for one in self.draft.listeners):
            return Verdict("ListenersNotValid", "no listener is valid")
        return failure

    def listener_accepted(self, listener: ListenerDraft) -> Verdict | None:
        """Why a listener is refused, or None."""
        return listener.accepted or self.clashes.get(listener.spec.name)

    def listener_programmed(self, listener: ListenerDraft) -> Verdict | None:
        """Why a listener is not served, or None."""
        if listener.programmed is not None:
            return listener.programmed
        reason = self.clashes.get(listener.spec.name) or self.draft.refused or self.placement.refused
        if reason is None and not self.placement.binds:
            reason = self.placement.failed
        return Verdict("Invalid", reason.message) if reason is not None else None

    def status(self, attached: Mapping[str, int]) -> Status:
        """The status of the Gateway; `attached` counts routes by listener."""
        if self._status is None or self._status[0] != attached:
            self._status = (attached, self._describe(attached))
        return self._status[1]

    def _describe(self, attached: Mapping[str, int]) -> Status:
        conditions = [self._accepted(), self._programmed(), self._resolved()]
        if self.draft.not_served:
            conditions.append(not_served(self.draft.not_served, generation(self.draft.item)))
        return {
            "addresses": self.placement.status() if self.accepted is None else [],
            "conditions": conditions,
            "listeners": [self._listener(one, attached.get(one.spec.name, 0)) for one in self.draft.listeners],
        }

    def _accepted(self) -> Status:
        number, failure = generation(self.draft.item), self.accepted
        listeners = [(one.spec.name, one.programmed) for one in self.draft.listeners]
        bad = [name for name, fault in listeners if fault is not None or name in self.clashes]
        if failure is None and bad:
            return condition("Accepted", True, "ListenersNotValid", f"not served: {', '.join(bad)}", number)
        return judged("Accepted", failure, number)

    def _programmed(self) -> Status:
        failure = self.accepted
        verdict = Verdict("Invalid", failure.message) if failure is not None else self.placement.failed
        return judged("Programmed", verdict, generation(self.draft.item))

    def _resolved(self) -> Status:
        verdict = self.draft.client_certificate
        if verdict is None:
            bad = [one.spec.name for one in self.draft.listeners if one.resolved is not None]
            verdict = Verdict("ListenersNotResolved", f"listeners: {', '.join(bad)}") if bad else None
        return judged("ResolvedRefs", verdict, generation(self.draft.item))

    def _listener(self, listener: ListenerDraft, attached: int) -> Status:
        number = generation(self.draft.item)
        conditions = [
            judged("Accepted", self.listener_accepted(listener), number),
            judged("Programmed", self.listener_programmed(listener), number),
            judged("ResolvedRefs", listener.resolved, number),
        ]
        if listener.conflict is not None:
            conditions.append(condition("Conflicted", True, *listener.conflict, number))
        if listener.overlaps is not None:
            conditions.append(condition("OverlappingTLSConfig", True, *listener.overlaps, number))
        return {
            "name": listener.spec.name,
            "supportedKinds": [{"group": GATEWAY_GROUP, "kind": kind} for kind in listener.kinds],
            "attachedRoutes": attached,
            "conditions": conditions,
        }
