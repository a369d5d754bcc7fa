"""What the admin API shows: the objects with their statuses, and the snapshot, both without secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gatewayd.api.encode import REDACTED, to_plain
from gatewayd.api.objects import Object, Objects
from gatewayd.api.problem import Problem
from gatewayd.routing.snapshot import Snapshot


def listing(
    objects: Objects, statuses: Mapping[str, dict[str, Any]], problems: Iterable[Problem] = ()
) -> dict[str, Any]:
    """One Kubernetes List of all objects, defaults applied, each with its status; and the problems beside them."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "metadata": {},
        "items": [item(thing, statuses.get(thing.key)) for thing in objects.all()],
        "problems": [msgspec.to_builtins(problem) for problem in problems],
    }


def item(thing: Object, status: Mapping[str, Any] | None) -> dict[str, Any]:
    """One object as plain data: what was written, the defaults, the status; data of a Secret is not shown."""
    return to_plain(thing) if status is None else {**to_plain(thing), "status": status}


def configuration(snapshot: Snapshot) -> dict[str, Any]:
    """The snapshot as plain data: bytes as text, private keys and keys of sessions not at all."""
    shown = _text(msgspec.to_builtins(snapshot, builtin_types=(bytes,)))
    assert isinstance(shown, dict)  # noqa: S101 - a Struct becomes a dict
    for certificate in shown.get("certificates", {}).values():
        certificate["private_key"] = REDACTED
    for settings in shown.get("settings", {}).values():
        if "session_key" in settings:
            settings["session_key"] = REDACTED
    return shown


def _text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {str(_text(key)): _text(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_text(member) for member in value]
    return value
