"""What the tests of files write, and what they ask of a load."""

from __future__ import annotations

from gatewayd.api.objects import Object
from gatewayd.sources.files import Loaded

VERSION = "apiVersion: v1\nkind: ConfigMap\n"


def config(name: str, value: str = "x") -> str:
    return f"{VERSION}metadata: {{name: {name}}}\ndata: {{value: {value}}}\n"


def many(*names: str, value: str = "x") -> str:
    return "---\n".join(config(name, value) for name in names)


def names(loaded: Loaded) -> list[str]:
    return [item.name for item in loaded.objects.all()]


def value(loaded: Loaded, name: str) -> str:
    item = loaded.objects.get("ConfigMap", "default", name)
    assert item is not None
    data: dict[str, str] = getattr(item.resource, "data")  # noqa: B009 - the record is known to be a ConfigMap
    return data["value"]


def errors(loaded: Loaded) -> list[str]:
    return [str(each) for each in loaded.problems if each.severity == "error"]


def warnings(loaded: Loaded) -> list[str]:
    return [str(each) for each in loaded.problems if each.severity == "warning"]


def identities(loaded: Loaded) -> dict[str, Object]:
    return {item.name: item for item in loaded.objects.all()}
