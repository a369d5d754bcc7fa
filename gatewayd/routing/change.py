"""The way from one snapshot to the next: what the supervisor sends to its workers, and what they make of it.

Records that did not change are not sent again. `encode` writes a Change as the bytes of one message, `decode_change`
reads them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gatewayd.routing.snapshot import BackendPlan, CertificatePlan, PortPlan, RoutePlan, Settings, Snapshot

SECTIONS = ("ports", "routes", "backends", "certificates", "settings")


class Change(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The way from generation `base` to `generation`: per section what to put, and which keys to drop."""

    base: int
    generation: int
    ports: dict[str, PortPlan] = {}
    routes: dict[str, RoutePlan] = {}
    backends: dict[str, BackendPlan] = {}
    certificates: dict[str, CertificatePlan] = {}
    settings: dict[str, Settings] = {}
    dropped: dict[str, tuple[str, ...]] = {}


def is_empty(change: Change) -> bool:
    """Whether nothing but the generation differs."""
    return not change.dropped and not any(getattr(change, section) for section in SECTIONS)


def difference(old: Snapshot, new: Snapshot) -> Change:
    """What turns `old` into `new`. Unchanged records are shared between plans, so identity is tried first."""
    parts: dict[str, Any] = {}
    dropped = {}
    for section in SECTIONS:
        before, after = getattr(old, section), getattr(new, section)
        parts[section] = {
            key: value for key, value in after.items() if (known := before.get(key)) is not value and known != value
        }
        gone = tuple(key for key in before if key not in after)
        if gone:
            dropped[section] = gone
    return Change(base=old.generation, generation=new.generation, dropped=dropped, **parts)


def apply(old: Snapshot, change: Change) -> Snapshot:
    """The snapshot after `change`; ValueError when it was made for another generation than `old`."""
    if change.base != old.generation:
        raise ValueError(f"change from generation {change.base} does not fit generation {old.generation}")
    parts: dict[str, Any] = {}
    for section in SECTIONS:
        merged = {**getattr(old, section), **getattr(change, section)}
        for key in change.dropped.get(section, ()):
            merged.pop(key, None)
        parts[section] = merged
    return Snapshot(generation=change.generation, **parts)


encode = msgspec.msgpack.Encoder().encode
decode_change = msgspec.msgpack.Decoder(Change).decode
