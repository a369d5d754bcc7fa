"""parentRefs -> the listeners that take a route, or why there is none.

Judged once for all routes that ask the same, so that a change of a listener costs what it changes for routes and not
the number of routes that stand there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gatewayd.api.problem import Path
from gatewayd.plan.attach import Attachment, Candidate, GatewayView, attach
from gatewayd.plan.conditions import Verdict
from gatewayd.plan.grants import GATEWAY_GROUP
from gatewayd.plan.protocols import CONTROLLER
from gatewayd.plan.reads import Reads

# Keys of dependencies on what routes see of Gateways: of one, and of which there are.
VIEW = "View"
VIEWS = "Views//"

_HINTS = {
    "NoMatchingParent": "use the sectionName and port of one of its listeners",
    "NotAllowedByListeners": "widen allowedRoutes of the listener, or move the route",
    "NoMatchingListenerHostname": "use a hostname that a listener covers",
}


class Asked(NamedTuple):
    """All that decides what becomes of a route's parentRefs, on the route's side."""

    candidate: Candidate
    refs: tuple[Any, ...]


class Parent(NamedTuple):
    """A parentRef that status tells about. `controller` signs it; `failure` is None when listeners took the route."""

    ref: Any
    controller: str
    failure: Verdict | None


class Concern(NamedTuple):
    """Something to tell about one parentRef; an error unless it is `mild`."""

    path: Path
    message: str
    hint: str
    mild: bool = False


class Answer(NamedTuple):
    """What becomes of parentRefs."""

    asked: Asked
    parents: tuple[Parent, ...]
    attachments: tuple[Attachment, ...]
    concerns: tuple[Concern, ...]


def judge(asked: Asked, views: Mapping[str, GatewayView], reads: Reads) -> Answer:
    """Follow all parentRefs. `views` has what routes see of each Gateway, by `namespace/name`."""
    draft = _Draft(asked.candidate, views, reads)
    for index, ref in enumerate(asked.refs):
        draft.follow(("spec", "parentRefs", index), ref)
    return Answer(asked, tuple(draft.parents), tuple(draft.attachments.values()), tuple(draft.concerns))


class _Draft:
    """An answer while it is made."""

    def __init__(self, candidate: Candidate, views: Mapping[str, GatewayView], reads: Reads) -> None:
        self.candidate = candidate
        self.views = views
        self.reads = reads
        self.parents: list[Parent] = []
        self.attachments: dict[tuple[str, str], Attachment] = {}
        self.concerns: list[Concern] = []

    def follow(self, path: Path, ref: Any) -> None:
        """One parentRef."""
        namespace = ref.namespace or self.candidate.namespace
        if (ref.group, ref.kind) != (GATEWAY_GROUP, "Gateway"):
            self._other(path, ref, namespace)
            return
        self.reads.note(VIEW, namespace, ref.name)
        view = self.views.get(f"{namespace}/{ref.name}")
        if view is None:
            self._missing(path, ref, namespace)
            return
        verdict = attach(self.candidate, ref, view, self.reads)
        controller = view.controller or CONTROLLER
        if isinstance(verdict, Verdict):
            self.concerns.append(Concern(path, f"{verdict.reason}: {verdict.message}", _HINTS[verdict.reason]))
            self.parents.append(Parent(ref, controller, verdict))
        else:
            self.parents.append(Parent(ref, controller, None))
            self.attachments |= {(one.gateway, one.listener): one for one in verdict}

    def _other(self, path: Path, ref: Any, namespace: str) -> None:
        """ListenerSet and Service are valid parents of the specification, but not served yet."""
        message = f"parents of kind {ref.kind} are not served yet"
        self.concerns.append(Concern(path, message, "refer to a Gateway", mild=True))
        if ref.kind == "ListenerSet" and self.reads.get("ListenerSet", namespace, ref.name) is not None:
            self.parents.append(Parent(ref, CONTROLLER, Verdict("NoMatchingParent", message)))

    def _missing(self, path: Path, ref: Any, namespace: str) -> None:
        if self.reads.get("Gateway", namespace, ref.name) is None:
            message = f"Gateway {namespace}/{ref.name} does not exist"
            self.concerns.append(Concern(path, message, self._near(ref.name)))

    def _near(self, name: str) -> str:
        self.reads.keys.add(VIEWS)
        known = sorted(key for key in self.views if key.endswith(f"/{name}")) or sorted(self.views)
        return f"known Gateways: {', '.join(known[:5])}" if known else "write a Gateway"
