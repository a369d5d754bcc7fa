"""What an experiment measured, and what it must be."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Number = int | float


@dataclass(frozen=True)
class Figure:
    """One measured value. `limit` is how the bound is printed, "" where the value is only told."""

    name: str
    value: Number
    unit: str = ""
    limit: str = ""
    passed: bool = True


def told(name: str, value: Number, unit: str = "") -> Figure:
    """A value without a bound."""
    return Figure(name, value, unit)


def exactly(name: str, value: Number, wanted: Number, unit: str = "") -> Figure:
    """A value that must be `wanted`."""
    return Figure(name, value, unit, f"= {wanted:g}", value == wanted)


def at_most(name: str, value: Number, bound: Number, unit: str = "") -> Figure:
    """A value that must not be larger. NaN, what nothing was measured of, fails."""
    return Figure(name, value, unit, f"<= {bound:.4g}", value <= bound)


def at_least(name: str, value: Number, bound: Number, unit: str = "") -> Figure:
    """A value that must not be smaller."""
    return Figure(name, value, unit, f">= {bound:.4g}", value >= bound)


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed; NaN of nothing."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def table(title: str, figures: Sequence[Figure]) -> list[str]:
    """The lines of one experiment's table."""
    width = max((len(item.name) for item in figures), default=0)
    return [title, *(_row(item, width) for item in figures)]


def _row(item: Figure, width: int) -> str:
    value = f"{item.value:.4g}" if isinstance(item.value, float) else str(item.value)
    verdict = ("pass" if item.passed else "FAIL") if item.limit else ""
    return f"  {item.name:<{width}}  {value:>10} {item.unit:<6} {item.limit:<12} {verdict}".rstrip()
