from __future__ import annotations

import gc

import pytest

from gatewayd.server.heap import FREEZE_PATIENCE, THAW_EVERY, Heap


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the collector, which is left alone."""
    made: list[str] = []
    for name in ("collect", "freeze", "unfreeze", "set_threshold"):
        monkeypatch.setattr(gc, name, lambda *_, name=name: made.append(name))
    return made


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_heap_is_frozen_once_after_a_swap_when_nothing_is_in_flight(calls: list[str]) -> None:
    heap = Heap(Clock())
    calls.clear()
    heap.tick(idle=True)
    assert calls == []
    heap.swapped()
    heap.tick(idle=False)
    assert calls == []
    heap.tick(idle=True)
    heap.tick(idle=True)
    assert calls == ["collect", "freeze"]


def test_under_load_it_is_frozen_after_a_while(calls: list[str]) -> None:
    clock = Clock()
    heap = Heap(clock)
    calls.clear()
    heap.swapped()
    clock.now = FREEZE_PATIENCE
    heap.swapped()  # more swaps do not put it off
    heap.tick(idle=False)
    assert calls == []
    clock.now += 0.1
    heap.tick(idle=False)
    assert calls == ["collect", "freeze"]


def test_cycles_among_the_frozen_are_found_now_and_then(calls: list[str]) -> None:
    heap = Heap(Clock())
    calls.clear()
    for _ in range(THAW_EVERY):
        heap.swapped()
    heap.tick(idle=True)
    assert calls == ["unfreeze", "collect", "freeze"]
    heap.swapped()
    heap.tick(idle=True)
    assert calls[3:] == ["collect", "freeze"]
