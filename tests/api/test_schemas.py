"""Our records against the schemas of the official CRDs, field by field, where a copy lies beside this checkout."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
import yaml

from gatewayd.api.decode import KINDS
from gatewayd.api.names import FIELD_VALUE
from gatewayd.api.record import Record

FOLDER = Path(__file__).parents[3] / "shared" / "gateway-api" / "crds" / "experimental"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no copy of the official CRDs beside this checkout")

# Limits that we write otherwise, each with its reason.
OTHERWISE = {
    "spec.rules": {"maxItems", "minItems"},  # one in v1, 16 in v1alpha2: rules.routes.V1_ONLY
    "spec.hostnames": {"required", "minItems"},  # of TLSRoute; likewise
    "operator": {"enum"},  # a selector with another operator could not be served
    "key": {"maxLength", "minLength", "pattern"},  # likewise
    "{}": {"maxLength", "pattern"},  # values of matchLabels: likewise
}
INT32 = 2**31 - 1


def schemas() -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted(FOLDER.glob("*.yaml")) if FOLDER.is_dir() else []:
        for crd in yaml.load_all(path.read_bytes(), yaml.CSafeLoader):
            if crd["kind"] == "CustomResourceDefinition":
                version = next(each for each in crd["spec"]["versions"] if each["storage"])
                found[crd["spec"]["names"]["kind"]] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return found


def unpack(kind: Any) -> tuple[Any, msgspec.Meta]:
    """The type without None and its limits."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(each for each in get_args(kind) if each is not types.NoneType)
    if get_origin(kind) is Annotated:
        inner, meta = get_args(kind)
        return inner, meta
    return kind, msgspec.Meta()


def limits(kind: Any, meta: msgspec.Meta) -> dict[str, Any]:
    """The limits of our type in the words of the schema."""
    size = {str: "Length", tuple: "Items", dict: "Properties"}.get(get_origin(kind) or kind, "")
    found: dict[str, Any] = {f"min{size}": meta.min_length or None, f"max{size}": meta.max_length}
    found |= {"minimum": meta.ge, "maximum": None if meta.le == INT32 else meta.le, "pattern": meta.pattern}
    if get_origin(kind) is Literal:
        found["enum"] = set(get_args(kind))
    keys = (meta.extra or {}).get("keys")
    if keys is not None:
        found["x-kubernetes-list-type"] = "map" if keys else "set"
        found["x-kubernetes-list-map-keys"] = list(keys) or None
    return {name: value for name, value in found.items() if value is not None}


WORDS = ("minLength", "maxLength", "minItems", "maxItems", "maxProperties", "minimum", "maximum", "pattern", "enum")


def official(schema: dict[str, Any]) -> dict[str, Any]:
    found = {
        name: schema[name]
        for name in WORDS
        if schema.get(name) not in (None, 0) or (name == "minimum" and name in schema)
    }
    if "enum" in found:
        found["enum"] = set(found["enum"])
    if schema.get("x-kubernetes-list-type") in ("map", "set"):
        found["x-kubernetes-list-type"] = schema["x-kubernetes-list-type"]
        if "x-kubernetes-list-map-keys" in schema:
            found["x-kubernetes-list-map-keys"] = schema["x-kubernetes-list-map-keys"]
    if found.get("pattern") == r"^[!-~]+([\t ]?[!-~]+)*$":
        found["pattern"] = FIELD_VALUE
    return found


def differences(kind: Any, schema: dict[str, Any], path: str) -> Iterator[str]:
    inner, meta = unpack(kind)
    ours, theirs = limits(inner, meta), official(schema)
    step = path.rsplit(".", 1)[-1]
    allowed = OTHERWISE.get(path, set()) | (
        OTHERWISE.get(step, set()) if "matchLabels" in path or step in ("operator", "key") else set()
    )
    for name in sorted({*ours, *theirs} - allowed):
        if ours.get(name) != theirs.get(name):
            yield f"{path} {name}: {ours.get(name)!r}, but {theirs.get(name)!r} in the CRD"
    if get_origin(inner) is tuple:
        yield from differences(get_args(inner)[0], schema["items"], f"{path}.[]")
    elif get_origin(inner) is dict:
        yield from differences(get_args(inner)[1], schema["additionalProperties"], f"{path}.{{}}")
    elif isinstance(inner, type) and issubclass(inner, Record):
        yield from fields(inner, schema, path)


def fields(record: type[Record], schema: dict[str, Any], path: str) -> Iterator[str]:
    hints = get_type_hints(record, include_extras=True)
    ours = {each.encode_name: each for each in msgspec.structs.fields(record)}
    theirs = schema["properties"]
    if set(ours) != set(theirs):
        yield f"{path}: the fields {set(ours) ^ set(theirs)} are on one side only"
    for name in sorted({*ours} & {*theirs}):
        place = f"{path}.{name}"
        required = name in schema.get("required", [])
        if ours[name].required != required and "required" not in OTHERWISE.get(place, set()):
            yield f"{place}: required is {ours[name].required}, but {required} in the CRD"
        default = ours[name].default
        default = None if default in (msgspec.NODEFAULT, None, ()) else msgspec.to_builtins(default)
        if not includes(default, theirs[name].get("default")):
            yield f"{place}: the default is {default!r}, but {theirs[name].get('default')!r} in the CRD"
        yield from differences(hints[ours[name].name], theirs[name], place)


def includes(ours: Any, theirs: Any) -> bool:
    """Whether our default is theirs; in records ours also has the defaults of their fields."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(includes(ours.get(name), value) for name, value in theirs.items())
    if isinstance(ours, list | tuple) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(includes, ours, theirs))
    return bool(ours == theirs)


@pytest.mark.parametrize(("kind", "schema"), schemas().items(), ids=list(schemas()))
def test_fields_limits_and_defaults_are_those_of_the_crd(kind: str, schema: dict[str, Any]):
    [record] = [record for (_, name), (record, _) in KINDS.items() if name == kind]
    spec = get_type_hints(record, include_extras=True)["spec"]
    assert list(differences(spec, schema, "spec")) == []


def test_all_crds_are_compared():
    assert len(schemas()) == 13
