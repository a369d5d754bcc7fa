"""Durations (GEP-2257) and quantities (apimachinery/pkg/api/resource) as numbers."""

from __future__ import annotations

import re

UNIT_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
GROUP = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
QUANTITY = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?", re.ASCII)
FACTOR = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "P": 10**15,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
    "Pi": 2**50,
}


def milliseconds(duration: str) -> int:
    """The length of a valid `Duration` such as `1m30s`, in milliseconds; units may repeat, and add up."""
    return sum(int(number) * UNIT_MILLISECONDS[unit] for number, unit in GROUP.findall(duration))


def seconds(duration: str) -> float:
    """The length of a valid `Duration`, in seconds."""
    return milliseconds(duration) / 1000


def whole(text: str) -> int:
    """A quantity such as `64Ki` or `1.5M` as a whole number; ValueError when it is none or not whole."""
    found = QUANTITY.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no quantity")
    number, fraction, suffix = found.group(1), found.group(2) or "", found.group(3) or ""
    value: int
    value, rest = divmod(int(number + fraction) * FACTOR[suffix], 10 ** len(fraction))
    if rest:
        raise ValueError(f"{text!r} is no whole number")
    return value
