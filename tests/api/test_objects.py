"""The index of objects: a changed one is as if it were made anew."""

from __future__ import annotations

from itertools import product

import pytest

from gatewayd.api.decode import decode
from gatewayd.api.documents import parse
from gatewayd.api.objects import Object, Objects
from gatewayd.api.pieces import pieces


def named(kind: str, name: str) -> Object:
    text = f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n".encode()
    (document,), _ = parse(pieces(text, "a.yaml")[0][0], "a.yaml")
    item, problems = decode(document)
    assert item is not None, problems
    return item


OBJECTS = [named(kind, name) for kind, name in product(("ConfigMap", "Namespace"), "abcd")]
MIXED = [OBJECTS[place] for place in (0, 4, 1, 5, 2, 6)]


def parts(objects: Objects) -> tuple[tuple[Object, ...], ...]:
    return objects.all(), objects.of("ConfigMap"), objects.of("Namespace")


@pytest.mark.parametrize("at", range(7))
@pytest.mark.parametrize("count", [0, 1, 2, 6])
def test_objects_come_and_go_at_their_place(at: int, count: int) -> None:
    old = MIXED[at : at + count]
    rest = [*MIXED[:at], *MIXED[at + count :]]
    following = rest[at] if at < len(rest) else None
    for new in ([], [OBJECTS[3]], [OBJECTS[7], OBJECTS[3]]):
        before = Objects(MIXED)
        moved = before.moved(old, new, following)
        assert moved is not None
        assert parts(moved) == parts(Objects([*rest[:at], *new, *rest[at:]]))
        assert parts(before) == parts(Objects(MIXED))


def test_objects_that_take_their_own_place_again() -> None:
    moved = Objects(MIXED).moved(MIXED[2:4], [named("ConfigMap", "b")], MIXED[4])
    assert moved is not None
    assert [item.key for item in moved.all()] == [item.key for item in (*MIXED[:3], *MIXED[4:])]


@pytest.mark.parametrize("new", [[MIXED[0]], [OBJECTS[3], named("ConfigMap", "d")]], ids=["taken", "twice"])
def test_a_key_that_is_taken_is_for_a_new_index(new: list[Object]) -> None:
    assert Objects(MIXED).moved([], new, None) is None


def test_a_kind_without_objects_is_gone() -> None:
    moved = Objects(OBJECTS[:1]).moved(OBJECTS[:1], [], None)
    assert moved is not None
    assert len(moved) == 0
    assert moved.of("ConfigMap") == ()


def test_the_key_tells_kind_namespace_and_name() -> None:
    assert OBJECTS[0].key == "ConfigMap/default/a"
    assert OBJECTS[4].key == "Namespace//a"
