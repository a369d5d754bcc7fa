"""From plain values to records: types, defaults, limits, patterns, enumerations, unique keys, and then the rules.

Every problem is collected, none stops the walk. A value that breaks a limit keeps its type and takes part in the rules;
a value of the wrong type is POISON, and the rules that would read it are not asked.

A shape is a function of (value, path, findings) that returns the typed value or POISON. Shapes are compiled once for
each record from its annotations, so that what the record declares is what is checked.
"""

from __future__ import annotations

import difflib
import functools
import re
import types
from collections.abc import Callable, Iterable
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from gatewayd.api.forms import FORMS, boolean, decoded, integer, text, written
from gatewayd.api.problem import Path
from gatewayd.api.record import Record
from gatewayd.api.rules.rule import Rule
from gatewayd.api.rules.table import rules_of

FIELDS_BELOW = "write `name: value` lines below it"


class _Poison:
    """The one value of this type stands for what could not be read."""


POISON: Final = _Poison()


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A problem that does not know its file and line yet."""

    path: Path
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


Findings = list[Finding]
Shape = Callable[[Any, Path, Findings], Any]


@functools.cache
def shape_of(record: type[Record], version: str = "") -> Shape:
    """The shape of a record; `version` adds the rules that came with that version of the API."""
    return _Fields(record, version)


class _Fields:
    """The shape of one record: its fields by their YAML names, and its rules."""

    def __init__(self, record: type[Record], version: str) -> None:
        hints = get_type_hints(record, include_extras=True)
        self.record = record
        self.fields = {
            each.encode_name: (each.name, _compile(hints[each.name], version), _pruned(record, each))
            for each in msgspec.structs.fields(record)
        }
        self.required = {each.encode_name: each.name for each in msgspec.structs.fields(record) if each.required}
        self.rules: tuple[Rule, ...] = rules_of(record, version)

    def __call__(self, value: Any, path: Path, findings: Findings) -> Any:
        if type(value) is not dict:
            findings.append(Finding(path, f"must be a mapping, not {written(value)}", FIELDS_BELOW))
            return POISON
        parts, poisoned = self._read(value, path, findings)
        for field, name in self.required.items():
            if name not in parts and name not in poisoned:
                findings.append(Finding((*path, field), "is required", f"add `{field}:`"))
                poisoned.add(name)
        if poisoned:
            parts.update(dict.fromkeys(poisoned & set(self.required.values())))
        built = self.record(**parts)
        for rule in self.rules:
            if poisoned.isdisjoint(rule.reads):
                for place in rule.broken(built):
                    findings.append(Finding(path + place, rule.message, rule.hint))
        return POISON if poisoned else built

    def _read(self, value: dict[str, Any], path: Path, findings: Findings) -> tuple[dict[str, Any], set[str]]:
        """The fields that could be read, and the names of those that could not."""
        parts: dict[str, Any] = {}
        poisoned: set[str] = set()
        for field, raw in value.items():
            known = self.fields.get(field)
            if known is None:
                self._unknown(field, path, findings)
                continue
            name, shape, pruned = known
            if raw is None and pruned:
                continue
            part = shape(raw, (*path, field), findings)
            if part is POISON:
                poisoned.add(name)
            else:
                parts[name] = part
        return parts, poisoned

    def _unknown(self, field: str, path: Path, findings: Findings) -> None:
        if self.record.lenient or field in self.record.ignored:
            return
        hint = self.record.former.get(field) or guess(field, self.fields)
        hint = hint or f"known here: {', '.join(sorted(self.fields))}"
        findings.append(Finding((*path, field), "is not a known field and is ignored", hint, "warning"))


def _pruned(record: type[Record], field: msgspec.structs.FieldInfo) -> bool:
    """Whether null counts as absent: where the field has a default, as the API server prunes it."""
    return record.nullable or field.default not in (msgspec.NODEFAULT, None, ())


def guess(word: str, known: Iterable[str]) -> str:
    """`did you mean ...?` for a word that is close to a known one, else ""."""
    names = list(known)
    folded = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.7)
    return f"did you mean `{folded[close[0]]}`?" if close else ""


def _compile(kind: Any, version: str, meta: msgspec.Meta | None = None) -> Shape:
    origin = get_origin(kind)
    if origin is Annotated:
        inner, found = get_args(kind)[:2]
        return _compile(inner, version, found)
    if origin in (Union, types.UnionType):
        return _either([_compile(each, version) for each in get_args(kind) if each is not types.NoneType])
    if origin is Literal:
        return _one_of(get_args(kind))
    if origin is tuple:
        return _sequence(_compile(get_args(kind)[0], version), meta or msgspec.Meta())
    if origin is dict:
        key, item = (_compile(each, version) for each in get_args(kind))
        return _table(key, item, meta or msgspec.Meta())
    if isinstance(kind, type) and issubclass(kind, Record):
        return shape_of(kind, version)
    return _scalar(kind, meta or msgspec.Meta())


# In RE2 `$` is the end of the text; in Python it also matches before a last line break.
DOLLAR = re.compile(r"\$(?=\Z|[|)])")
READERS: dict[type, Callable[[Any], Any]] = {str: text, int: integer, bool: boolean, bytes: decoded}


def _scalar(kind: type, meta: msgspec.Meta) -> Shape:
    """`extra["form"]` replaces the reader of the type; it returns the value, or raises ValueError(message, hint)."""
    extra = meta.extra or {}
    read = FORMS.get(extra.get("form", "")) or READERS[kind]
    check = _limits(meta)

    def shape(value: Any, path: Path, findings: Findings) -> Any:
        try:
            result = read(value)
        except ValueError as error:
            message, hint = error.args
            if read is text and isinstance(value, int) and check is not None and check(str(value).lower()):
                hint = ""  # quotes alone would not make it valid
            findings.append(Finding(path, message, hint or extra.get("hint", "")))
            return POISON
        if check is not None and (message := check(result)):
            findings.append(Finding(path, message, extra.get("hint", "")))
        return result

    return shape


def _limits(meta: msgspec.Meta) -> Callable[[Any], str] | None:
    """A function that says what is wrong with a scalar, or ""; None where there is no limit."""
    low, high, least, most, pattern = meta.ge, meta.le, meta.min_length or 0, meta.max_length, meta.pattern
    says = (meta.extra or {}).get("says", f"match {pattern}")
    search = re.compile(DOLLAR.sub(r"\\Z", pattern or "")).search
    if low is not None or high is not None:
        between = f"must be from {low} to {high}" if high is not None else f"must be at least {low}"
        return lambda number: f"{between}, not {number}" if number < low or (high is not None and number > high) else ""
    if pattern is None and not least and most is None:
        return None

    def check(word: str) -> str:
        size = len(word)
        if most is not None and size > most:
            return f"must not be longer than {most} characters, it has {size}"
        if size < least:
            return "must not be empty"
        return "" if search(word) else f"must {says}, not {written(word)}"

    return check


def _one_of(choices: tuple[Any, ...]) -> Shape:
    words = ", ".join(str(each) for each in choices)

    def shape(value: Any, path: Path, findings: Findings) -> Any:
        if value in choices and type(value) is not bool and not isinstance(value, float):
            return choices[choices.index(value)]
        hint = guess(str(value), [str(each) for each in choices])
        findings.append(Finding(path, f"must be one of {words}, not {written(value)}", hint))
        return POISON

    return shape


def _either(shapes: list[Shape]) -> Shape:
    """An optional value, or a number or text: then the type of what is written decides."""
    if len(shapes) == 1:
        return shapes[0]
    number, word = shapes

    def shape(value: Any, path: Path, findings: Findings) -> Any:
        return (number if isinstance(value, int) else word)(value, path, findings)

    return shape


def _sequence(item: Shape, meta: msgspec.Meta) -> Shape:
    """`extra["keys"]` names the fields that make an entry unique; () means the entry itself."""
    least, most, keys = meta.min_length or 0, meta.max_length, (meta.extra or {}).get("keys")

    def shape(value: Any, path: Path, findings: Findings) -> Any:
        if type(value) is not list:
            findings.append(Finding(path, f"must be a list, not {written(value)}", "begin each entry with `- `"))
            return POISON
        if len(value) < least:
            findings.append(Finding(path, "must not be empty", "add an entry"))
        if most is not None and len(value) > most:
            findings.append(Finding(path, f"must not have more than {most} entries, it has {len(value)}"))
            return POISON
        entries = tuple([item(each, (*path, index), findings) for index, each in enumerate(value)])
        if keys is not None:
            _unique(entries, keys, path, findings)
        return POISON if POISON in entries else entries

    return shape


def _unique(entries: tuple[Any, ...], keys: tuple[str, ...], path: Path, findings: Findings) -> None:
    """Compared with defaults applied, as the API server does; entries that could not be read are left out."""
    seen: dict[Any, int] = {}
    for index, entry in enumerate(entries):
        if entry is POISON:
            continue
        key = tuple([getattr(entry, each) for each in keys]) if keys else entry
        first = seen.setdefault(key, index)
        if first != index:
            shown = ", ".join(f"{each} {written(getattr(entry, each))}" for each in keys) or written(entry)
            message = f"{shown} must be unique, it stands already in entry [{first}]"
            findings.append(Finding((*path, index), message, "remove one of them"))


def _table(key: Shape, item: Shape, meta: msgspec.Meta) -> Shape:
    most = meta.max_length

    def shape(value: Any, path: Path, findings: Findings) -> Any:
        if type(value) is not dict:
            findings.append(Finding(path, f"must be a mapping, not {written(value)}", FIELDS_BELOW))
            return POISON
        if most is not None and len(value) > most:
            findings.append(Finding(path, f"must not have more than {most} entries, it has {len(value)}"))
        entries = {}
        for name, each in value.items():
            key(name, (*path, name), findings)
            entries[name] = item(each, (*path, name), findings)
        return POISON if POISON in entries.values() else entries

    return shape
