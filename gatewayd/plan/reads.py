"""The objects as a piece of the plan sees them, with a note of everything it looked at.

A piece is compiled again only when something that it read has changed; since every look-up goes through here (misses
included), no dependency can be forgotten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import is_
from typing import Literal, get_args

from gatewayd.api.objects import Object, Objects
from gatewayd.plan.parts import metadata, spec
from gatewayd.plan.targets import BACKEND_KINDS

SERVICE_NAME = "kubernetes.io/service-name"
PLACE = "Place"
INDEXED = ("EndpointSlice", "ReferenceGrant", "BackendTLSPolicy", "XBackendTrafficPolicy")


def key_of(kind: str, namespace: str, name: str) -> str:
    """The name of one object (`Object.key`), or of one group, in a set of dependencies."""
    return f"{kind}/{namespace}/{name}"


def _services(item: Object) -> Iterable[str]:
    """The Service that an EndpointSlice belongs to."""
    return (metadata(item).labels.get(SERVICE_NAME, ""),)


def _whole_namespace(_item: Object) -> Iterable[str]:
    return ("*",)


def _backends(item: Object) -> Iterable[str]:
    """The backends that a policy is for, as `kind/name`."""
    refs = spec(item).target_refs
    return dict.fromkeys(f"{ref.kind}/{ref.name}" for ref in refs if (ref.group, ref.kind) in BACKEND_KINDS)


_GROUPS: Mapping[str, Callable[[Object], Iterable[str]]] = {
    "EndpointSlice": _services,
    "ReferenceGrant": _whole_namespace,
    "BackendTLSPolicy": _backends,
    "XBackendTrafficPolicy": _backends,
}

Group = tuple[Object, ...]
Kind = Literal["GatewayClass", "GatewayConfig", "Gateway", "ListenerSet", "Namespace", "Secret", "Service", "XBackend"]
TRACKED = get_args(Kind)


def same(old: tuple[Object, ...], new: tuple[Object, ...]) -> bool:
    """True when both hold the same instances in the same order."""
    return old is new or (len(old) == len(new) and all(map(is_, old, new)))


def _alike(old: Group, new: Group) -> bool:
    """True when they differ at most in the lines at which their members stand."""
    return len(old) == len(new) and all(one.resource is other.resource for one, other in zip(old, new, strict=True))


class Index:
    """Objects of one kind in groups: slices by Service, grants by namespace, policies by target."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.members: tuple[Object, ...] = ()
        self.groups: dict[str, Group] = {}

    def update(self, members: tuple[Object, ...]) -> set[str]:
        """Take in the objects of now; the keys of the groups that changed."""
        if same(self.members, members):
            return set()
        before, after = set(self.members), set(members)
        gathered: dict[str, set[Object]] = {}
        for item in before ^ after:
            for key in self._keys(item):
                group = gathered.setdefault(key, set(self.groups.get(key, ())))
                (group.add if item in after else group.discard)(item)
        # In order of name, whatever the order of files.
        groups = {key: tuple(sorted(found, key=lambda item: item.name)) for key, found in gathered.items()}
        changed = {key for key, group in groups.items() if not _alike(self.groups.get(key, ()), group)}
        self.groups |= groups
        for key in [key for key, group in groups.items() if not group]:
            del self.groups[key]
        self.members = members
        return changed

    def _keys(self, item: Object) -> Iterable[str]:
        return (key_of(self.kind, item.namespace, name) for name in _GROUPS[self.kind](item))


class World:
    """All objects of one plan, and what changed since the plan before."""

    def __init__(self) -> None:
        self.objects = Objects()
        self.known: dict[str, tuple[Object, ...]] = {}
        self.indexes = {kind: Index(kind) for kind in INDEXED}

    def update(self, objects: Objects) -> set[str]:
        """Take in `objects`; the keys of all single objects and groups that changed."""
        self.objects = objects
        changed: set[str] = set()
        for kind in TRACKED:
            members = objects.of(kind)
            old = self.known.get(kind, ())
            if not same(old, members):
                changed |= _difference(old, members)
                self.known[kind] = members
        for kind, index in self.indexes.items():
            changed |= index.update(objects.of(kind))
        return changed


def _difference(old: tuple[Object, ...], new: tuple[Object, ...]) -> set[str]:
    """The keys of what changed. Of objects that only stand in another line now just their places."""
    before, after = set(old), set(new)
    lost = {item.key: item.resource for item in before - after}
    came = {item.key: item.resource for item in after - before}
    keys = {key for key in lost.keys() | came.keys() if lost.get(key) is not came.get(key)}
    return keys | {f"{PLACE}/{key}" for key in lost.keys() | came.keys()}


class Reads:
    """A view of the world that records what was asked for."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.keys: set[str] = set()

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """One object, or None. Cluster-wide kinds have the namespace ""."""
        self.keys.add(key_of(kind, namespace, name))
        return self._world.objects.get(kind, namespace, name)

    def group(self, kind: str, namespace: str, name: str = "*") -> Group:
        """The members of one group of an indexed kind, in order of name."""
        key = key_of(kind, namespace, name)
        self.keys.add(key)
        return self._world.indexes[kind].groups.get(key, ())

    def place(self, item: Object) -> None:
        """Record that the lines of an object are told too, so that it matters where it stands."""
        self.keys.add(f"{PLACE}/{item.key}")

    def note(self, kind: str, namespace: str, name: str) -> None:
        """Record a dependency that is looked up elsewhere."""
        self.keys.add(key_of(kind, namespace, name))
