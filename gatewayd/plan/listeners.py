"""The listeners of one Gateway judged one by one, and against each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

from gatewayd.api.objects import Object
from gatewayd.api.problem import Path, Problem
from gatewayd.plan import certificates
from gatewayd.plan.attach import ListenerView
from gatewayd.plan.certificates import Found, Store
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.grants import GATEWAY_GROUP
from gatewayd.plan.hostnames import normal, overlap
from gatewayd.plan.parts import spec
from gatewayd.plan.problems import report, warn
from gatewayd.plan.protocols import COMING_PROTOCOLS, PASSTHROUGH, PROTOCOLS, Protocol
from gatewayd.plan.reads import Reads
from gatewayd.routing.snapshot import CertificatePlan


class ListenerDraft:
    """One listener while it is judged. A verdict of None means that nothing failed."""

    def __init__(self, spec: Any, index: int) -> None:
        self.spec = spec
        self.path: Path = ("spec", "listeners", index)
        self.hostname = normal(spec.hostname)
        self.passthrough = spec.protocol == "TLS" and spec.tls is not None and spec.tls.mode == "Passthrough"
        self.protocol: Protocol | None = PASSTHROUGH if self.passthrough else PROTOCOLS.get(spec.protocol)
        self.kinds: tuple[str, ...] = ()
        self.accepted: Verdict | None = None
        self.resolved: Verdict | None = None
        self.conflict: Verdict | None = None
        self.overlaps: Verdict | None = None
        self.found: list[Found] = []

    @property
    def certificates(self) -> list[CertificatePlan]:
        """The certificates that can be served."""
        return [one.plan for one in self.found if one.plan is not None]

    @property
    def family(self) -> str:
        """What its port must speak; "" where its own protocol is not served."""
        return self.protocol.family if self.protocol is not None else ""

    @property
    def terminates(self) -> bool:
        """Whether it decrypts, and so needs a certificate."""
        return self.family == "tls" and not self.passthrough

    @property
    def programmed(self) -> Verdict | None:
        """Why it cannot be served, as far as the Gateway alone decides; the socket may still be refused."""
        if self.conflict is not None:
            return self.conflict
        if self.accepted is not None:
            return Verdict("Invalid", self.accepted.message)
        if not self.kinds or (self.terminates and not self.found):
            return Verdict("Invalid", self.resolved.message if self.resolved else "no kind of route may attach")
        return None

    def view(self) -> ListenerView:
        """What routes see. A listener that is not served takes routes all the same (they are counted)."""
        routes = self.spec.allowed_routes
        return ListenerView(self.spec.name, self.spec.port, self.hostname, self.kinds, routes.namespaces)


def judge(gateway: Object, reads: Reads, store: Store) -> tuple[list[ListenerDraft], list[Problem]]:
    """All listeners of a Gateway. A verdict on one leaves its neighbours alone, unless they contradict each other."""
    drafts = [ListenerDraft(one, index) for index, one in enumerate(spec(gateway).listeners)]
    problems: list[Problem] = []
    for draft in drafts:
        for step in _STEPS:
            problems += step(draft, gateway, reads, store)
    problems += _conflicts(drafts, gateway)
    return drafts, problems


def _judge_protocol(draft: ListenerDraft, gateway: Object, _reads: Reads, _store: Store) -> Iterator[Problem]:
    if draft.protocol is not None:
        return
    name = draft.spec.protocol
    message = f"protocol {name} is {'not served yet' if name in COMING_PROTOCOLS else 'unknown'}"
    draft.accepted = Verdict("UnsupportedProtocol", message)
    yield report(gateway, (*draft.path, "protocol"), message, f"use one of {', '.join(PROTOCOLS)}")


def _judge_kinds(draft: ListenerDraft, gateway: Object, _reads: Reads, _store: Store) -> Iterator[Problem]:
    """Kinds as written that are served on this protocol; the protocol's own when none are written."""
    if draft.protocol is None:
        return
    written = draft.spec.allowed_routes.kinds
    natural = draft.protocol.kinds
    if not written:
        draft.kinds = natural
        return
    known = [one.kind for one in written if one.kind in natural and one.group == GATEWAY_GROUP]
    unknown = [one.kind for one in written if one.kind not in known]
    draft.kinds = tuple(dict.fromkeys(known))
    if unknown:
        message = f"route kinds not served on {draft.spec.protocol} listeners: {', '.join(unknown)}"
        draft.resolved = Verdict("InvalidRouteKinds", message)
        yield report(gateway, (*draft.path, "allowedRoutes", "kinds"), message, f"use {', '.join(natural)}")


