"""OpenAPI v3 schemas of CustomResourceDefinitions: pruning, defaulting and validation as an API server does them.

CEL rules (`x-kubernetes-validations`) are not evaluated here: `admission` asks gatewayd's own decoder about those.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]
TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
}


def prune(value: Any, schema: Schema) -> Any:
    """A copy of `value` without the fields that the schema does not know."""
    if isinstance(value, dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        extra = schema.get("additionalProperties")
        parts: dict[str, Any] = {key: (schema.get("properties") or {}).get(key, extra) for key in value}
        if "properties" not in schema and extra is None:
            return copy.deepcopy(value)
        return {key: prune(item, parts[key]) for key, item in value.items() if isinstance(parts[key], dict)}
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [prune(item, schema["items"]) for item in value]
    return copy.deepcopy(value)


def default(value: Any, schema: Schema) -> Any:
    """`value` with every default of the schema put in, in place; null where the field is not nullable means absent."""
    if isinstance(value, dict):
        for key, part in (schema.get("properties") or {}).items():
            if key in value and value[key] is None and not part.get("nullable"):
                del value[key]
            if key not in value and "default" in part:
                value[key] = copy.deepcopy(part["default"])
            if key in value:
                default(value[key], part)
        extra = schema.get("additionalProperties")
        if isinstance(extra, dict):
            for item in value.values():
                default(item, extra)
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for item in value:
            default(item, schema["items"])
    return value


def validate(value: Any, schema: Schema, path: str = "") -> Iterator[str]:
    """What is wrong with `value`, each as `field: why`."""
    kind = schema.get("type")
    if schema.get("x-kubernetes-int-or-string"):
        if isinstance(value, bool) or not isinstance(value, int | str):
            yield f"{path}: must be an integer or a string"
        return
    if kind and (not isinstance(value, TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))):
        yield f"{path}: must be of type {kind}"
        return
    yield from _choices(value, schema, path)
    if isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _array(value, schema, path)
    elif isinstance(value, str):
        yield from _string(value, schema, path)
    elif not isinstance(value, bool) and isinstance(value, int | float):
        yield from _number(value, schema, path)


def _choices(value: Any, schema: Schema, path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is none of {', '.join(map(str, schema['enum']))}"
    for part in schema.get("allOf") or ():
        yield from validate(value, part, path)
    if schema.get("anyOf") and all(any(True for _ in validate(value, part, path)) for part in schema["anyOf"]):
        yield f"{path}: satisfies none of anyOf"
    if schema.get("oneOf") and sum(not any(True for _ in validate(value, part, path)) for part in schema["oneOf"]) != 1:
        yield f"{path}: must satisfy exactly one of oneOf"
    if "not" in schema and not any(True for _ in validate(value, schema["not"], path)):
        yield f"{path}: must not satisfy the schema of `not`"


def _object(value: dict[str, Any], schema: Schema, path: str) -> Iterator[str]:
    for name in schema.get("required") or ():
        if name not in value:
            yield f"{path}.{name}: required value"
    yield from _count(len(value), schema, path, "Properties")
    known = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    for key, item in value.items():
        if key in known:
            yield from validate(item, known[key], f"{path}.{key}")
        elif isinstance(extra, dict):
            yield from validate(item, extra, f"{path}[{key}]")


def _array(value: list[Any], schema: Schema, path: str) -> Iterator[str]:
    yield from _count(len(value), schema, path, "Items")
    for index, item in enumerate(value):
        yield from validate(item, schema.get("items") or {}, f"{path}[{index}]")
    kind = schema.get("x-kubernetes-list-type")
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    seen: list[Any] = []
    for index, item in enumerate(value if kind in ("set", "map") else ()):
        mark = [item.get(key) for key in keys] if kind == "map" and isinstance(item, dict) else item
        if mark in seen:
            yield f"{path}[{index}]: duplicate value"
        seen.append(mark)


def _string(value: str, schema: Schema, path: str) -> Iterator[str]:
    yield from _count(len(value), schema, path, "Length")
    if "pattern" in schema and not re.search(_python(schema["pattern"]), value):
        yield f"{path}: {value!r} does not match {schema['pattern']}"


def _python(pattern: str) -> str:
    """Go's `$` is the end of the text; Python's would let a line feed follow."""
    return pattern[:-1] + r"\Z" if pattern.endswith("$") and not pattern.endswith(r"\$") else pattern


def _number(value: float, schema: Schema, path: str) -> Iterator[str]:
    if "minimum" in schema and value < schema["minimum"]:
        yield f"{path}: must be at least {schema['minimum']}"
    if "maximum" in schema and value > schema["maximum"]:
        yield f"{path}: must be at most {schema['maximum']}"


def _count(size: int, schema: Schema, path: str, what: str) -> Iterator[str]:
    if size < schema.get(f"min{what}", 0):
        yield f"{path}: must have at least {schema[f'min{what}']} {what.lower()}"
    if f"max{what}" in schema and size > schema[f"max{what}"]:
        yield f"{path}: must have at most {schema[f'max{what}']} {what.lower()}"