def _judge_certificates(draft: ListenerDraft, gateway: Object, reads: Reads, store: Store) -> Iterator[Problem]:
    """Every certificateRef; those that are good are served even when another one is not."""
    tls = draft.spec.tls
    if draft.passthrough and tls.certificate_refs:
        yield warn(gateway, (*draft.path, "tls", "certificateRefs"), "is not used in mode Passthrough")
    if not draft.terminates:
        return
    if tls is None or not tls.certificate_refs:
        draft.resolved = draft.resolved or Verdict("InvalidCertificateRef", "the listener names no certificate")
        yield report(gateway, (*draft.path, "tls"), "names no certificate", "write certificateRefs")
        return
    for index, ref in enumerate(tls.certificate_refs):
        path = (*draft.path, "tls", "certificateRefs", index)
        found = certificates.find(ref, gateway.kind, gateway.namespace, reads, store)
        if found.failure is not None:
            draft.resolved = draft.resolved or found.failure
            yield report(gateway, path, found.failure.message, found.hint)
        else:
            draft.found.append(found)
            yield from _judge_names(draft, gateway, path, found)
    if tls.options:
        yield warn(gateway, (*draft.path, "tls", "options"), "options are not known and not used")


def _judge_names(draft: ListenerDraft, gateway: Object, path: Path, found: Found) -> Iterator[Problem]:
    names = found.plan.names if found.plan is not None else ()
    hosts = [name.decode("ascii", "replace") for name in names]
    if draft.hostname and not any(overlap(draft.hostname, name) for name in hosts):
        listed = ", ".join(hosts[:5]) or "none"
        yield warn(gateway, path, f"the certificate is not for {draft.hostname}; its names are {listed}")


def _judge_client_validation(draft: ListenerDraft, gateway: Object, _reads: Reads, _store: Store) -> Iterator[Problem]:
    """Client certificates are not asked for yet; a listener that must ask for them fails closed (GEP-91)."""
    tls = spec(gateway).tls
    if not draft.terminates or tls is None or tls.frontend is None:
        return
    ports = {one.port: one.tls for one in tls.frontend.per_port}
    if ports.get(draft.spec.port, tls.frontend.default).validation is None:
        return
    if draft.spec.protocol != "HTTPS":
        message = "spec.tls.frontend is for HTTPS listeners only: clients of this one are asked for no certificate"
        yield warn(gateway, draft.path, message)
        return
    message = "client certificates (spec.tls.frontend) are not served yet: refused, not served without them"
    draft.accepted = Verdict("UnsupportedValue", message)
    yield report(gateway, ("spec", "tls", "frontend"), f"listener {draft.spec.name}: {message}")


_Step = Callable[[ListenerDraft, Object, Reads, Store], Iterator[Problem]]
_STEPS: tuple[_Step, ...] = (_judge_protocol, _judge_kinds, _judge_certificates, _judge_client_validation)


def _conflicts(drafts: list[ListenerDraft], gateway: Object) -> Iterator[Problem]:
    """Listeners of one port that cannot be told apart: all of them lose (Gateway.spec.listeners)."""
    for first, second in combinations([one for one in drafts if one.protocol is not None], 2):
        if first.spec.port != second.spec.port:
            continue
        verdict = _conflict(first, second)
        if verdict is not None:
            first.conflict = first.conflict or verdict
            second.conflict = second.conflict or verdict
            first.accepted, second.accepted = first.accepted or verdict, second.accepted or verdict
            yield report(gateway, second.path, verdict.message, "give one of them another port or hostname")
        elif first.family == "tls" and (both := overlap(first.hostname, second.hostname)) is not None:
            message = f"listeners {first.spec.name} and {second.spec.name} both cover {both or 'any hostname'}"
            first.overlaps = first.overlaps or Verdict("OverlappingHostnames", message)
            second.overlaps = second.overlaps or Verdict("OverlappingHostnames", message)


def _conflict(first: ListenerDraft, second: ListenerDraft) -> Verdict | None:
    names = f"listeners {first.spec.name} and {second.spec.name} share port {first.spec.port}"
    protocols = f"protocols {first.spec.protocol} and {second.spec.protocol}"
    if first.family != second.family:
        return Verdict("ProtocolConflict", f"{names} with {protocols}")
    if first.hostname != second.hostname:
        return None
    shared = f"hostname {first.hostname or '(any)'}"
    if first.spec.protocol != second.spec.protocol:
        return Verdict("ProtocolConflict", f"{names} and {shared} with {protocols}")
    return Verdict("HostnameConflict", f"{names} and {shared}")
